"""What ``dsbench study`` does: the grid through the machinery of sweeps, then the page."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from dsbench.cli.summary import print_table, tell_unfinished
from dsbench.measuring.bench_records import read_bench
from dsbench.measuring.process import measure_apart
from dsbench.reports.document import Report, Table
from dsbench.running import launcher
from dsbench.running.progress import display
from dsbench.running.sweep import default_jobs
from dsbench.studies.answers import answers_of
from dsbench.studies.grid import cells_of, runs_of
from dsbench.studies.latency import bench_report, measured_before, request_of
from dsbench.studies.page import report_of
from dsbench.studies.study_file import Study
from dsbench.studies.writing import write


def run_study(
    asked: str, name: str, study: Study, size: str, results: Path, out: Path, jobs: int | None, overrides: Sequence[str]
) -> int:
    """Run or measure what is missing, write the page, print its table; the exit code is that of a sweep."""
    command = _command(asked, size, results, overrides)
    if study.kind == "bench":
        report, code = _measure(name, study, size, results, overrides, command)
    else:
        report, code = _sweep(name, study, size, results, jobs, overrides, command)
    page = write(report, out)
    for section in report.sections[:2]:
        for table in section.tables:
            _show(table)
    print("\n".join(report.headline))
    print(f"\nSaved   {page}")
    return code


def _sweep(
    name: str, study: Study, size: str, results: Path, jobs: int | None, overrides: Sequence[str], command: str
) -> tuple[Report, int]:
    cells = cells_of(study, size, overrides)
    runs = runs_of(cells)
    at_once = min(jobs or default_jobs(runs[0].threads), len(runs))
    print(f"Study   {name}, {size}: {len(runs)} runs, {at_once} at once, into {results}", flush=True)
    outcomes = launcher.run_all(runs, results, at_once=at_once, display=display(several=True))
    print()
    tell_unfinished(outcomes, results)
    return report_of(name, study, size, answers_of(cells, results), command), launcher.exit_code_of(outcomes)


def _measure(
    name: str, study: Study, size: str, results: Path, overrides: Sequence[str], command: str
) -> tuple[Report, int]:
    request = request_of(study, size, results, overrides)
    bench, code = measured_before(request, results), 0
    if bench is None:
        print(f"Study   {name}, {size}: measuring {', '.join(request.backbones)}, into {results}", flush=True)
        measured = measure_apart(request, display())
        bench, code = read_bench(measured.folder), measured.exit_code
    print()
    return bench_report(name, study, size, bench, command), code


def _command(asked: str, size: str, results: Path, overrides: Sequence[str]) -> str:
    sets = [word for text in overrides for word in ("--set", text)]
    return shlex.join(["dsbench", "study", asked, "--size", size, "--results", str(results), *sets])


def _show(table: Table) -> None:
    headings = tuple(heading.text for heading in table.headings)
    print_table(headings, [tuple(cell.text for cell in row) for row in table.rows])
    print()
