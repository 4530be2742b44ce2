"""Mean over seeds with its 95 % interval; the same numbers for the same values in whatever order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dsbench.errors import UsageError

CONFIDENCE = 0.95
FEW = 5  # below this many seeds a t-interval says little: it leans on the values being normally distributed


@dataclass(frozen=True)
class Estimate:
    """A mean over `n` seeds and its interval; the bounds are None with one seed, which says nothing about others."""

    mean: float
    low: float | None
    high: float | None
    n: int

    @property
    def half_width(self) -> float | None:
        """What stands after ±; None with one seed."""
        return None if self.high is None else self.high - self.mean

    def text(self, form: str) -> str:
        """``mean ± half-width`` under a format specification; the mean alone with one seed."""
        mean = format(self.mean, f"z{form}")  # z: what rounds to zero has no sign
        return mean if self.half_width is None else f"{mean} ± {format(self.half_width, form)}"

    def to_dict(self) -> dict[str, float | int | None]:
        return {"mean": self.mean, "low": self.low, "high": self.high, "n": self.n}


def estimate(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Mean with Student's t interval: mean ± t((1 + confidence) / 2; n - 1) · s / √n, s with divisor n - 1.

    Sums are exactly rounded (`math.fsum`), so that the order of the runs cannot move the last digit. The interval is
    not cut at the limits of a quantity: that of an accuracy may pass 1.

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
    from scipy.stats import t  # slow to import, and one seed does without

    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    half = float(t.ppf((1 + confidence) / 2, n - 1)) * math.sqrt(variance / n)
    return Estimate(mean, mean - half, mean + half, n)


def few_seeds(counts: Sequence[int]) -> str | None:
    """One sentence of caution when a mean stands on fewer than `FEW` seeds; None when all have enough."""
    low = [count for count in counts if 0 < count < FEW]
    if not low:
        return None
    if min(low) == 1:
        return (
            f"Few seeds: some rows have n < {FEW}, where an interval is wide and rough; a single seed has no interval."
        )
    return f"Few seeds: some rows have n < {FEW} (down to {min(low)} seeds), where an interval is wide and rough."
