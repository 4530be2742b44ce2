"""Cells and tables of a report out of estimates."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from dsbench.reports.claims import Claims
from dsbench.reports.document import MISSING, Cell, Heading
from dsbench.reports.outcomes import Sample
from dsbench.reports.statistics import Estimate, share


def words(text: str | None) -> Cell:
    """A cell of text, sorted by it."""
    return Cell(text, text) if text else Cell(MISSING)


def whole(number: float | None) -> Cell:
    """A cell of a whole number."""
    return Cell(MISSING) if number is None else Cell(f"{number:,.0f}", float(number))


def measured(one: Estimate | None, form: str, best: bool = False, exact: bool = False) -> Cell:
    """A mean with its interval (`Estimate.text`); with `exact` nothing stands after a number that is the same for all seeds."""
    if one is None:
        return Cell(MISSING)
    text = format(one.mean, form) if exact and not one.half_width else one.text(form)
    return Cell(text, one.mean, best, one.low, one.high, one.n)


def behind_heading(best: str) -> Heading:
    """Of the column of differences from `best`."""
    return Heading(
        f"− {best}",
        f"mean of this minus that of {best}; the interval leaves out 0 exactly where the difference is claimed",
    )


def behind(claims: Claims, key: Hashable, name: str, best: str, form: str) -> Cell:
    """How far a contestant is from the best."""
    return Cell(MISSING) if name == best else measured(claims.difference(key, name, best), form)


def solving(sample: Sample | None, mark: float) -> Cell:
    """``4/5 [0.28, 0.99]``: seeds that reach the mark, failed ones among those that do not."""
    if sample is None:
        return Cell(MISSING)
    reached = sum(score >= mark for seed, score in sample.scores.items() if seed not in sample.failed)
    one = share(reached, len(sample.scores))
    return Cell(f"{reached}/{one.n} [{one.low:.2f}, {one.high:.2f}]", one.mean, False, one.low, one.high, one.n)


def form_of(numbers: Sequence[float], digits: int = 3) -> str:
    """A format with `digits` significant digits of the largest number: shares 0.953, returns 2,577, scores 95.3."""
    largest = max((abs(number) for number in numbers), default=0.0)
    for limit, places in ((1000.0, 0), (100.0, 1), (10.0, 2)):
        if largest >= limit:
            return f",.{max(0, places + digits - 3)}f"
    return f",.{digits}f"
