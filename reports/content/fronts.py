"""What is gained for what cost: the score against latency or size, with the front of those that no other beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dsbench.reports.columns import COLUMNS, estimate_of
from dsbench.reports.content.contest import Contestant, Task, ranked
from dsbench.reports.document import Figure
from dsbench.reports.figures import UNCALIBRATED, Axis, Series, plot
from dsbench.reports.groups import Run

COSTS = {
    "latency_p50_us": ("latency", "median latency, µs a decision"),
    "parameters_total": ("parameters", "parameters"),
}
_COLUMNS = {column.key: column for column in COLUMNS}


class Point(NamedTuple):
    """One contestant: its cost, its score with the bounds of an interval where there is one, and the scores of its seeds."""

    name: str
    cost: float
    score: float
    low: float | None
    high: float | None
    calibrated: bool = True
    seeds: Sequence[float] = ()


def front_of(task: Task, key: str) -> Figure | None:
    """The figure of one task; None with less than two contestants."""
    points = [
        Point(one.name, cost, score.mean, score.low, score.high, score.calibrated, _seeds(task, one))
        for one, score in ranked(task)
        if (cost := cost_of(one.ok, key)) is not None
    ]
    return front(task.name, task.measure_text, task.title, key, points)


def _seeds(task: Task, one: Contestant) -> Sequence[float]:
    return list(task.samples[one.name].scores.values())


def cost_of(runs: Sequence[Run], key: str) -> float | None:
    """Mean over seeds of a key of `COSTS`."""
    one = estimate_of(runs, _COLUMNS[key])
    return None if one is None else one.mean


def front(name: str, measure: str, of: str, key: str, points: Sequence[Point]) -> Figure | None:
    """The figure of these points; None with less than two."""
    if len(points) < 2:
        return None
    short, words = COSTS[key]
    clouds = [_cloud(point) for point in sorted(points)]
    ends = undominated(points)
    line = Series("Pareto front", [end.cost for end in ends], [end.score for end in ends], dashed=True, marks=False)
    caption = (
        f"{measure[:1].upper()}{measure[1:]} against {words}, means with 95 % intervals of the score. Dashed line: the front "
        f"of those that no other beats in both: {', '.join(end.name for end in ends)}."
        + (" Small dots: seeds." if any(point.seeds for point in points) else "")
        + ("" if all(point.calibrated for point in points) else UNCALIBRATED)
    )
    title = f"{measure} × {short}: {of}"
    return plot(f"{short}-{name}", title, caption, [*clouds, line], Axis(words, log=True), Axis(measure))


def undominated(points: Sequence[Point]) -> list[Point]:
    """Those that no other beats in one of cost and score without losing in the other, the cheapest first."""
    ends: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, -point.score, point.name)):
        if not ends or point.score > ends[-1].score:
            ends.append(point)
    return ends


def _cloud(point: Point) -> Series:
    low, high = (None, None) if point.low is None or point.high is None else ([point.low], [point.high])
    return Series(
        point.name, [point.cost], [point.score], low, high, line=False,
        uncertain=not point.calibrated, dots=[point.seeds],
    )  # fmt: skip
