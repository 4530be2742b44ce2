"""Backbone by task: mean and interval, the best of each task and all that are not claimed to be below it marked."""

from __future__ import annotations

from collections.abc import Sequence

from dsbench.errors import UsageError
from dsbench.reports.claims import Claims
from dsbench.reports.content.cells import measured, words
from dsbench.reports.content.contest import Contestant, Task, ranked
from dsbench.reports.content.material import Material
from dsbench.reports.document import BOLD, MISSING, Cell, Heading, Table
from dsbench.reports.paper.captions import (
    acting_of,
    failures_of,
    measures_of,
    rule_of,
    seeds_of,
    silences_of,
    varied_of,
)


def tasks_table(found: Material) -> Table:
    """A row a contestant, a column a task. Raises `UsageError` where no run has ended with a score."""
    tasks, claims = scored(found), found.judged.claims
    marked = {task.name: leaders(task, claims) for task in tasks}
    columns = [_column(task, marked[task.name]) for task in tasks]
    rows = tuple((words(name), *(column.get(name, Cell(MISSING)) for column in columns)) for name in contestants(tasks))
    headings = (Heading("backbone", numeric=False), *(Heading(task.title, f"{task.measure_text}, more is better")
                                                      for task in tasks))  # fmt: skip
    mark = f"{BOLD}: the highest mean of a task and all of whom it is not claimed that they are below it; "
    notes = [
        f"Mean over seeds with its 95 % interval: {measures_of(tasks)}.",
        f"{mark}{rule_of(claims)}." if any(marked.values()) else "",
        *silences_of(tasks, claims),
        seeds_of(tasks),
        failures_of(tasks),
        varied_of(tasks),
        acting_of(tasks),
    ]
    return Table("tasks", "Scores by task", headings, rows, tuple(filter(None, notes)))


def scored(found: Material) -> list[Task]:
    """Tasks with a score. Raises `UsageError` where there is none."""
    if not found.scored:
        raise UsageError(
            f"no run in {found.stored.title!r} has ended with a score outside of a ladder; expected finished runs, which "
            "dsbench sweep --backbone gpt,s4d,lstm --env umbrella --seeds 5 makes"
        )
    return found.scored


def contestants(tasks: Sequence[Task]) -> list[str]:
    """Names of all, each once: backbones, then controls, then scripted policies."""
    found: dict[str, tuple[bool, bool, str]] = {}
    for task in tasks:
        for one in task.contestants:
            found.setdefault(one.name, (not one.learned, bool(one.told), one.name))
    return sorted(found, key=found.__getitem__)


def leaders(task: Task, claims: Claims) -> set[str]:
    """The one with the highest mean and those of whom it is not claimed that it is above them; nobody where no claim could
    be made at all, or where there is nobody else."""
    order = [one.name for one, _ in ranked(task)]
    if len(order) < 2 or claims.silence(task.name) is not None:
        return set()
    return {order[0], *claims.open_to(task.name, order[0], order[1:])}


def _column(task: Task, marked: set[str]) -> dict[str, Cell]:
    """Contestant -> its cell, printed as in the table of the task."""
    estimates = {one.name: task.estimate(one) for one in task.contestants}

    def cell(one: Contestant) -> Cell:
        return measured(estimates[one.name], task.form, best=one.learned and one.name in marked)

    return {one.name: cell(one) for one in task.contestants}
