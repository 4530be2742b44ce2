"""Controls made from a data set: what a method must lose, or may win, when something is taken from the data."""

from __future__ import annotations

import math

import numpy as np

from dsbench import seeds
from dsbench.episodes import Episodes


def permuted_returns(episodes: Episodes, seed: int) -> Episodes:
    """The control whose returns say nothing: rewards are dealt out to other episodes of the same length.

    Observations and actions stay; each episode receives the whole reward sequence of one drawn at random, so lengths, the
    distribution of returns and the noise within an episode are as before.
    """
    generator = seeds.stream(seed, "permute returns")
    order = np.arange(len(episodes))
    for length in np.unique(episodes.lengths):
        same = np.flatnonzero(episodes.lengths == length)
        order[same] = generator.permutation(same)
    arrays = episodes.arrays()
    return Episodes.from_arrays(arrays | {"rewards": episodes.select(order).rewards})


def best_episodes(episodes: Episodes, percent: float, seed: int) -> Episodes:
    """The `percent` % of the episodes with the highest returns, at least one, in the order of the data.

    Where the last places fall among equal returns, they are drawn at random. Cloning them is "%BC" (Chen et al. 2021,
    arXiv:2106.01345, section 5.1).
    """
    keep = max(1, math.floor(len(episodes) * percent / 100 + 0.5))
    tie_break = seeds.stream(seed, "best episodes").random(len(episodes))
    order = np.lexsort((tie_break, -episodes.returns()))
    return episodes.select(np.sort(order[:keep]))
