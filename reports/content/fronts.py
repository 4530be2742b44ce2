"""What is gained for what cost: the score against latency or size, with the front of those that no other beats in both.

A time belongs to a way of acting on a machine: contestants of several stand in one picture as marks of their own names, and a
front is drawn among those of equal conditions alone. A time that is not known to be that of a core of one's own is a hollow
mark and lies on no front.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dsbench.reports.conditions import OF_A_CONTEST, differing
from dsbench.reports.content.contest import Contestant, Task, ranked
from dsbench.reports.content.prices import COSTS, Cost, cost_of, left_out
from dsbench.reports.contention import WHY_UNKNOWN, Core
from dsbench.reports.document import Figure
from dsbench.reports.figures import UNCALIBRATED, Axis, Series, plot
from dsbench.reports.outcomes import UNBOUNDED, Bounds

_HOLLOW = {
    Core.SHARED: "other work had the core while they were timed, which can only make it slower",
    Core.UNKNOWN: f"it is not known whether other work had the core ({WHY_UNKNOWN})",
}


class Point(NamedTuple):
    """One contestant: its cost, its score with the bounds of an interval where there is one, and the scores of its seeds."""

    name: str
    cost: Cost
    score: float
    low: float | None
    high: float | None
    calibrated: bool = True
    seeds: Sequence[float] = ()


def front_of(task: Task, key: str) -> Figure | None:
    """The figure of one task; None with less than two contestants."""
    costs = {one.name: cost_of(one.ok, key) for one in task.learned}
    points = [
        Point(one.name, cost, score.mean, score.low, score.high, score.calibrated, _seeds(task, one))
        for one, score in ranked(task)
        if (cost := costs[one.name]) is not None
    ]
    reasons = {one.name: why for one in task.learned if (why := left_out(one.ok, key)) is not None}
    return front(task.name, task.measure_text, task.title, key, points, reasons, task.bounds)


def _seeds(task: Task, one: Contestant) -> Sequence[float]:
    return list(task.samples[one.name].scores.values())


def front(
    name: str,
    measure: str,
    of: str,
    key: str,
    points: Sequence[Point],
    reasons: Mapping[str, str] | None = None,
    bounds: Bounds = UNBOUNDED,
) -> Figure | None:
    """The figure of these points; None with less than two.

    Args:
        reasons: contestant -> why it has no mark.
        bounds: of the measure.
    """
    if len(points) < 2:
        return None
    short, of_cost = COSTS[key]
    told = _told_apart(points)
    clouds = [_cloud(point, told[point.name]) for point in sorted(points, key=lambda point: point.name)]
    fronts = _fronts(points, told)
    lines = [
        Series(
            ", ".join(filter(None, ["Pareto front", words])), [end.cost.mean for end in ends], [end.score for end in ends],
            dashed=True, marks=False,
        )
        for words, ends in fronts.items()
    ]  # fmt: skip
    sentences = [
        f"{measure[:1].upper()}{measure[1:]} against {of_cost}, means with 95 % intervals of the score.",
        *_sentences(points, fronts),
        *(f"Without a mark: {who}, for no mean is over times {why}." for who, why in (reasons or {}).items()),
        "Small dots: seeds." if any(point.seeds for point in points) else "",
        "" if all(point.calibrated for point in points) else UNCALIBRATED.strip(),
    ]
    title = f"{measure} × {short}: {of}"
    return plot(
        f"{short}-{name}",
        title,
        " ".join(filter(None, sentences)),
        [*clouds, *lines],
        Axis(of_cost, log=True),
        Axis(measure, least=bounds.minimum, most=bounds.maximum),
    )


def _told_apart(points: Sequence[Point]) -> dict[str, str]:
    """Name -> in what words its conditions differ from those of others; machines go by their number."""
    known = [one.cost.conditions for one in points if one.cost.conditions is not None]
    machines = sorted({one.machine for one in known})
    words = {
        "acting": lambda one: one.acting,
        "threads": lambda one: f"{one.threads} threads",
        "device": lambda one: one.device,
        "machine": lambda one: f"machine {machines.index(one.machine) + 1}",
    }
    shown = [words[name] for name in OF_A_CONTEST if differing(known, (name,))]
    return {
        one.name: "" if one.cost.conditions is None else ", ".join(word(one.cost.conditions) for word in shown)
        for one in points
    }


def _fronts(points: Sequence[Point], told: Mapping[str, str]) -> dict[str, list[Point]]:
    """The words of their conditions -> those that no other of the same beats; of undisturbed ones alone."""
    groups: dict[str, list[Point]] = {}
    for one in points:
        if one.cost.core is Core.ALONE:
            groups.setdefault(told[one.name], []).append(one)
    return {words: undominated(own) for words, own in groups.items() if len(own) > 1}


def _sentences(points: Sequence[Point], fronts: Mapping[str, Sequence[Point]]) -> list[str]:
    told = [
        f"{', '.join(filter(None, ['Dashed line', words]))}: the front of those that no other beats in both: "
        f"{', '.join(end.name for end in ends)}."
        for words, ends in fronts.items()
    ]
    told += ["A front is one of means: it describes them, and no claim is made."] if told else []
    several = differing([one.cost.conditions for one in points if one.cost.conditions is not None], OF_A_CONTEST)
    if several:
        told.append(f"No front runs between times measured {several}.")
    for core, why in _HOLLOW.items():
        own = [one.name for one in points if one.cost.core is core]
        who = "all" if len(own) == len(points) else ", ".join(sorted(own))
        told += [f"Hollow, and on no front ({core.value}): {who}; {why}."] if own else []
    return told


def undominated(points: Sequence[Point]) -> list[Point]:
    """Those that no other beats in one of cost and score without losing in the other, the cheapest first."""
    ends: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost.mean, -point.score, point.name)):
        if not ends or point.score > ends[-1].score:
            ends.append(point)
    return ends


def _cloud(point: Point, conditions: str) -> Series:
    cost = point.cost
    low, high = (None, None) if point.low is None or point.high is None else ([point.low], [point.high])
    left, right = (None, None) if cost.least is None or cost.most is None else ([cost.least], [cost.most])
    mark = f" {cost.core.value}" if cost.core.value else ""
    return Series(
        f"{', '.join(filter(None, [point.name, conditions]))}{mark}", [cost.mean], [point.score], low, high, line=False,
        uncertain=not point.calibrated, dots=[point.seeds],
        left=left, right=right, hollow=cost.core is not Core.ALONE,
    )  # fmt: skip
