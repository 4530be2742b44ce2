"""Offline data made by scripted behaviour.

An episode depends on (environment, options, recipe, data.seed, its index) alone: not on how many are made, nor on how many
are stepped together, nor on whether episodes or timesteps were asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from dsbench import seeds
from dsbench.envs.checked import Checked
from dsbench.envs.data.contract import judged
from dsbench.envs.rolling import MAX_ROWS, Scripted, groups, roll, rows_together
from dsbench.envs.spec import EnvSpec
from dsbench.episodes import Episodes, concatenate
from dsbench.errors import UsageError

BLOCK = MAX_ROWS  # episodes whose draws come from one stream; part of the data's definition
SEEDS = 2**31  # of environments, some of which take no larger ones
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
        DatasetError: the episodes do not hold what data from elsewhere must hold.
    """
    if n_episodes < 1:
        raise UsageError(f"data.episodes is {n_episodes}; expected at least 1")
    if timesteps is not None:
        return _generate_timesteps(spec, recipe, timesteps, seed, on_block)
    return concatenate(list(parts_of(spec, recipe, n_episodes, seed, on_block)))


def parts_of(
    spec: EnvSpec, recipe: str, n_episodes: int, seed: int, on_block: Callable[[int], None] = lambda made: None
) -> Iterator[Episodes]:
    """What `generate` puts together, as it is made: for who does not need all of it at once."""
    for first, rows in groups(n_episodes, rows_together(spec)):
        yield _group(spec, recipe, seed, first, rows, partial(on_block, first))
        on_block(first + rows)


def _generate_timesteps(
    spec: EnvSpec, recipe: str, timesteps: int, seed: int, on_block: Callable[[int], None]
) -> Episodes:
    """Groups as large as the rest is expected to need, by the mean length so far; at first by the longest possible."""
    if timesteps < 1:
        raise UsageError(f"data.timesteps is {timesteps}; expected at least 1")
    parts: list[Episodes] = []
    made, first, most = 0, 0, min(LARGEST_GROUP, rows_together(spec))
    while made < timesteps:
        expected = SPARE * (timesteps - made) * first / made if made else timesteps / spec.horizon
        rows = min(math.ceil(expected), most, BLOCK - first % BLOCK)
        parts.append(_group(spec, recipe, seed, first, rows, partial(on_block, made)))
        made, first = made + parts[-1].n_timesteps, first + rows
        on_block(min(made, timesteps))
    episodes = concatenate(parts)
    needed = int(np.searchsorted(episodes.starts[1:], timesteps)) + 1
    return episodes.select(range(needed))


def _group(spec: EnvSpec, recipe: str, seed: int, first: int, rows: int, on_step: Callable[[], None]) -> Episodes:
    """The episodes first .. first + rows - 1, all of one block, stepped together."""
    begin = first % BLOCK
    chosen = slice(begin, begin + rows)
    # Seeds and episode draws of the whole block are drawn even if fewer rows are used: row i is always the same.
    generator = seeds.stream(seed, "data", spec.task, recipe, first - begin)
    env_seeds = generator.integers(SEEDS, size=BLOCK)[chosen]
    episode_draw = generator.random(BLOCK)[chosen]
    player = Scripted(spec.recipe(recipe).behaviour, generator, episode_draw, BLOCK, spec.draws_per_timestep, begin)
    who = f"env {spec.id}, recipe {recipe!r}"
    with Checked(spec, spec.data_vector or spec.vector, env_seeds.tolist(), who, first) as env:
        episodes = roll(spec, env, player, on_step)
    return judged(spec, episodes, who, first)
