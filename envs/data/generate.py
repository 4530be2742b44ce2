"""Offline data made by scripted behaviour.

An episode depends on (environment, options, recipe, data.seed, its index) alone: not on how many are made, nor on how many
are stepped together, nor on whether episodes or timesteps were asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from dsbench import seeds
from dsbench.envs import checked
from dsbench.envs.rolling import Scripted, roll
from dsbench.envs.spec import EnvSpec
from dsbench.episodes import Episodes, concatenate
from dsbench.errors import UsageError

BLOCK = 1000  # episodes whose draws come from one stream; part of the data's definition
# Episodes stepped together where timesteps are asked for: simulators are large, and progress is seen.
LARGEST_GROUP = 250
SPARE = 1.1  # what is made at once beyond the expected need, to be done in fewer groups


def generate(
    spec: EnvSpec,
    recipe: str,
    n_episodes: int,
    seed: int,
    on_block: Callable[[int], None] = lambda made: None,
    *,
    timesteps: int | None = None,
) -> Episodes:
    """Make the first episodes of a recipe.

    Args:
        n_episodes: how many, where no `timesteps` are given.
        on_block: called at every timestep with the number of episodes (of timesteps, where those are asked for) made so
            far, for progress.
        timesteps: make as many whole episodes as have so many timesteps between them.

    Raises:
        EnvironmentFault: the environment raised, or showed or paid something that is not finite.
    """
    if n_episodes < 1:
        raise UsageError(f"data.episodes is {n_episodes}; expected at least 1")
    if timesteps is not None:
        return _generate_timesteps(spec, recipe, timesteps, seed, on_block)
    groups = []
    for first in range(0, n_episodes, BLOCK):
        rows = min(BLOCK, n_episodes - first)
        groups.append(_group(spec, recipe, seed, first, rows, partial(on_block, first)))
        on_block(first + rows)
    return concatenate(groups)


def _generate_timesteps(
    spec: EnvSpec, recipe: str, timesteps: int, seed: int, on_block: Callable[[int], None]
) -> Episodes:
    """Groups as large as the rest is expected to need, by the mean length so far; at first by the longest possible."""
    if timesteps < 1:
        raise UsageError(f"data.timesteps is {timesteps}; expected at least 1")
    groups: list[Episodes] = []
    made, first = 0, 0
    while made < timesteps:
        expected = SPARE * (timesteps - made) * first / made if made else timesteps / spec.horizon
        rows = min(math.ceil(expected), LARGEST_GROUP, BLOCK - first % BLOCK)
        groups.append(_group(spec, recipe, seed, first, rows, partial(on_block, made)))
        made, first = made + groups[-1].n_timesteps, first + rows
        on_block(min(made, timesteps))
    episodes = concatenate(groups)
    needed = int(np.searchsorted(episodes.starts[1:], timesteps)) + 1
    return episodes.select(range(needed))


def _group(spec: EnvSpec, recipe: str, seed: int, first: int, rows: int, on_step: Callable[[], None]) -> Episodes:
    """The episodes first .. first + rows - 1, all of one block, stepped together."""
    begin = first % BLOCK
    chosen = slice(begin, begin + rows)
    # Seeds and episode draws of the whole block are drawn even if fewer rows are used: row i is always the same.
    generator = seeds.stream(seed, "data", spec.id, recipe, first - begin)
    env_seeds = generator.integers(2**32, size=BLOCK)[chosen]
    episode_draw = generator.random(BLOCK)[chosen]
    env = checked.begin(spec, spec.data_vector or spec.vector, env_seeds.tolist())
    behaviour = spec.recipe(recipe).behaviour
    player = Scripted(behaviour, generator, episode_draw, BLOCK, spec.draws_per_timestep, begin)
    return roll(spec, env, player, rows, on_step)
