"""One number for many runs, with its interval: mean, median, interquartile mean, optimality gap, performance profile.

After Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice" (arXiv 2108.13264). All
are over the pooled runs of all tasks: mean, interquartile mean and median leave out 0, 25 and 50 % at each end. (That
paper's median is another one, of the tasks' means.) Comparisons of two contestants are in `aggregate_pairs`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dsbench.errors import UsageError
from dsbench.reports.aggregate_bootstrap import (
    DEFAULT,
    Bootstrap,
    Drawn,
    Indices,
    IntArray,
    Interval,
    indices_of,
    multiplicities,
    percentiles,
)
from dsbench.reports.aggregate_scores import FloatArray, Scores

TRIMMED = 0.25  # at each end: the interquartile mean


def aggregate(
    scores: Scores, target: float | None = None, how: Bootstrap = DEFAULT, indices: Indices | None = None
) -> dict[str, Interval]:
    """Estimates over all runs: ``mean``, ``median``, ``iqm`` and, with a target, ``optimality_gap``.

    Args:
        scores: of one contestant.
        target: the score above which more is not worth more, on the scale of the scores (1 or 100 for an expert's).
            The gap is the mean of what runs lack to it; less is better.
        how: resamples, seed and confidence.
        indices: resamples to use in the place of drawn ones, task -> (resamples, seeds of the task).

    Raises:
        UsageError: several tasks whose scores are not normalised, a target that is no number, or indices that do not
            fit.
    """
    if target is not None and not np.isfinite(target):
        raise UsageError(f"target is {target!r}; expected a finite score, for example 1.0")
    pools = scores.pools()
    measures = _measures(target)

    def measured(rows: FloatArray) -> FloatArray:
        rows.sort(axis=1)
        return np.stack([measure(rows) for measure in measures.values()], axis=1)

    def statistic(index: Sequence[IntArray]) -> FloatArray:
        return measured(np.concatenate([pool[chosen] for pool, chosen in zip(pools, index, strict=True)], axis=1))

    values = measured(np.concatenate(pools)[None])[0]
    given = indices_of([scores], None if indices is None else [indices])
    bounds, drawn = percentiles([len(pool) for pool in pools], statistic, how, given)
    lows, highs = [[None] * len(values)] * 2 if bounds is None else bounds.tolist()
    return {
        name: Interval(float(value), low, high, scores.n, drawn)
        for name, value, low, high in zip(measures, values, lows, highs, strict=True)
    }


@dataclass(frozen=True)
class Profile:
    """Share of runs above each threshold, with pointwise bounds (not a band that holds the whole curve at once).

    Attributes:
        thresholds: as given, (k,).
        share: of runs with a score above it, (k,).
        low, high: bounds, (k,); None when some task has a single seed.
        n: runs.
    """

    thresholds: FloatArray
    share: FloatArray
    low: FloatArray | None
    high: FloatArray | None
    n: int
    drawn: Drawn


def performance_profile(
    scores: Scores, thresholds: Sequence[float] | FloatArray, how: Bootstrap = DEFAULT, indices: Indices | None = None
) -> Profile:
    """The share of runs with a score above each threshold, (k,). Arguments else and errors as `aggregate`."""
    levels = np.asarray(thresholds, dtype=np.float64)
    if levels.ndim != 1 or not levels.size or not np.isfinite(levels).all():
        raise UsageError(f"thresholds are {thresholds!r}; expected a list of finite scores, for example [0, 0.5, 1]")
    pools = scores.pools()
    above = (np.concatenate(pools)[:, None] > levels).astype(np.float64)

    def statistic(index: Sequence[IntArray]) -> FloatArray:
        counts = [multiplicities(chosen, len(pool)) for chosen, pool in zip(index, pools, strict=True)]
        return np.hstack(counts) @ above / scores.n

    given = indices_of([scores], None if indices is None else [indices])
    bounds, drawn = percentiles([len(pool) for pool in pools], statistic, how, given)
    low, high = (None, None) if bounds is None else bounds
    return Profile(levels, above.mean(axis=0), low, high, scores.n, drawn)


def _measures(target: float | None) -> dict[str, Callable[[FloatArray], FloatArray]]:
    """Name -> from ascending rows (batch, runs) to a number a row, (batch,)."""
    measures: dict[str, Callable[[FloatArray], FloatArray]] = {
        "mean": lambda rows: rows.mean(axis=1),
        "median": _median,
        "iqm": _interquartile_mean,
    }
    if target is not None:
        measures["optimality_gap"] = lambda rows: np.maximum(target - rows, 0.0).mean(axis=1)
    return measures


def _median(rows: FloatArray) -> FloatArray:
    n = rows.shape[1]
    return (rows[:, (n - 1) // 2] + rows[:, n // 2]) / 2


def _interquartile_mean(rows: FloatArray) -> FloatArray:
    cut = int(TRIMMED * rows.shape[1])
    return rows[:, cut : rows.shape[1] - cut].mean(axis=1)
