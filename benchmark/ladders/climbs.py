"""All of ``dsbench ladder``: one ladder after the other is climbed, then the page is written. Prints nothing by itself."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dsbench.backbones.catalogue import BACKBONES
from dsbench.config import RunConfig
from dsbench.config.outside_code import sources_of
from dsbench.errors import UsageError
from dsbench.files import stays_inside
from dsbench.ladders.climbing import climb, folder_of_pages
from dsbench.ladders.forecast import forecast, told
from dsbench.ladders.known import remember, whole
from dsbench.ladders.ladder_file import LadderFile, load_ladder, shipped
from dsbench.ladders.page import groups_in, report_of
from dsbench.ladders.plan import Plan, Wishes, plan_of
from dsbench.outside.trust import using
from dsbench.reports.document import Report
from dsbench.running import launcher
from dsbench.running.progress import Display
from dsbench.running.sweep import default_jobs
from dsbench.running.worker_process import Outcome
from dsbench.studies.writing import write

WIDTH = "backbone.d_model"


@dataclass(frozen=True)
class Asked:
    """What is to be climbed.

    Attributes:
        files: name -> ladder.
        plans: of each its climb, and after it the one with twice the budget where that is asked for.
        own: whether it is a file of the user's, under whatever name.
        left_out: ladders that cannot be climbed like this, and why, in sentences.
    """

    files: Mapping[str, LadderFile]
    wishes: Wishes
    plans: Sequence[Plan]
    own: bool
    left_out: Sequence[str] = ()

    @property
    def most_runs(self) -> int:
        return sum(len(plan.rungs) * len(plan.contestants) * len(plan.seeds) for plan in self.plans)


@dataclass(frozen=True)
class Way:
    """How runs are done and what is told meanwhile.

    Attributes:
        display: makes what shows the progress of several runs.
        tell: takes a line of what happens.
        jobs: runs at once; None for as many as fill the cores.
    """

    display: Callable[[], Display]
    tell: Callable[[str], None]
    jobs: int | None = None

    def at_once(self, runs: Sequence[RunConfig]) -> int:
        return min(self.jobs or default_jobs(runs[0].threads), len(runs))

    def run_all(self, runs: Sequence[RunConfig], results: Path) -> list[Outcome]:
        return launcher.run_all(runs, results, at_once=self.at_once(runs), display=self.display())


@dataclass
class Climbs:
    """What came of it: the outcomes of all runs, the report, and the page on disk."""

    report: Report
    page: Path
    outcomes: list[Outcome] = field(default_factory=list)


def asked(name: str | None, every: bool, wishes: Wishes, twice: bool) -> Asked:
    """The plans of one ladder, or of all that ship. Backbones from outside that the wishes name may run from now on.

    Raises:
        UsageError: neither or both are asked for, or something cannot be used.
    """
    if every == (name is not None):
        raise UsageError("expected the name of a ladder, the path of a .yaml file, or --all; see dsbench list ladders")
    wishes = replace(wishes, backbones=_named(wishes.backbones))
    files = dict(load_ladder(one) for one in (shipped() if every else [str(name)]))
    if wishes.to is not None and len(files) > 1:
        raise UsageError(f"--to is {wishes.to!r} and --all climbs ladders of different rungs; give it with one of them")
    plans, left_out = [], []
    for one, file in files.items():
        if wishes.match is not None and WIDTH in file.turned:
            if len(files) == 1:
                raise UsageError(f"{one} turns the width, which --match would choose; leave out --match")
            left_out.append(f"{one} is left out: it turns the width, which --match chooses")
            continue
        plans += [
            plan_of(one, file, replace(wishes, twice=doubled)) for doubled in ((False, True) if twice else (False,))
        ]
    return Asked(files, wishes, plans, name is not None and name not in shipped(), left_out)


def _named(backbones: Sequence[str] | None) -> list[str] | None:
    found = None if backbones is None else [BACKBONES.spelled_out(name) for name in backbones]
    for name in found or ():
        BACKBONES.named(name)
    return found


def climb_all(what: Asked, results: Path, out: Path | None, command: str, way: Way) -> Climbs:
    """Climb what is missing, and write the page.

    Args:
        out: folder of the page; None for the one in the results folder.
        command: that does the same again.
    """
    page_folder = out or folder_of_pages(results, list(what.files))
    stays_inside(page_folder, results)
    outcomes = _climbed(what, results, way)
    ladders = list({plan.ladder.name: plan.ladder for plan in what.plans}.values())
    report = report_of(ladders, groups_in(results), command)
    return Climbs(report, write(report, page_folder, "ladder"), outcomes)


def _climbed(what: Asked, results: Path, way: Way) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for sentence in what.left_out:
        way.tell(f"Ladder  {sentence}")
    with using(sources_of([config for plan in what.plans for rung in plan.rungs for config in rung.values()])):
        for plan in what.plans:
            if stopped := _announced(plan, results, way):
                return [*outcomes, *stopped]
            if what.own:
                name = plan.ladder.name
                remember(whole(name, what.files[name], what.wishes), results)
            found = climb(plan, lambda runs: way.run_all(runs, results), way.tell)
            outcomes += found.outcomes
            way.tell("")
            if not found.finished:
                return outcomes
    return outcomes


def _announced(plan: Plan, results: Path, way: Way) -> Sequence[Outcome]:
    """Tells what will be climbed and what it will cost; returns what somebody interrupted meanwhile."""
    way.tell(
        f"Ladder  {plan.ladder.name}: {', '.join(plan.contestants)}; {len(plan.seeds)} seeds, {len(plan.rungs)} rungs from "
        f"{plan.ladder.rungs[0].label} to {plan.ladder.rungs[-1].label} ({plan.ladder.scale}), into {results}"
    )
    for one, other in plan.same.items():
        way.tell(f"        {one} is {other} here, whose runs would be the same")
    at_once = way.at_once(plan.runs_at(0, plan.contestants))
    with tempfile.TemporaryDirectory(prefix="dsbench-") as scratch:
        found = forecast(plan, results, Path(scratch), lambda runs: way.run_all(runs, Path(scratch)), at_once)
    if not found.stopped:
        way.tell(f"        {told(found, at_once)}")
    return found.stopped
