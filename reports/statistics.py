"""A mean over seeds with its 95 % interval; the same numbers for the same values in whatever order."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scipy.special import bdtri, stdtrit  # the functions behind scipy.stats, which is slow to import

from dsbench.errors import UsageError

CONFIDENCE = 0.95
FEW = 5  # below this many seeds only differences far above the spread can be told
CALIBRATED = 4  # contestants of a task from which on the spread of one is judged well enough by that of its sisters
_PLACES = re.compile(r"\.([0-9]+)f\Z")
_MOST_PLACES = 6


@dataclass(frozen=True)
class Estimate:
    """A mean over `n` seeds and its interval.

    Attributes:
        low, high: None with one seed, which says nothing about others, or where nothing tells how far seeds may be off.
        calibrated: whether intervals of this kind were simulated to hold the mean as often as they say.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    calibrated: bool = True

    @property
    def half_width(self) -> float | None:
        """The farther end of the interval from the mean; None without an interval."""
        return None if self.low is None or self.high is None else max(self.high - self.mean, self.mean - self.low)

    def scaled(self, factor: float) -> Estimate:
        """In another unit: everything times a factor above 0."""
        low, high = (None if end is None else factor * end for end in (self.low, self.high))
        return replace(self, mean=factor * self.mean, low=low, high=high)

    def mean_text(self, form: str) -> str:
        """The mean as `text` prints it: two that are printed alike are equals to a reader."""
        return format(self.mean, f"z{_fine(form, self.half_width or 0.0)}")  # z: what rounds to zero has no sign

    def text(self, form: str) -> str:
        """``mean ± half-width`` under a format specification, ``mean [low, high]`` where the mean is not in the middle;
        the mean alone without an interval. An interval that has a width shows one: where it would round to zero there are
        more digits."""
        form = _fine(form, self.half_width or 0.0)
        unsigned, mean = f"z{form}", self.mean_text(form)
        if self.low is None or self.high is None:
            return mean
        if math.isclose(self.high - self.mean, self.mean - self.low, rel_tol=1e-6, abs_tol=1e-9 * abs(self.mean)):
            return f"{mean} ± {format(self.high - self.mean, form)}"
        return f"{mean} [{format(self.low, unsigned)}, {format(self.high, unsigned)}]"

    def to_dict(self) -> dict[str, float | int | None]:
        return {"mean": self.mean, "low": self.low, "high": self.high, "n": self.n}


def _fine(form: str, half: float) -> str:
    """The format with as many places as a half-width needs to show a digit; powers of ten where those are many."""
    found = _PLACES.search(form)
    if found is None or not half or float(format(half, f".{found[1]}f")):
        return form
    places = -math.floor(math.log10(half))
    return form[: found.start()] + (f".{places}f" if places <= _MOST_PLACES else ".3e")


def estimate(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Mean with Student's t interval: mean ± t((1 + confidence) / 2; n - 1) · s / √n, s with divisor n - 1.

    For what is measured and no contest (costs, sizes, curves). Scores have intervals of `dsbench.reports.spread`. Sums are
    exactly rounded (`math.fsum`), so that the order of the runs cannot move the last digit.

    Args:
        values: one number a seed, (n,).
        confidence: between 0 and 1, both excluded.

    Raises:
        UsageError: no values, a value that is not finite, or a confidence outside of (0, 1).
    """
    if not values:
        raise UsageError("no values to average; expected at least one finished seed")
    for value in values:
        if not math.isfinite(value):
            raise UsageError(f"cannot average {value!r}; expected finite numbers: leave out what was not measured")
    if not 0 < confidence < 1:
        raise UsageError(f"confidence is {confidence!r}; expected a number between 0 and 1, for example 0.95")
    n = len(values)
    mean = math.fsum(values) / n
    if n == 1:
        return Estimate(mean, None, None, 1)
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * math.sqrt(variance / n)
    return Estimate(mean, mean - half, mean + half, n)


def share(successes: int, n: int, confidence: float = CONFIDENCE) -> Estimate:
    """A share of `n` with its exact interval (Clopper and Pearson 1934): holds for every probability and every n.

    Raises:
        UsageError: n below 1, or successes outside of 0..n.
    """
    if not 0 <= successes <= n or n < 1:
        raise UsageError(f"{successes!r} of {n!r} is no share; expected 0 to n of at least 1")
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else float(bdtri(successes - 1, n, 1 - tail))
    high = 1.0 if successes == n else float(bdtri(successes, n, tail))
    return Estimate(successes / n, low, high, n)


def few_seeds(counts: Sequence[int]) -> str | None:
    """One sentence of caution when a mean stands on fewer than `FEW` seeds; None when all have enough."""
    low = [count for count in counts if 0 < count < FEW]
    if not low:
        return None
    least = min(low)
    if least == 1:
        return f"Few seeds: some rows have n < {FEW}; a single seed has no interval and supports no claim."
    seldom = "can rarely support a claim" if least > 2 else "cannot support a claim"  # see claims.FEWEST
    return f"Few seeds: some rows have n < {FEW}, where an interval is wide; n = {least} {seldom}."
