"""The normalised score over all tasks against what it costs; for a time a picture a way of acting, with its own tasks."""

from __future__ import annotations

from dataclasses import replace

from dsbench.reports.columns import choice_of
from dsbench.reports.content.contest import Contestant
from dsbench.reports.content.fronts import Point, front
from dsbench.reports.content.overall import Pool, pool
from dsbench.reports.content.prices import mean_cost
from dsbench.reports.content.timing import LATENCY_P50
from dsbench.reports.document import Figure

_SIZE, _TIME = "parameters_total", "latency_p50_us"


def pooled_fronts(found: Pool) -> list[Figure]:
    """The figures of what is pooled: the time of each way of acting that at least two of the tasks share, then the size."""
    ways = sorted({way for task in found.members for one in task.learned if (way := _way(one)) is not None})
    figures = [_of_way(found, way, len(ways) > 1) for way in ways]
    return [one for one in (*figures, _figure(found, _SIZE, "overall")) if one is not None]


def _way(one: Contestant) -> str | None:
    """How it acted, where one way is known."""
    choice = choice_of(one.ok, LATENCY_P50)
    return choice.conditions.acting if choice is not None and choice.conditions is not None else None


def _of_way(found: Pool, way: str, several: bool) -> Figure | None:
    """Of the tasks on which some act so, pooled anew: a score of other tasks would stand beside the wrong times."""
    if not several:
        return _figure(found, _TIME, "overall", f"All act {_adverb(way)}.", way)
    tasks = [task for task in found.members if any(_way(one) == way for one in task.learned)]
    own = found if len(tasks) == len(found.members) else pool(tasks)
    name = "overall" if way == "stateful" else f"overall-{way.replace(' ', '-')}"
    if own is None:
        return None
    told = f"Of {', '.join(own.tasks)}, and of those that act {_adverb(way)}: times of several ways are not averaged."
    return _figure(own, _TIME, name, told, way)


def _adverb(way: str) -> str:
    return "statefully" if way == "stateful" else f"{way} timesteps"


def _figure(found: Pool, key: str, name: str, told: str = "", way: str = "") -> Figure | None:
    """The mean over the tasks against a cost."""
    points, reasons = [], {}
    for who, mean in found.means.items():
        own = [one for task in found.members for one in task.learned if one.name == who]
        if way and not any(_way(one) in (way, None) for one in own):
            continue  # it has its mark in another picture
        cost = mean_cost(own, key)
        if isinstance(cost, str):
            reasons[who] = cost
        elif cost is not None:
            points.append(Point(who, cost, mean.mean, mean.low, mean.high, mean.calibrated))
    of = ", ".join(filter(None, [f"{len(found.members)} tasks", way]))
    drawn = front(name, "normalised score (mean)", of, key, points, reasons)
    if drawn is None:
        return None
    spread = "Costs are means over the tasks; a bar runs from the least of them to the most."
    return replace(drawn, caption=" ".join(filter(None, [drawn.caption, told, spread])))
