"""From which context on one way to decide is faster than another. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Crossover:
    """Where a flat curve passes under a growing one.

    Attributes:
        context: decisions before, between the measured ones by straight lines; None where there is no such place.
        first, last: smallest and largest context at which both curves are known.
        below_at_first: whether it is faster at the smallest context already, and stays so.
    """

    context: float | None
    first: int
    last: int
    below_at_first: bool = False

    @property
    def text(self) -> str:
        """For people."""
        if self.below_at_first:
            return f"from t = {self.first} on (the smallest measured)"
        if self.context is None:
            return f"not within the measured range (t = {self.first} to {self.last})"
        return f"t = {self.context:,.0f}"


def crossover(rival: Mapping[int, float], ours: Mapping[int, float]) -> Crossover | None:
    """The smallest context from which on `ours` takes less time than `rival` at every measured context.

    Both map contexts to times; `ours` may be known at fewer contexts and is continued by straight lines. None where they
    share no range.
    """
    low, high = min(ours, default=0), max(ours, default=-1)
    contexts = [context for context in sorted(rival) if low <= context <= high or len(ours) == 1]
    if not contexts:
        return None
    gaps = [rival[context] - at(ours, context) for context in contexts]  # positive where ours is faster
    first, last = contexts[0], contexts[-1]
    if all(gap > 0 for gap in gaps):
        return Crossover(float(first), first, last, below_at_first=True)
    if gaps[-1] <= 0:
        return Crossover(None, first, last)
    place = max(index for index, gap in enumerate(gaps) if gap <= 0)
    (a, b), (gap_a, gap_b) = contexts[place : place + 2], gaps[place : place + 2]
    return Crossover(a + (b - a) * -gap_a / (gap_b - gap_a), first, last)


def at(curve: Mapping[int, float], context: float) -> float:
    """A curve between its points by straight lines, level outside of them."""
    places = sorted(curve)
    if context <= places[0] or len(places) == 1:
        return curve[places[0]]
    for a, b in pairwise(places):
        if context <= b:
            return curve[a] + (curve[b] - curve[a]) * (context - a) / (b - a)
    return curve[places[-1]]
