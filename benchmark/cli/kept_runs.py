"""The lines of ``dsbench results list``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from dsbench.cli.summary import number, words
from dsbench.records.finding import written_at
from dsbench.records.run_folder import RunFolder
from dsbench.records.run_records import RunRecords
from dsbench.records.run_row import UNPROVEN, row_whatever_comes, unreadable_row
from dsbench.records.store import stored_in

LISTED = ("run", "status", "measure", "score", "normalised", "seconds", "written")


def listed(results: Path) -> list[dict[str, Any]]:
    """JSON data of every run, in the order in which they were written to; those in packs come first.

    Raises:
        UsageError: there are no results.
    """
    stored = stored_in(results)
    found = [_entry(unreadable_row(name, reason), None) for name, reason in stored.unreadable.items()]
    found += [_entry(row_whatever_comes(copies[0]), copies[0]) for copies in stored.runs.values()]
    return sorted(found, key=lambda one: (one["written"] or 0.0, one["run"]))


def line_of(one: Mapping[str, Any]) -> tuple[str, ...]:
    """Its cells, under `LISTED`."""
    when = "in a pack" if one["written"] is None else f"{datetime.fromtimestamp(one['written']):%Y-%m-%d %H:%M}"
    measure = "-" if one["measure"] is None else words(one["measure"])
    numbers = (
        number(one["score"], "{:.3f}"),
        number(one["normalised"], "{:.1f}"),
        number(one["train_seconds"], "{:.1f}"),
    )
    status = f"{one['status']} ({UNPROVEN})" if one[UNPROVEN] else one["status"]
    return (one["run"], status, measure, *numbers, when)


def _entry(row: Mapping[str, Any], records: RunRecords | None) -> dict[str, Any]:
    measure = row.get("result.success_metric")
    return {
        "run": row["run_id"],
        "backbone": row["backbone"],
        "env": row["env"],
        "seed": row["seed"],
        "status": row["status"],
        "reason": row["reason"],
        "measure": measure,
        "score": None if measure is None else row.get(f"result.{measure}"),
        "normalised": row.get("result.score_normalised"),
        "train_seconds": row.get("result.train_seconds"),
        UNPROVEN: row.get(f"result.{UNPROVEN}"),
        "written": written_at(records) if isinstance(records, RunFolder) else None,
    }
