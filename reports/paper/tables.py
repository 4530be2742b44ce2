"""The tables that a paper may want, by the names that ``dsbench report --table`` takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from dsbench.errors import UnknownName
from dsbench.reports.content.material import Material
from dsbench.reports.document import Table
from dsbench.reports.paper.costs import costs_table
from dsbench.reports.paper.ladders import ladders_table
from dsbench.reports.paper.paired import paired_table
from dsbench.reports.paper.tasks import tasks_table
from dsbench.reports.smoke import smoke_sentences

TASKS, COSTS, LADDERS, PAIRED = "tasks", "costs", "ladders", "paired"
TABLES: Mapping[str, Callable[[Material], Table]] = {
    TASKS: tasks_table,
    COSTS: costs_table,
    LADDERS: ladders_table,
    PAIRED: paired_table,
}


def paper_table(name: str, found: Material) -> Table:
    """One of `TABLES`; its notes are the caption. Smoke runs are said there first.

    Raises:
        UnknownName: there is no such table.
        UsageError: the results hold nothing that it could show.
    """
    if name not in TABLES:
        raise UnknownName("table", name, TABLES, where="dsbench report --help")
    table = TABLES[name](found)
    return replace(table, notes=(*smoke_sentences(found.presets), *table.notes))
