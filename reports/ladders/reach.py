"""How far contestants reach, who reaches further than whom, and whether that holds at twice the budget.

The reach of a seed is the number of the highest rung that it passed with none failed below; that of a contestant is the mean
over its seeds. Reaches come in steps, so that seeds which agree have no spread and are still no surer than a step: one rung is
the least standard deviation that is believed. Claims are those of `dsbench.reports.claims`, one family for a whole page.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from scipy.special import stdtrit

from dsbench.reports.claims import ALONE, ERROR_RATE, FEWEST, Claims, Contest
from dsbench.reports.ladders.climbs import Climb
from dsbench.reports.outcomes import Sample
from dsbench.reports.spread import Spread
from dsbench.reports.statistics import Estimate

STEP = 1.0  # rung: the least spread between seeds that is believed


class Holds(Enum):
    """What twice the budget says of a claim."""

    YES = "holds at twice the budget"
    NO = "depends on the budget"
    OPEN = "not tried at twice the budget"


@dataclass(frozen=True)
class Verdict:
    """A claim that one contestant reaches further than another."""

    further: str
    other: str
    holds: Holds


@dataclass(frozen=True)
class Judged:
    """A climb with all that is claimed of it.

    Attributes:
        twice: the climb with twice the budget, where there is one.
        estimates: contestant -> reach, of those whose seeds have all ended.
    """

    climb: Climb
    twice: Climb | None
    estimates: Mapping[str, Estimate]
    verdicts: tuple[Verdict, ...]

    @property
    def pairs(self) -> int:
        """Of contestants that could be told apart."""
        count = len(self.climb.rivals)
        return count * (count - 1) // 2


def contests_of(climbs: Iterable[Climb]) -> dict[Hashable, Contest]:
    """What is asked about climbs, to be decided together with all else that stands on the page."""
    return {climb.key: Contest([_spread(climb)]) for climb in climbs if len(climb.rivals) > 1}


def judged(climbs: Sequence[Climb], claims: Claims) -> list[Judged]:
    """Of every climb that is not the doubled one of another, in order.

    Args:
        claims: that `contests_of` the same climbs are among.
    """
    twice = {index: next((two for two in climbs if two.is_twice(one)), None) for index, one in enumerate(climbs)}
    doubled = {id(two) for two in twice.values() if two is not None}
    return [
        Judged(one, twice[index], _estimates(one), tuple(_verdicts(one, twice[index], claims)))
        for index, one in enumerate(climbs)
        if id(one) not in doubled
    ]


def least_gap(seeds: int, contestants: int, family: int) -> int:
    """Rungs between two means below which nothing can be claimed, however well seeds agree; 0 where nothing ever can.

    Args:
        seeds: of each contestant.
        family: pairs that are compared on the page.
    """
    if contestants < 2 or seeds < (FEWEST if contestants > 2 else ALONE):
        return 0
    freedom = contestants * (seeds - 1)
    least = float(stdtrit(freedom, 1 - ERROR_RATE / (2 * max(1, family)))) * STEP * math.sqrt(2 / seeds)
    return math.ceil(least)


def _spread(climb: Climb) -> Spread:
    return Spread({one.name: Sample(dict(one.reaches)) for one in climb.rivals}, least=STEP)


def _estimates(climb: Climb) -> dict[str, Estimate]:
    """Controls are judged by their own spread: what stays at the foot says nothing of how far others vary."""
    rivals = _spread(climb) if climb.rivals else None
    found = {}
    for one in climb.climbers:
        if one.finished:
            spread = rivals if rivals is not None and one.name in rivals.names else Spread(
                {one.name: Sample(dict(one.reaches))}, least=STEP
            )  # fmt: skip
            found[one.name] = _within(spread.estimate(one.name), climb.top)
    return found


def _within(one: Estimate, top: int) -> Estimate:
    if one.low is None or one.high is None:
        return one
    return Estimate(one.mean, max(0.0, one.low), min(float(top), one.high), one.n, one.calibrated)


def _verdicts(climb: Climb, twice: Climb | None, claims: Claims) -> Iterable[Verdict]:
    names = [one.name for one in climb.rivals]
    for further in names:
        for other in names:
            if further != other and claims.above(climb.key, further, other):
                yield Verdict(further, other, _holds(twice, further, other, claims))


def _holds(twice: Climb | None, further: str, other: str, claims: Claims) -> Holds:
    if twice is None or not {further, other} <= {one.name for one in twice.rivals}:
        return Holds.OPEN
    return Holds.YES if claims.above(twice.key, further, other) else Holds.NO
