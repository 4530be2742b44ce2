"""What ``dsbench ladder`` does: climbs one ladder after the other, then writes the page and prints the table of reach."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from dsbench.cli.study_run import show_table
from dsbench.cli.summary import tell_unfinished
from dsbench.config import RunConfig
from dsbench.config.outside_code import sources_of
from dsbench.errors import UsageError
from dsbench.files import stays_inside
from dsbench.ladders.climbing import Climbed, climb, folder_of_pages
from dsbench.ladders.forecast import forecast, told
from dsbench.ladders.known import remember, whole
from dsbench.ladders.ladder_file import LadderFile, load_ladder, shipped
from dsbench.ladders.page import groups_in, report_of
from dsbench.ladders.plan import Plan, Wishes, plan_of
from dsbench.outside.trust import using
from dsbench.running import launcher
from dsbench.running.outcomes import exit_code_of
from dsbench.running.progress import display
from dsbench.running.sweep import default_jobs
from dsbench.running.worker_process import Outcome
from dsbench.studies.writing import write
from dsbench.text import say

WIDTH = "backbone.d_model"


def run_ladders(
    name: str | None,
    every: bool,
    wishes: Wishes,
    twice: bool,
    results: Path,
    out: Path | None,
    jobs: int | None,
    check: Callable[[int], None],
) -> int:
    """Climb what is missing, write the page, print its tables; the exit code is that of a sweep."""
    files = _asked(name, every)
    plans = _plans(files, wishes, twice)
    check(sum(_most_runs(plan) for plan in plans))
    page_folder = out or folder_of_pages(results, list(files))
    stays_inside(page_folder, results)
    outcomes: list[Outcome] = []
    with using(sources_of([config for plan in plans for rung in plan.rungs for config in rung.values()])):
        for plan in plans:
            if stopped := _announce(plan, results, jobs):
                outcomes += stopped
                break
            if name is not None and name not in shipped():
                remember(whole(plan.ladder.name, files[plan.ladder.name], wishes), results)
            climbed = _climb(plan, results, jobs)
            outcomes += climbed.outcomes
            say()
            if not climbed.finished:
                break
    tell_unfinished(outcomes, results)
    ladders = list({plan.ladder.name: plan.ladder for plan in plans}.values())
    report = report_of(ladders, groups_in(results), _command(name, wishes, twice, results))
    page = write(report, page_folder, "ladder")
    for section in report.sections:
        if section.name.startswith("verdicts") or (len(ladders) == 1 and section.name.startswith("ladder-")):
            show_table(section.tables[0])
    say(*report.headline, "", f"Saved   {page}")
    return exit_code_of(outcomes)


def _asked(name: str | None, every: bool) -> dict[str, LadderFile]:
    if every == (name is not None):
        raise UsageError("expected the name of a ladder, the path of a .yaml file, or --all; see dsbench list ladders")
    return dict(load_ladder(one) for one in (shipped() if every else [str(name)]))


def _plans(files: dict[str, LadderFile], wishes: Wishes, twice: bool) -> list[Plan]:
    """Of each ladder its climb, and after it the one with twice the budget where that is asked for."""
    plans = []
    if wishes.to is not None and len(files) > 1:
        raise UsageError(f"--to is {wishes.to!r} and --all climbs ladders of different rungs; give it with one of them")
    for name, file in files.items():
        if wishes.match is not None and WIDTH in file.turned:
            if len(files) == 1:
                raise UsageError(f"{name} turns the width, which --match would choose; leave out --match")
            say(f"Ladder  {name} is left out: it turns the width, which --match chooses")
            continue
        for doubled in (False, True) if twice else (False,):
            plans.append(plan_of(name, file, replace(wishes, twice=doubled)))
    return plans


def _most_runs(plan: Plan) -> int:
    return len(plan.rungs) * len(plan.contestants) * len(plan.seeds)


def _announce(plan: Plan, results: Path, jobs: int | None) -> Sequence[Outcome]:
    """Says what will be climbed and what it will cost; returns what somebody interrupted meanwhile."""
    say(
        f"Ladder  {plan.ladder.name}: {', '.join(plan.contestants)}; {len(plan.seeds)} seeds, {len(plan.rungs)} rungs from "
        f"{plan.ladder.rungs[0].label} to {plan.ladder.rungs[-1].label} ({plan.ladder.scale}), into {results}"
    )
    for one, other in plan.same.items():
        say(f"        {one} is {other} here, whose runs would be the same")
    at_once = _at_once(plan.runs_at(0, plan.contestants), jobs)
    with tempfile.TemporaryDirectory(prefix="dsbench-") as scratch:
        found = forecast(plan, results, Path(scratch), lambda runs: _run_all(runs, Path(scratch), jobs), at_once)
    say(f"        {told(found, at_once)}" if not found.stopped else "")
    return found.stopped


def _at_once(runs: Sequence[RunConfig], jobs: int | None) -> int:
    return min(jobs or default_jobs(runs[0].threads), len(runs))


def _run_all(runs: Sequence[RunConfig], results: Path, jobs: int | None) -> list[Outcome]:
    return launcher.run_all(runs, results, at_once=_at_once(runs, jobs), display=display(several=True))


def _climb(plan: Plan, results: Path, jobs: int | None) -> Climbed:
    return climb(plan, lambda runs: _run_all(runs, results, jobs), lambda text: say(text))


def _command(name: str | None, wishes: Wishes, twice: bool, results: Path) -> str:
    """The same again."""
    words = ["dsbench", "ladder", "--all" if name is None else name]
    for option, value in (("--backbone", wishes.backbones), ("--control", wishes.controls), ("--seeds", wishes.seeds)):
        if value is not None:
            words += [option, ",".join(map(str, value)) + ("," if option == "--seeds" and len(value) == 1 else "")]
    for option, text in (("--to", wishes.to), ("--match", wishes.match), ("--preset", wishes.preset)):
        words += [option, text] if text is not None else []
    words += [word for text in wishes.overrides for word in ("--set", text)]
    words += ["--twice"] if twice else []
    return shlex.join([*words, "--results", str(results)])
