"""Medians, percentiles and ratios of measured times, with intervals that allow for noise that lasts.

A busy or hot machine slows many samples in a row, so that samples of one round tell little about each other's noise.
The intervals therefore resample rounds first; what lasts longer than the whole measurement no interval can see.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dsbench.errors import UsageError
from dsbench.measuring.contestants import FloatArray, Samples

RESAMPLES = 2000
CONFIDENCE = 0.95
LEAST_FLOOR = 0.01  # where code and data happen to lie in memory moves times by as much from one process to the next
CELLS = 2**20  # resampled values held at once
FEWEST_ROUNDS = 5  # of a ratio with an interval: even the range of 4 rounds holds their median in 7 of 8 cases only


@dataclass(frozen=True)
class Timing:
    """Wall time of one call in microseconds; all NaN without samples.

    Attributes:
        p50: median of all samples.
        low: of the 95 % interval of the median; NaN with a single round.
        high: its other end.
        p90: exceeded by one sample in ten.
        p99: exceeded by one sample in a hundred.
        n: samples.
        contended: rounds that stayed contended.
    """

    p50: float
    low: float
    high: float
    p90: float
    p99: float
    n: int
    contended: int


@dataclass(frozen=True)
class Ratio:
    """How many times as long one contestant takes as another.

    Attributes:
        ratio: median over rounds of the ratio within a round.
        low: of its 95 % interval; NaN with too few rounds.
        high: its other end.
        different: whether the whole interval lies outside of the noise floor.
    """

    ratio: float
    low: float
    high: float
    different: bool


def timing(samples: Samples) -> Timing:
    """Percentiles of the samples; the interval of the median resamples rounds, and samples within each."""
    rounds = _rounds(samples)
    contended = int(np.count_nonzero(samples.contended))
    if not rounds.size:
        return Timing(math.nan, math.nan, math.nan, math.nan, math.nan, 0, contended)
    p50, p90, p99 = np.percentile(rounds, [50, 90, 99]).tolist()
    low, high = _interval(_resampled_medians(rounds)) if len(rounds) > 1 else (math.nan, math.nan)
    return Timing(p50, low, high, p90, p99, rounds.size, contended)


def compare(a: Samples, b: Samples, floor: float = LEAST_FLOOR) -> Ratio:
    """Time of `a` over that of `b`, both measured together.

    Args:
        floor: relative difference up to which nothing is called different; `noise_floor` measures one.

    Raises:
        UsageError: one of them has no samples, or the floor is no number from 0 on.
    """
    if not 0 <= floor < math.inf:
        raise UsageError(f"floor is {floor}; expected a number from 0 on, for example 0.02")
    ratios = _ratios(a, b)
    ratio = float(np.median(ratios))
    if len(ratios) < FEWEST_ROUNDS:
        return Ratio(ratio, math.nan, math.nan, different=False)
    draws = np.random.default_rng(0).integers(0, len(ratios), (RESAMPLES, len(ratios)))
    low, high = _interval(np.median(ratios[draws], axis=1))
    return Ratio(ratio, low, high, different=low > 1 + floor or high < 1 / (1 + floor))


def noise_floor(one: Samples, twin: Samples) -> float:
    """Distance from 1 of the ratio of one contestant to itself, measured under two names; at least `LEAST_FLOOR`."""
    return max(LEAST_FLOOR, math.exp(abs(math.log(np.median(_ratios(one, twin))))) - 1)


def _ratios(a: Samples, b: Samples) -> FloatArray:
    """Ratio of the medians in each round that both have."""
    first, second = _rounds(a), _rounds(b)
    shared = min(len(first), len(second))
    if not shared:
        raise UsageError("a contestant without samples cannot be compared; leave out those whose status is not ok")
    ratios: FloatArray = np.median(first[:shared], axis=1) / np.median(second[:shared], axis=1)
    return ratios


def _rounds(samples: Samples) -> FloatArray:
    """Complete rounds, (rounds, samples); the samples of the first where not even that one is complete."""
    wall = samples.wall_us
    complete = ~np.isnan(wall).any(axis=1)
    return wall[complete] if complete.any() else wall[:, ~np.isnan(wall).any(axis=0)]


def _resampled_medians(rounds: FloatArray) -> FloatArray:
    """Medians of resampled rounds of resampled samples, (RESAMPLES,)."""
    count, size = rounds.shape
    generator = np.random.default_rng(0)
    at_once = max(1, CELLS // rounds.size)
    medians = []
    for start in range(0, RESAMPLES, at_once):
        batch = min(at_once, RESAMPLES - start)
        chosen = generator.integers(0, count, (batch, count, 1))
        drawn = rounds[chosen, generator.integers(0, size, (batch, count, size))]
        medians.append(np.median(drawn.reshape(batch, -1), axis=1))
    return np.concatenate(medians)


def _interval(resampled: FloatArray) -> tuple[float, float]:
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(resampled, [tail, 100 - tail]).tolist()
    return low, high
