"""What a climb will cost, said before it starts: a few updates and one evaluation of every contestant are made for it.

Rehearsed (`dsbench.running.rehearsing`) are the first open rung, the last and one between, with the data of the climb's first
seed; rungs between two rehearsed ones lie on a straight line of the logarithm. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dsbench.config import RunConfig, run_id
from dsbench.errors import DsbenchError
from dsbench.ladders.climbing import ENOUGH, STOPPED, passed
from dsbench.ladders.plan import Plan
from dsbench.records.run_records import RunRecords
from dsbench.records.store import packed_before
from dsbench.running.progress import duration
from dsbench.running.rehearsing import UPDATES, rehearsal, rehearsed_seconds
from dsbench.running.worker_process import Outcome, folder_of

_BETWEEN = 4  # rungs from which on one in the middle is rehearsed too
_WORTH = 10  # times the updates of a rehearsal, from which on one is made

RunAll = Callable[[Sequence[RunConfig]], list[Outcome]]


@dataclass(frozen=True)
class Forecast:
    """Seconds that are still to come, with so many runs at once: if nobody passes another rung, and if everybody does.

    Attributes:
        done: runs of the climb that are finished.
        least, most: seconds; None where no rehearsal ended, or the runs are too short for one.
        runs: that may be to come at most.
        stopped: rehearsals that somebody interrupted, who wants nothing to begin.
    """

    done: int
    runs: int
    least: float | None = None
    most: float | None = None
    stopped: Sequence[Outcome] = ()


@dataclass(frozen=True)
class Open:
    """A contestant that still climbs: the rung it is on, from 0, and how many rungs running all its seeds have failed."""

    name: str
    rung: int
    failed: int


def open_contestants(plan: Plan, before: Callable[[RunConfig], Outcome | None]) -> tuple[list[Open], int]:
    """Who still climbs, by the runs that are finished, and how many those are."""
    found, done = [], 0
    for name in plan.contestants:
        failed = 0
        for rung in range(len(plan.rungs)):
            outcomes = [before(config) for config in plan.runs_at(rung, [name])]
            done += sum(one is not None for one in outcomes)
            if any(one is None for one in outcomes):
                found.append(Open(name, rung, failed))
                break
            failed = (
                0 if any(one is not None and passed(one, plan.ladder.marks[rung]) for one in outcomes) else failed + 1
            )
            if failed == ENOUGH:
                break
    return found, done


def forecast(plan: Plan, results: Path, scratch: Path, rehearse: RunAll, at_once: int) -> Forecast:
    """What the rest of the climb will cost.

    Args:
        results: where finished runs are.
        scratch: where `rehearse` makes its runs.
        at_once: runs of the climb at a time.
    """
    climbing, done = open_contestants(plan, lambda config: outcome_before(config, results))
    most = sum((len(plan.rungs) - one.rung) * len(plan.seeds) for one in climbing)
    if not climbing:
        return Forecast(done, 0, 0.0, 0.0)
    if _is_short(plan):
        return Forecast(done, most)
    asked = {
        (one.name, rung): rehearsal(plan.rungs[rung][one.name], plan.seeds[0])
        for one in climbing
        for rung in _rungs(one.rung, len(plan.rungs))
    }
    outcomes = rehearse(list({run_id(config): config for config in asked.values()}.values()))
    if stopped := [one for one in outcomes if one.status in STOPPED]:
        return Forecast(done, most, stopped=stopped)
    seconds = {
        (name, rung): cost
        for (name, rung), config in asked.items()
        if (cost := rehearsed_seconds(folder_of(config, scratch), plan.rungs[rung][name])) is not None
    }
    costs = {one.name: _along({rung: cost for (name, rung), cost in seconds.items() if name == one.name}, len(plan.rungs))
             for one in climbing}  # fmt: skip
    if not all(costs.values()):
        return Forecast(done, most)
    few = sum(sum(costs[one.name][one.rung : one.rung + ENOUGH - one.failed]) for one in climbing)
    every = sum(sum(costs[one.name][one.rung :]) for one in climbing)
    share = len(plan.seeds) / at_once
    return Forecast(done, most, few * share, every * share)


def outcome_before(config: RunConfig, results: Path) -> Outcome | None:
    """What a run gave before, in its folder or in a pack; None where it has to be made, or made again."""
    try:
        folder = folder_of(config, results)
        plan = folder.plan()
        records: RunRecords | None = folder if plan.action == "done" else None
        if records is None and plan.attempt == 1:
            records = packed_before(results, folder.run_id)
        row = None if records is None else records.latest_result()
    except DsbenchError:  # it is told when the run's turn comes
        return None
    return None if row is None else Outcome(run_id(config), str(row.get("status")), 0, row)


def _is_short(plan: Plan) -> bool:
    """A rehearsal would cost as much as what it tells of."""
    return all(config.train.updates < _WORTH * UPDATES for config in plan.rungs[-1].values())


def _rungs(first: int, count: int) -> list[int]:
    last = count - 1
    return sorted({first, last, *([(first + last) // 2] if last - first >= _BETWEEN else [])})


def _along(known: Mapping[int, float], count: int) -> list[float]:
    """Seconds on every rung out of those on some; empty where none is known."""
    if not known:
        return []
    places = sorted(known)
    found = []
    for rung in range(count):
        below = max((place for place in places if place <= rung), default=places[0])
        above = min((place for place in places if place >= rung), default=places[-1])
        share = 0.0 if above == below else (rung - below) / (above - below)
        low, high = max(known[below], 1e-3), max(known[above], 1e-3)
        found.append(low * (high / low) ** share)
    return found


def told(forecast: Forecast, at_once: int) -> str:
    """``12 runs are done; up to 268 to come: about 25 min if nobody passes another rung, 3 h 10 min if everybody does.``"""
    before = f"{forecast.done:,} runs are done; " if forecast.done else ""
    if not forecast.runs:
        return f"{before}nothing is left to climb"
    many = f"{before}up to {forecast.runs:,} runs to come, {at_once} at once"
    if forecast.least is None or forecast.most is None:
        return f"{many}; how long they take is not known, for no rehearsal was made or one did not end well"
    return (
        f"{many}: about {duration(forecast.least)} if nobody passes another rung, {duration(forecast.most)} if all do"
    )
