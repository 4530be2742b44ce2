"""How far scores of one task are off: the spread over seeds, judged with the help of all contestants, and the intervals.

Three seeds say little about their own spread: two lucky ones that agree have none. So a contestant is judged by the larger of
its own spread and that of the task, which is the mean of its contestants' variances v, with Satterthwaite's degrees of freedom
(Σv)² / Σ(v² / (n − 1)) of that mean. What episodes alone leave open (their standard error) is the least that is believed. Where
seeds move all contestants alike (the same data, the same starts), differences are taken seed by seed. Simulated in
``tests/reports/test_calibration.py``: five shapes and unequal spreads, 3, 5 and 10 seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from dsbench.reports.outcomes import UNBOUNDED, Bounds, Sample
from dsbench.reports.statistics import CALIBRATED, CONFIDENCE, Estimate

FloatArray = NDArray[np.float64]
Places = NDArray[np.intp]
INTERVALS = (
    f"Intervals of scores are {100 * CONFIDENCE:g} % intervals of the mean over seeds: Student's t with the larger of a "
    "contestant's own spread and the mean spread of all contestants of the task, Satterthwaite's degrees of freedom, and the "
    "error over evaluation episodes as the least. They end where the measure ends; of a bounded measure they are no narrower "
    f"than Wilson's interval over the episodes. With fewer than {CALIBRATED} contestants on a task n is too small to "
    "calibrate, and the interval is drawn dashed. One seed has none. Of all else ± is half of Student's t interval over seeds."
)
SHARED = 0.5  # of the spread, at which what seeds do to all alike is taken out
_DUST = 1e-9  # of the largest score: spreads below are rounding
_NORMAL = 1.959963984540054  # the 97.5 % point: episodes are many


class Differences(NamedTuple):
    """Of pairs of contestants, (pairs,) each: difference of the means, its variance, its degrees of freedom (infinite where
    nothing varies)."""

    value: FloatArray
    variance: FloatArray
    freedom: FloatArray


class Spread:
    """The spread of the scores of one task.

    Attributes:
        names: the contestants, in order.
        counts, means, variances: seeds, mean and variance of each, (contestants,); no variance (NaN) with one seed.
        pooled: mean of the variances; 0 where no contestant varies or none has two seeds.
        freedom: degrees of freedom of `pooled`; 0 where it is 0.

    Args:
        samples: contestant -> scores.
        least: the standard deviation over seeds below which none is believed, for scores that come in steps: seeds that land
            on the same step have no spread and still are no surer than that.
    """

    def __init__(self, samples: Mapping[str, Sample], least: float = 0.0) -> None:
        self.names = tuple(samples)
        self._samples = samples
        self.counts = np.array([len(one.scores) for one in samples.values()])
        scores = [list(one.scores.values()) for one in samples.values()]
        means = [math.fsum(own) / len(own) for own in scores]
        self.means = np.array(means)
        found = [_variance(own, mean) for own, mean in zip(scores, means, strict=True)]
        self.variances = np.maximum(found, least**2)  # NaN stays NaN
        self._episodes = np.array([_error(one) for one in samples.values()])  # squared error of the means
        dust = (_DUST * max((max(map(abs, own)) for own in scores), default=0.0)) ** 2
        self.pooled, self.freedom, self._least = _pooled(self.variances, self.counts, dust)
        self._residuals = self._without_seeds(scores, least)

    @property
    def calibrated(self) -> bool:
        """Whether enough contestants have a spread."""
        return int(np.sum(self.counts > 1)) >= CALIBRATED

    @property
    def lowered(self) -> float:
        """Degrees of freedom for an interval: one less, since Satterthwaite's estimate is too large where spreads differ."""
        return max(self._least, self.freedom - 1)

    @property
    def paired(self) -> bool:
        """Whether differences are taken seed by seed."""
        return self._residuals is not None

    def differences(self, first: Places, second: Places) -> Differences:
        """Of contestants at places `first` minus those at `second`; variance NaN where one has a single seed."""
        value = self.means[first] - self.means[second]
        episodes = self._episodes[first] + self._episodes[second]
        if self._residuals is not None:
            matrix, pooled, freedom = self._residuals
            own = (matrix[first] - matrix[second]).var(axis=1, ddof=1) / matrix.shape[1]
            shared = np.full(len(own), 2 * pooled / matrix.shape[1])
        else:
            per_seed = self.variances / self.counts
            own, freedom = per_seed[first] + per_seed[second], self.freedom or math.inf
            shared = self.pooled * (1 / self.counts[first] + 1 / self.counts[second])
        variance = np.maximum(np.maximum(own, shared), episodes)
        return Differences(value, variance, np.full(len(value), freedom))

    def estimate(self, name: str, bounds: Bounds = UNBOUNDED) -> Estimate:
        """The mean of a contestant and its 95 % interval, inside of the bounds of the measure; see the module.

        Never of no width: of a bounded measure at least Wilson's interval over the episodes that were played (over the seeds,
        where those are not known), which holds at both ends; where nothing tells how far it may be off there is none.
        """
        place = self.names.index(name)
        mean, n = float(self.means[place]), int(self.counts[place])
        if n == 1:
            return Estimate(mean, None, None, 1, self.calibrated)
        half = _quantile(self.lowered) * math.sqrt(self.variance_of(name))
        least, most = bounds
        ends = [mean - half, mean + half]
        if least is not None and most is not None and least <= mean <= most and least < most:
            wilson = self._wilson(place, least, most)
            ends = [min(ends[0], wilson[0]), max(ends[1], wilson[1])]
        elif not half:
            return Estimate(mean, None, None, n, self.calibrated)
        low = ends[0] if least is None else max(ends[0], min(least, mean))
        high = ends[1] if most is None else min(ends[1], max(most, mean))
        return Estimate(mean, low, high, n, self.calibrated)

    def variance_of(self, name: str) -> float:
        """Of the mean of a contestant over its seeds; NaN with a single one."""
        place = self.names.index(name)
        own = max(float(self.variances[place]), self.pooled) / self.counts[place] if self.pooled else 0.0
        return float(max(own, self._episodes[place])) if self.counts[place] > 1 else math.nan

    def _wilson(self, place: int, least: float, most: float) -> tuple[float, float]:
        """Wilson's interval (1927) of a mean between two ends, as of that many draws of one or the other end.

        How many draws an episode is worth is told by the errors over episodes of all contestants: a share of timesteps varies
        less than a success.
        """
        shares = np.clip((self.means - least) / (most - least), 0.0, 1.0)
        draws = float(self.counts[place] * (self._samples[self.names[place]].episodes or 1))
        seen = float(np.sum(self._episodes * self.counts))  # squared errors of one seed's score
        if seen > 0 and self._samples[self.names[place]].errors:
            draws = max(draws, self.counts[place] * float(np.sum(shares * (1 - shares))) * (most - least) ** 2 / seen)
        share, unit = float(shares[place]), _NORMAL**2 / draws
        centre = (share + unit / 2) / (1 + unit)
        half = math.sqrt(unit * share * (1 - share) + unit**2 / 4) / (1 + unit)
        return least + (most - least) * (centre - half), least + (most - least) * (centre + half)

    def _without_seeds(self, scores: list[list[float]], least: float) -> tuple[FloatArray, float, float] | None:
        """Scores (contestants, seeds), the variance that is left without what a seed does to all, and its degrees of
        freedom; None unless all have the same three or more seeds and that takes away half of the spread."""
        seeds = {tuple(one.scores) for one in self._samples.values()}
        count, n = len(scores), int(self.counts[0]) if len(scores) else 0
        if count < CALIBRATED or len(seeds) > 1 or n < 3 or not self.pooled:
            return None
        matrix = np.array(scores)
        left = matrix - matrix.mean(axis=0)
        left -= left.mean(axis=1, keepdims=True)
        variances = np.asarray((left**2).sum(axis=1) / (n - 1) * count / (count - 1), dtype=np.float64)
        variances = np.maximum(variances, least**2)
        pooled = float(variances.mean())
        if pooled > SHARED * self.pooled or pooled <= 1e-18 * self.pooled:
            return None
        return matrix, pooled, _satterthwaite(variances, n - 1.0) * (count - 1) / count


def over_tasks(strata: Sequence[Spread], name: str) -> Estimate:
    """The mean of a contestant over tasks, each with the same weight, with its 95 % interval; `n` counts runs.

    The variance of the mean is the sum of those of the tasks over their squared number, degrees of freedom after Satterthwaite.
    """
    places = [one.names.index(name) for one in strata]
    mean = math.fsum(float(one.means[place]) for one, place in zip(strata, places, strict=True)) / len(strata)
    n = sum(int(one.counts[place]) for one, place in zip(strata, places, strict=True))
    parts = [one.variance_of(name) for one in strata]
    calibrated, total = all(one.calibrated for one in strata), math.fsum(parts)
    if not total > 0:
        return Estimate(mean, None, None, n, calibrated)
    lost = math.fsum((part / total) ** 2 / one.lowered for part, one in zip(parts, strata, strict=True) if one.freedom)
    half = _quantile(1 / lost if lost else 0.0) * math.sqrt(total) / len(strata)
    return Estimate(mean, mean - half, mean + half, n, calibrated)


def _quantile(freedom: float) -> float:
    """Of Student's t for the 95 % interval; of the normal distribution where no spread was estimated."""
    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) if freedom else _NORMAL


def _variance(scores: Sequence[float], mean: float) -> float:
    """With divisor n - 1; exactly rounded sums, so that the order of the seeds moves nothing."""
    n = len(scores)
    return math.fsum((score - mean) ** 2 for score in scores) / (n - 1) if n > 1 else math.nan


def _error(sample: Sample) -> float:
    """The squared standard error over episodes of the mean over seeds; of seeds that do not tell it as of those that do."""
    if not sample.errors:
        return 0.0
    squares = [error**2 for error in sample.errors.values()]
    counted = len(sample.scores) - len(sample.failed & sample.scores.keys())  # a failed seed has no episodes
    return math.fsum(squares) / len(squares) * counted / len(sample.scores) ** 2


def _pooled(variances: FloatArray, counts: NDArray[np.int_], dust: float) -> tuple[float, float, float]:
    """Mean of the variances, its degrees of freedom and those of the smallest sample; zeros without a spread above `dust`.

    With two or three contestants Satterthwaite's estimate comes out so much too large where spreads differ that claims need it
    lowered too.
    """
    several = counts > 1
    found, least = variances[several], float(counts[several].min() - 1) if several.any() else 0.0
    pooled = float(found.mean()) if len(found) else 0.0
    if pooled <= dust:
        return 0.0, 0.0, 0.0
    freedom = _satterthwaite(found, counts[several] - 1.0)
    if 1 < len(found) < CALIBRATED:
        freedom = max(least, freedom - (CALIBRATED - len(found)) / 2)
    return pooled, freedom, least


def _satterthwaite(variances: NDArray[Any], freedom: NDArray[Any] | float) -> float:
    parts = variances / variances.sum()  # squares of tiny variances would vanish
    return 1 / float(np.sum(parts**2 / freedom))
