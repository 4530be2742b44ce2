"""The climb: rung by rung, every contestant until all of its seeds have failed two rungs running. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dsbench.config import RunConfig, run_id
from dsbench.ladders.plan import Plan
from dsbench.reports.outcomes import ended, finite, measure_in
from dsbench.running.worker_process import Outcome

ENOUGH = 2  # rungs running on which every seed failed
STOPPED = ("interrupted", "held")  # nothing is known of such a run yet

RunAll = Callable[[Sequence[RunConfig]], list[Outcome]]


@dataclass(frozen=True)
class Climbed:
    """What a climb came to: the outcomes of all its runs, and whether it went to its end."""

    outcomes: list[Outcome]
    finished: bool


def climb(plan: Plan, run_all: RunAll, tell: Callable[[str], None]) -> Climbed:
    """Run what is missing; finished runs are taken as they are, so that the same call goes on where it stopped.

    Every seed of a contestant runs on every rung that the contestant starts, whatever became of it below.

    Args:
        run_all: does runs, finished ones skipped, and gives an outcome for each.
        tell: told each rung before it begins.
    """
    climbing, failed = plan.contestants, dict.fromkeys(plan.contestants, 0)
    outcomes: list[Outcome] = []
    for number, rung in enumerate(plan.ladder.rungs):
        if not climbing:
            break
        runs = plan.runs_at(number, climbing)
        tell(f"Rung {number + 1} of {len(plan.rungs)}, {rung.label} ({plan.ladder.scale}): {len(runs)} runs of "
             f"{', '.join(climbing)}")  # fmt: skip
        found = run_all(runs)
        outcomes += found
        if any(one.status in STOPPED for one in found):
            return Climbed(outcomes, False)
        up = {run_id(config) for config, one in zip(runs, found, strict=True) if passed(one, plan.ladder.marks[number])}
        for name in climbing:
            own = {run_id(config) for config in plan.runs_at(number, [name])}
            failed[name] = 0 if own & up else failed[name] + 1
        climbing = [name for name in climbing if failed[name] < ENOUGH]
    return Climbed(outcomes, True)


def passed(one: Outcome, mark: float) -> bool:
    """Whether a run ended well, with a score at the mark or above."""
    if one.row is None:
        return False
    status, _ = ended(one.status, None, one.row)
    score = one.row.get(measure_in(one.row))
    return status == "ok" and finite(score) and score >= mark


def folder_of_pages(results: Path, names: Sequence[str]) -> Path:
    """Where the page of these ladders goes, unless the user says otherwise."""
    return results / "ladders" / (names[0] if len(names) == 1 else "profile")
