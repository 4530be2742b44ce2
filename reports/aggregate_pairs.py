"""Two contestants on the same tasks: how likely one beats the other, and by how much on the seeds that both have."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dsbench.errors import UsageError
from dsbench.reports.aggregate import aggregate
from dsbench.reports.aggregate_bootstrap import (
    DEFAULT,
    Bootstrap,
    Indices,
    IntArray,
    Interval,
    indices_of,
    multiplicities,
    percentiles,
)
from dsbench.reports.aggregate_scores import FloatArray, Scores
from dsbench.reports.statistics import Estimate


def probability_of_improvement(
    a: Scores, b: Scores, how: Bootstrap = DEFAULT, indices: tuple[Indices, Indices] | None = None
) -> Interval:
    """Probability that a run of `a` scores more than one of `b` on the same task, ties by half, mean over tasks.

    Only the order within a task counts and every task counts the same, so scores need not be normalised. Where 0.5
    is inside of the interval, neither is called better.

    Args:
        a: of one contestant.
        b: of the other, on the same tasks; their runs are drawn independently of each other.
        how: resamples, seed and confidence.
        indices: resamples to use in the place of drawn ones, of a and of b.

    Raises:
        UsageError: other tasks, one of the two normalised alone, or indices that do not fit.
    """
    _comparable(a, b)
    wins = [_wins(a.tasks[task], b.tasks[task]) for task in a.tasks]

    def statistic(index: Sequence[IntArray]) -> FloatArray:
        halves = zip(index[: len(wins)], index[len(wins) :], wins, strict=True)
        shares = [
            np.sum((multiplicities(one, len(won)) @ won) * multiplicities(other, won.shape[1]), axis=1) / won.size
            for one, other, won in halves
        ]
        return np.mean(shares, axis=0)[:, None]

    counts = [len(scores) for contestant in (a, b) for scores in contestant.tasks.values()]
    bounds, drawn = percentiles(counts, statistic, how, indices_of([a, b], indices))
    low, high = (None, None) if bounds is None else bounds[:, 0].tolist()
    return Interval(float(np.mean([won.mean() for won in wins])), low, high, a.n + b.n, drawn)


@dataclass(frozen=True)
class Paired:
    """Mean of a − b over the seeds that both have.

    Attributes:
        difference: the mean with its bootstrap interval; a seed is drawn for both at once.
        t: the same mean with Student's t interval.
        seeds: task -> seeds that both have, ascending.
        left_out: task -> seeds that only one has; tasks where all are shared are absent.
    """

    difference: Interval
    t: Estimate
    seeds: Mapping[str, tuple[int, ...]]
    left_out: Mapping[str, tuple[int, ...]]

    def text(self) -> str:
        """One sentence: which seeds the difference stands on, and which it leaves out."""
        text = f"Paired on shared seeds: {_by_task(self.seeds)}"
        return (
            f"{text}; left out, as only one side has them: {_by_task(self.left_out)}." if self.left_out else text + "."
        )


def paired_difference(a: Scores, b: Scores, how: Bootstrap = DEFAULT, indices: Indices | None = None) -> Paired:
    """Mean of a − b over runs with the same task and seed, with a bootstrap and a t interval.

    Args:
        a: of one contestant.
        b: of the other, on the same tasks.
        how: resamples, seed and confidence (of both intervals).
        indices: resamples of the shared seeds to use, task -> (resamples, shared seeds of the task).

    Raises:
        UsageError: other tasks, a task without a shared seed, several tasks whose scores are not normalised, or
            indices that do not fit.
    """
    _comparable(a, b)
    left, right = (
        {task: dict(zip(one.seeds[task], one.tasks[task].tolist(), strict=True)) for task in one.tasks}
        for one in (a, b)
    )
    shared = {task: sorted(left[task].keys() & right[task].keys()) for task in left}
    for task, seeds in shared.items():
        if not seeds:
            raise UsageError(
                f"no seed is shared on task {task!r} ({ranges(a.seeds[task])} against {ranges(b.seeds[task])}); "
                "run both with the same seeds, or compare them with probability_of_improvement"
            )
    difference = Scores.of(
        {task: {seed: left[task][seed] - right[task][seed] for seed in seeds} for task, seeds in shared.items()},
        normalised=a.normalised,
    )
    left_out = {task: tuple(sorted(left[task].keys() ^ right[task].keys())) for task in left}
    return Paired(
        difference=aggregate(difference, how=how, indices=indices)["mean"],
        t=_stratified_t(difference.pools(), how.confidence),
        seeds=difference.seeds,
        left_out={task: seeds for task, seeds in left_out.items() if seeds},
    )


def _comparable(a: Scores, b: Scores) -> None:
    odd = sorted(a.tasks.keys() ^ b.tasks.keys())
    if odd:
        raise UsageError(
            f"only one side has scores on {', '.join(odd)}; expected the same tasks: run or leave them out"
        )
    if a.normalised != b.normalised:
        raise UsageError("one side is normalised and the other is not; expected both on the same scale")


def _wins(a: FloatArray, b: FloatArray) -> FloatArray:
    """1 where a run of `a` is above one of `b`, 0.5 where they are equal, else 0; (runs of a, runs of b)."""
    return (np.sign(a[:, None] - b) + 1) / 2


def _stratified_t(strata: Sequence[FloatArray], confidence: float) -> Estimate:
    """Mean over all values and its t interval, the strata being fixed: Student's for one, Welch's for several.

    The variance of the mean is the sum over strata of (nₜ / n)² · sₜ² / nₜ; degrees of freedom after Satterthwaite.
    """
    n = sum(map(len, strata))
    mean = math.fsum(value for stratum in strata for value in stratum.tolist()) / n
    if min(map(len, strata)) < 2:
        return Estimate(mean, None, None, n)
    from scipy.stats import t  # slow to import

    parts = [float(np.var(stratum, ddof=1)) * len(stratum) / n**2 for stratum in strata]
    variance = math.fsum(parts)
    if variance == 0:
        return Estimate(mean, mean, mean, n)
    # parts over their sum: squares of tiny variances would vanish
    shares = [part / variance for part in parts]
    freedom = 1 / math.fsum(share**2 / (len(stratum) - 1) for share, stratum in zip(shares, strata, strict=True))
    half = float(t.ppf((1 + confidence) / 2, freedom)) * math.sqrt(variance)
    return Estimate(mean, mean - half, mean + half, n)


def _by_task(seeds: Mapping[str, tuple[int, ...]]) -> str:
    """``0-9 on all of ant, hopper``, or the seeds of each task."""
    if len(set(seeds.values())) == 1 and len(seeds) > 1:
        return f"{ranges(next(iter(seeds.values())))} on each of {', '.join(seeds)}"
    return ", ".join(f"{ranges(own)} on {task}" for task, own in seeds.items())


def ranges(seeds: Sequence[int]) -> str:
    """``0-4, 7``: ascending seeds with runs of neighbours drawn together."""
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
