"""Cells and tables of a report out of estimates."""

from __future__ import annotations

from collections.abc import Sequence

from dsbench.reports.document import MISSING, Cell
from dsbench.reports.statistics import Estimate


def words(text: str | None) -> Cell:
    """A cell of text, sorted by it."""
    return Cell(text, text) if text else Cell(MISSING)


def whole(number: float | None) -> Cell:
    """A cell of a whole number."""
    return Cell(MISSING) if number is None else Cell(f"{number:,.0f}", float(number))


def measured(one: Estimate | None, form: str, best: bool = False, exact: bool = False) -> Cell:
    """``mean ± half-width``; with `exact` nothing stands after a number that is the same for all seeds."""
    if one is None:
        return Cell(MISSING)
    text = format(one.mean, form) if exact and not one.half_width else one.text(form)
    return Cell(text, one.mean, best, one.low, one.high, one.n)


def winner(estimates: Sequence[Estimate | None], more_is_better: bool = True) -> int | None:
    """The place of the one whose interval lies beyond those of all others; None where no interval does.

    One that stands alone wins nothing, and neither does one with a rival whose interval is not known.
    """
    bounds: list[tuple[float, float, int]] = []
    for place, one in enumerate(estimates):
        if one is not None and (one.low is None or one.high is None):
            return None
        if one is not None and one.low is not None and one.high is not None:
            bounds.append((one.low, one.high, place) if more_is_better else (-one.high, -one.low, place))
    if len(bounds) < 2:
        return None
    low, _, best = max(bounds)
    return best if all(low > high for _, high, place in bounds if place != best) else None


def separated(above: Estimate, below: Estimate) -> bool:
    """Whether the interval of the first lies above that of the second."""
    return above.low is not None and below.high is not None and above.low > below.high


def form_of(numbers: Sequence[float], digits: int = 3) -> str:
    """A format with `digits` significant digits of the largest number: shares 0.953, returns 2,577, scores 95.3."""
    largest = max((abs(number) for number in numbers), default=0.0)
    for limit, places in ((1000.0, 0), (100.0, 1), (10.0, 2)):
        if largest >= limit:
            return f",.{max(0, places + digits - 3)}f"
    return f",.{digits}f"
