"""What is not there: runs without a result, and cells of the grid that others have."""

from __future__ import annotations

from collections.abc import Sequence

from dsbench.reports.aggregate_pairs import ranges
from dsbench.reports.content.contest import Contestant, Task
from dsbench.reports.document import MISSING, Cell, Heading, Section, Table
from dsbench.reports.groups import Group, Run
from dsbench.reports.outcomes import FAILURES

_LISTED = 200  # failures that a table names one by one


def gaps(groups: Sequence[Group], tasks: Sequence[Task]) -> Section:
    """The section of failures and missing cells; says so where there are none."""
    lost = sorted((run for group in groups for run in group.runs if run.status != "ok"), key=lambda run: run.run_id)
    tables, told = [], []
    total = sum(len(group.runs) for group in groups)
    if lost:
        told.append(f"{len(lost)} of {total} runs have no result.")
        stray = [run for run in lost if run.status in FAILURES and not run.configured]
        if stray:
            told.append(
                f"{len(stray)} of them failed before their settings were written and fit no contestant, or several: they are "
                "listed and count for none."
            )
        tables.append(_failures(lost))
    else:
        told.append(f"All {total} runs ended ok.")
    rows = [row for task in tasks for row in _missing(task, tasks)]
    if rows:
        tables.append(_missing_table(rows))
    else:
        told.append("No cell of the grid of backbones, tasks and seeds is missing.")
    return Section("gaps", "Failures and missing cells", tuple(told), tuple(tables))


def _failures(lost: Sequence[Run]) -> Table:
    rows = tuple(
        (
            _text(run.run_id),
            _text(run.backbone),
            _text(run.env),
            Cell(MISSING) if run.seed is None else Cell(str(run.seed), float(run.seed)),
            _text(run.status),
            _text(" ".join((run.reason or "").split())),
        )
        for run in lost[:_LISTED]
    )
    names = ("run", "backbone", "env", "seed", "status", "reason")
    headings = tuple(Heading(name, numeric=name == "seed") for name in names)
    notes = (f"The first {_LISTED} of {len(lost)}; all are in tables/runs.csv.",) if len(lost) > _LISTED else ()
    return Table("failures", "Runs without a result", headings, rows, notes)


def _missing(task: Task, tasks: Sequence[Task]) -> list[tuple[Task, str, str]]:
    """(task, backbone, seeds) of what others have run; a variant is only missed where it was begun."""
    seeds = {seed for one in task.learned for seed in _seeds(one)}
    found = [(one.name, sorted(seeds - _seeds(one))) for one in task.learned]
    plain = {one.backbone for other in tasks if not other.permuted for one in other.learned if one.name == one.backbone}
    here = {one.backbone for one in task.learned}
    if not task.permuted:
        found += [(name, sorted(seeds)) for name in sorted(plain - here)]
    return [(task, name, ranges(missing)) for name, missing in found if missing]


def _seeds(one: Contestant) -> set[int]:
    """That were begun, however they ended."""
    return {run.seed for run in one.runs if run.seed is not None}


def _missing_table(rows: Sequence[tuple[Task, str, str]]) -> Table:
    """Tasks that lack the same seeds of a backbone share a row."""
    alike: dict[tuple[str, str], list[str]] = {}
    for task, name, seeds in rows:
        alike.setdefault((name, seeds), []).append(task.title)
    cells = tuple(
        (_text(name), Cell(seeds, seeds), Cell(str(len(titles)), float(len(titles))), _text("; ".join(titles)))
        for (name, seeds), titles in sorted(alike.items())
    )
    headings = (
        Heading("backbone", numeric=False),
        Heading("seeds not run", numeric=False),
        Heading("tasks"),
        Heading("which", numeric=False),
    )
    note = "Seeds that another backbone has on the task, and tasks that a backbone of another task has not."
    return Table("missing", "Cells that are missing", headings, cells, (note,))


def _text(text: str | None) -> Cell:
    return Cell(text, text) if text else Cell(MISSING)
