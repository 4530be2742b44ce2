"""Draws of episodes that depend on their seed alone, one at a time or many at once.

Our own environments and bsuite draw from numpy's RandomState, which, unlike the newer generators, can be seeded again
without being built anew; that is most of what makes the generation of short episodes fast.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

SEEDS = 2**32  # RandomState takes no larger seed


def episode_seed(env: gym.Env[Any, Any], seed: int | None) -> int:
    """The seed given to ``reset``; without one, the next of the environment's own generator."""
    return int(env.np_random.integers(SEEDS)) if seed is None else seed


def random_states(seeds: Sequence[int]) -> Iterator[np.random.RandomState]:
    """RandomState(seed mod 2**32) of each seed in turn: one generator, seeded again, so valid until the next one."""
    generator = np.random.RandomState(0)
    for seed in seeds:
        generator.seed(seed % SEEDS)
        yield generator


def uniforms(seeds: Sequence[int], count: int) -> NDArray[np.float64]:
    """(seeds, count) the first numbers on [0, 1) that each seed's RandomState gives."""
    draws = np.empty((len(seeds), count))
    for row, generator in enumerate(random_states(seeds)):
        draws[row] = generator.random_sample(count)
    return draws
