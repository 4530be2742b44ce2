"""The times of a task's contestants: who acted how, and whose times are marked. No winner is made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dsbench.reports.columns import COLUMNS, Column, choice_of
from dsbench.reports.conditions import Choice, choices_note, differing
from dsbench.reports.content.cells import words
from dsbench.reports.content.contest import Contestant, Task
from dsbench.reports.contention import LATENCY, contention_notes
from dsbench.reports.document import Cell
from dsbench.reports.groups import Run

LATENCY_P50 = next(column for column in COLUMNS if column.mark == LATENCY)


def choices(contestants: Sequence[Contestant], column: Column) -> dict[str, Choice[Run]]:
    """Contestant -> the runs that its time is a mean over; empty for what is no time."""
    found = {one.name: choice_of(one.ok, column) for one in contestants}
    return {name: choice for name, choice in found.items() if choice is not None}


def marked(cell: Cell, runs: Sequence[Run], column: Column) -> Cell:
    """The cell with the mark of a time that is not known to be that of a core of one's own."""
    choice = choice_of(runs, column)
    return cell if choice is None or cell.value is None else replace(cell, text=cell.text + choice.core.value)


def ways_to_act(task: Task) -> list[Cell] | None:
    """How each contestant acts, where that is not the same for all; None where it is."""
    found = choices(task.contestants, LATENCY_P50)
    if not differing([one.conditions for one in found.values() if one.conditions is not None], ("acting",)):
        return None
    known: Mapping[str, str | None] = {
        name: one.conditions.acting if one.conditions is not None else None for name, one in found.items()
    }
    return [words(known.get(one.name)) for one in task.contestants]


def notes_on_times(task: Task) -> list[str]:
    """What is to be said under a task's table: marks, means left out, and conditions that differ."""
    told = contention_notes([run.result for one in task.learned for run in one.ok])
    for column in COLUMNS:
        if column.mark is not None:
            note = choices_note(column.heading.rstrip(" ↑↓").capitalize(), choices(task.learned, column))
            told += [note] if note else []
    return told
