"""Offline data made by scripted behaviour.

An episode depends on (environment, options, recipe, data.seed, its index) alone: not on how many are made, nor on how many
are stepped together.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from dsbench import seeds
from dsbench.envs import checked
from dsbench.envs.rolling import Scripted, roll
from dsbench.envs.spec import EnvSpec
from dsbench.episodes import Episodes, concatenate
from dsbench.errors import UsageError

BLOCK = 1000  # episodes whose draws come from one stream; part of the data's definition


def generate(
    spec: EnvSpec, recipe: str, n_episodes: int, seed: int, on_block: Callable[[int], None] = lambda episodes: None
) -> Episodes:
    """Make the episodes 0 .. n_episodes - 1 of a recipe.

    Args:
        on_block: called at every timestep with the number of episodes made so far, for progress.

    Raises:
        EnvironmentFault: the environment raised, or showed or paid something that is not finite.
    """
    if n_episodes < 1:
        raise UsageError(f"data.episodes is {n_episodes}; expected at least 1")
    behaviour = spec.recipe(recipe).behaviour
    blocks = []
    for first in range(0, n_episodes, BLOCK):
        rows = min(BLOCK, n_episodes - first)
        # Seeds and episode draws of the whole block are drawn even if fewer rows are used: row i is always the same.
        generator = seeds.stream(seed, "data", spec.id, recipe, first)
        env_seeds = generator.integers(2**32, size=BLOCK)[:rows]
        episode_draw = generator.random(BLOCK)[:rows]
        env = checked.begin(spec, spec.data_vector or spec.vector, env_seeds.tolist())
        player = Scripted(behaviour, generator, episode_draw, BLOCK, spec.draws_per_timestep)
        blocks.append(roll(spec, env, player, rows, partial(on_block, first)))
        on_block(first + rows)
    return concatenate(blocks)
