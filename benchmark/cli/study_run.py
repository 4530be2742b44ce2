"""What ``dsbench study`` does: the grid through the machinery of sweeps, then the page."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from dsbench.backbones.catalogue import BACKBONES
from dsbench.cli.summary import begun, tell_unfinished
from dsbench.cli.tables import print_table
from dsbench.config.outside_code import sources_of
from dsbench.config.resolution import named_by
from dsbench.envs import ENVS
from dsbench.files import stays_inside
from dsbench.measuring.bench_records import read_bench
from dsbench.measuring.code_asked import code_asked, name_asked
from dsbench.measuring.process import measure_apart
from dsbench.outside.trust import using
from dsbench.reports.document import Report, Table
from dsbench.running import launcher
from dsbench.running.outcomes import exit_code_of
from dsbench.running.progress import display
from dsbench.running.sweep import default_jobs
from dsbench.studies.answers import answers_of
from dsbench.studies.grid import Cell, cells_of, runs_of
from dsbench.studies.latency import bench_report, measured_before, request_of
from dsbench.studies.page import report_of
from dsbench.studies.study_file import Study
from dsbench.studies.writing import write
from dsbench.text import say


def run_study(
    asked: str,
    name: str,
    study: Study,
    size: str,
    results: Path,
    out: Path,
    jobs: int | None,
    overrides: Sequence[str],
    check: Callable[[int], None],
    trust_code: bool = False,
) -> int:
    """Run or measure what is missing, write the page, print its table; the exit code is that of a sweep."""
    stays_inside(out, results)
    command = _command(asked, size, results, overrides)
    if study.kind == "bench":
        report, code = _measure(name, study, size, results, overrides, command, trust_code)
    else:
        cells = cells_of(study, size, overrides, check, trust_code=trust_code)
        with using(sources_of(runs_of(cells))):
            report, code = _sweep(name, study, size, results, jobs, cells, command)
    page = write(report, out)
    for section in report.sections[:2]:
        for table in section.tables:
            show_table(table)
    say(*report.headline, "", f"Saved   {page}")
    return code


def _sweep(
    name: str, study: Study, size: str, results: Path, jobs: int | None, cells: Sequence[Cell], command: str
) -> tuple[Report, int]:
    runs = runs_of(cells)
    at_once = min(jobs or default_jobs(runs[0].threads), len(runs))
    before = launcher.done_before(runs, results)
    say(f"Study   {name}, {size}: {begun(len(runs), before, at_once)}, into {results}")
    outcomes = launcher.run_all(runs, results, at_once=at_once, display=display(several=True))
    say()
    tell_unfinished(outcomes, results)
    return report_of(name, study, size, answers_of(cells, results), command), exit_code_of(outcomes)


def _measure(
    name: str,
    study: Study,
    size: str,
    results: Path,
    overrides: Sequence[str],
    command: str,
    trust_code: bool,
) -> tuple[Report, int]:
    request = request_of(study, size, results, overrides)
    if trust_code:
        name_asked(request)
    for part, named in named_by(overrides).items():
        {"backbone": BACKBONES, "env": ENVS}[part].named(named)
    with using(code_asked(request)):
        bench, code = measured_before(request, results), 0
        if bench is None:
            say(f"Study   {name}, {size}: measuring {', '.join(request.backbones)}, into {results}")
            measured = measure_apart(request, display())
            bench, code = read_bench(measured.folder), measured.exit_code
    say()
    return bench_report(name, study, size, bench, command), code


def _command(asked: str, size: str, results: Path, overrides: Sequence[str]) -> str:
    sets = [word for text in overrides for word in ("--set", text)]
    return shlex.join(["dsbench", "study", asked, "--size", size, "--results", str(results), *sets])


def show_table(table: Table) -> None:
    """Print it."""
    headings = tuple(heading.text for heading in table.headings)
    print_table(headings, [tuple(cell.text for cell in row) for row in table.rows])
    say()
