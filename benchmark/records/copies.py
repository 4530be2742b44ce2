"""One run that lies in several places: which row stands for it, and what the others add or contradict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dsbench.records.run_records import FINAL, RunRecords
from dsbench.records.run_row import UNREADABLE, row_whatever_comes

CONFLICTING = "conflicting"  # the status of a run that has other scores in another place
_RESULT = "result."
# What a machine changes and nobody compares as a score; the loss of training differs in its last bits between processors.
_COSTS = (
    "latency_", "decision_", "train_seconds", "train_tokens_per_second", "train_contended", "peak_", "implementation", "loss",
)  # fmt: skip


def rows_of(copies: Sequence[RunRecords]) -> tuple[dict[str, Any], RunRecords, list[tuple[dict[str, Any], RunRecords]]]:
    """The row of a run, the records that it comes from, and the rows of other machines with equal scores.

    A finished copy stands before an unfinished one. Where two finished copies differ in a score the row is
    ``conflicting``: it keeps its settings and has no scores.
    """
    rows = [(row_whatever_comes(one), one) for one in copies]
    if len(rows) == 1:
        return *rows[0], []
    finished = [pair for pair in rows if pair[0]["status"] in FINAL]
    if not finished:
        first = next((pair for pair in rows if pair[0]["status"] != UNREADABLE), rows[0])
        return *first, []
    row, records = finished[0]
    for other, elsewhere in finished[1:]:
        if difference := _difference(row, other):
            reason = f"{difference} in {records.files.place('')} and {elsewhere.files.place('')}"
            return _without_result(row) | {"status": CONFLICTING, "reason": reason}, records, []
    return row, records, finished[1:]


def _difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """The first score that differs, with both values; None where all are equal."""
    names = sorted({name for row in (one, other) for name in row if _is_score(name)} | {"status"})
    for name in names:
        if one.get(name) != other.get(name):
            return f"{name.removeprefix(_RESULT)} is {one.get(name)!r} and {other.get(name)!r}"
    return None


def _is_score(name: str) -> bool:
    return name.startswith(_RESULT) and not name.removeprefix(_RESULT).startswith(_COSTS)


def _without_result(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: cell for name, cell in row.items() if not name.startswith(_RESULT)}
