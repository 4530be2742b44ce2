"""Tidy tables out of run folders: `runs` (a row a run) and `long` (a row a number).

The journals are the truth; these tables are derived, sorted and the same for the same journals, whoever wrote them in
whatever order. Reading needs no write rights and may go on while runs do. Missing is empty, never 0.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.config.naming import LATER
from dsbench.errors import MissingExtra, UnknownName, UsageError
from dsbench.files import check_name, write_atomic
from dsbench.records.config_text import flat
from dsbench.records.encoding import plain, seal
from dsbench.records.run_folder import RunFolder

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1
LONG_COLUMNS = (
    "run_id", "attempt", "phase", "split", "step", "episode", "metric", "value", "unit", "status", "reason", "decode",
    "acting", "target_return", "selection", "batch", "context", "implementation", "round", "time",
)  # fmt: skip
RUN_COLUMNS = (
    "run_id",
    "backbone",
    "env",
    "seed",
    "attempt",
    "status",
    "reason",
    "source",
)  # then the configuration, then result.*
# What a cell of `runs` would hold, had the setting been there when the run was made: the value that changes nothing.
BEFORE = {
    name: json.dumps(value) if isinstance(value, list) else value for name, value in LATER.items() if value is not None
}
EVENTS = ("start", "data", "resume", "checkpoint", "warning", "interrupted", "end")
FORMATS = ("csv", "parquet")

_INTEGERS = ("attempt", "step", "episode", "batch", "context", "round")
_FLOATS = ("value", "target_return", "time")
_ORDER = (
    "run_id", "attempt", "phase", "split", "selection", "decode", "acting", "target_return", "batch", "context",
    "implementation", "metric", "round", "episode", "step",
)  # fmt: skip  # these together name a number: a resumed run that writes one again replaces it


@dataclass(frozen=True)
class Tables:
    """Both tables of a results folder."""

    runs: pd.DataFrame
    long: pd.DataFrame


# ---------------------------------------------------------------------- what is written to a journal


def metric_record(
    *,
    metric: str,
    value: float | None,
    phase: str | None = None,
    split: str | None = None,
    step: int | None = None,
    episode: int | None = None,
    unit: str | None = None,
    status: str | None = None,
    reason: str | None = None,
    decode: str | None = None,
    acting: str | None = None,
    target_return: float | None = None,
    selection: str | None = None,
    batch: int | None = None,
    context: int | None = None,
    implementation: str | None = None,
    round: int | None = None,
) -> dict[str, Any]:
    """One number as a journal record; fields are the columns of `long`, empty ones are left out.

    A value that is no finite number becomes null with the reason ``nan``, ``inf`` or ``-inf``. The journal adds the
    attempt.
    """
    named = {name: content for name, content in locals().items() if content is not None}
    record = plain({"kind": "metric", **named, "value": value, "time": _now()})
    return {name: content for name, content in record.items() if name == "kind" or name in LONG_COLUMNS}


def event_record(event: str, *, step: int | None = None, detail: Any = None) -> dict[str, Any]:
    """Something that happened, as a journal record; `event` is one of EVENTS, `detail` any JSON data."""
    if event not in EVENTS:
        raise UnknownName("event", event, EVENTS)
    record = {"kind": "event", "event": event, "step": step, "detail": plain(detail), "time": _now()}
    return {name: content for name, content in record.items() if content is not None}


def _now() -> float:
    return round(time.time(), 3)


# ---------------------------------------------------------------------- what is read


def load(results: Path | str) -> Tables:
    """Both tables of the results folder."""
    return Tables(runs_table(results), long_table(results))


def runs_table(results: Path | str) -> pd.DataFrame:
    """A row a run: its configuration (``train.lr``), the status and ``result.*`` of the attempt that counts.

    Raises:
        UsageError: there is no such results folder.
        CorruptFile: a file of a run is damaged.
    """
    import pandas as pd

    rows = [run_row(folder) for folder in run_folders(results)]
    names = {name for row in rows for name in row} - set(RUN_COLUMNS)
    columns = [*RUN_COLUMNS, *sorted(names, key=lambda name: (name.startswith("result."), name))]
    # Every cell is given, since pandas fills a gap with a NaN that is a float.
    table = pd.DataFrame([[row.get(name) for name in columns] for row in rows], columns=columns, dtype=object)
    return table.astype({name: _dtype(table[name]) for name in columns})


def long_table(results: Path | str) -> pd.DataFrame:
    """A row a number, of all attempts; where a resumed run wrote a number again, the last one stands.

    Raises:
        UsageError: there is no such results folder, or a newer dsbench wrote a column that this one does not know.
        CorruptFile: a journal is damaged.
    """
    import pandas as pd

    rows = [row for folder in run_folders(results) for row in _long_rows(folder)]
    table = pd.DataFrame(rows, columns=list(LONG_COLUMNS))
    texts = [name for name in LONG_COLUMNS if name not in _INTEGERS + _FLOATS]
    table = table.astype(
        dict.fromkeys(_INTEGERS, "Int64") | dict.fromkeys(_FLOATS, "float64") | dict.fromkeys(texts, "string")
    )
    table = table.drop_duplicates(list(_ORDER), keep="last")
    return table.sort_values(list(_ORDER), na_position="first", ignore_index=True)


def export(results: Path | str, out: Path | str, fmt: str = "csv") -> list[Path]:
    """Write ``runs``, ``long`` and ``schema.json`` into the folder `out`; returns the files written.

    CSV follows RFC 4180 (CRLF, quotes doubled, missing is empty); floats are written so that they read back exactly.

    Raises:
        UsageError: unknown format.
        MissingExtra: Parquet without pyarrow.
        CannotWrite: disk full or no rights.
    """
    if fmt not in FORMATS:
        raise UnknownName("format", fmt, FORMATS)
    if fmt == "parquet":
        _require_pyarrow()
    tables = load(results)
    paths = []
    for name, table in (("runs", tables.runs), ("long", tables.long)):
        path = Path(out) / f"{name}.{fmt}"
        write_atomic(path, _encoded(table, fmt))
        paths.append(path)
    schema = {"schema_version": SCHEMA_VERSION, "long": list(LONG_COLUMNS), "runs": list(tables.runs.columns)}
    write_atomic(Path(out) / "schema.json", seal(schema))
    return [*paths, Path(out) / "schema.json"]


def _encoded(table: pd.DataFrame, fmt: str) -> bytes:
    if fmt == "csv":
        return table.to_csv(index=False, lineterminator="\r\n").encode()
    data: bytes = table.to_parquet(index=False, engine="pyarrow")
    return data


def _require_pyarrow() -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtra("Parquet", "parquet") from error


def run_folders(results: Path | str) -> Iterator[RunFolder]:
    """The runs of a results folder, sorted by id; `UsageError` when there is no such folder or a run is a link out of it."""
    runs = Path(results) / "runs"
    if not runs.is_dir():
        raise UsageError(
            f"no results in {str(results)!r}: it has no folder 'runs'; name another with --results DIR, "
            "or make some with: dsbench run --backbone s4 --env umbrella"
        )
    with os.scandir(runs) as entries:
        found = sorted(
            (entry for entry in entries if entry.name[0] != "." and entry.is_dir()), key=lambda one: one.name
        )
    for entry in found:
        if os.listdir(entry.path):
            linked = entry.is_symlink()  # to find out where a path really leads is slow, and most are no links
            yield (
                RunFolder.open(Path(results), entry.name)
                if linked
                else RunFolder(runs / check_name(entry.name, "run id"))
            )


def run_row(folder: RunFolder) -> dict[str, Any]:
    """The row of one run: the names of `RUN_COLUMNS`, its configuration, and ``result.*``. `CorruptFile` as `runs_table`."""
    result = folder.latest_result() or {"attempt": folder.attempt, "status": folder.status(), "reason": None}
    settings, outcome = folder.read_flat_config(), flat(result)
    identity = {"run_id": folder.run_id, "seed": settings.pop("seed", None)}
    identity |= {part: settings.pop(f"{part}.name", None) for part in ("backbone", "env")}
    identity |= {name: outcome.pop(name, None) for name in ("attempt", "status", "reason")}
    identity["source"] = source_text(result.get("sources"))
    measured = {f"result.{name}": value for name, value in outcome.items() if name not in identity}
    return identity | settings | measured


def source_text(sources: Any) -> str | None:
    """``backbone 1f2e3d4c5b6a, env mine==1.2``: what code from outside made a run; None where none did.

    Args:
        sources: role -> hash or installed distribution, as rows and provenances hold it.
    """
    known = sources if isinstance(sources, Mapping) else {}
    told = [f"{role} {short_source(known[role])}" for role in ("backbone", "env") if isinstance(known.get(role), str)]
    return ", ".join(told) or None


def short_source(text: str) -> str:
    """A hash to be read by people: its kind and first 12 digits; an installed distribution as it is."""
    kind, colon, digest = text.rpartition(":")
    return text if "==" in text else f"{kind}{colon}{digest[:12]}"


def _dtype(column: pd.Series[Any]) -> str:
    """The type that holds the column's values unchanged, missing ones included (a missing integer makes no float)."""
    kinds = {type(value) for value in column if value is not None}
    if kinds == {bool}:
        return "boolean"
    if kinds == {int}:
        return "Int64"
    if kinds and kinds <= {int, float}:
        return "float64"
    return "string" if kinds <= {str} else "object"


def _long_rows(folder: RunFolder) -> Iterator[dict[str, Any]]:
    for number, record in enumerate(folder.journal.read(), 1):
        if record.get("kind") != "metric":
            continue
        unknown = record.keys() - set(LONG_COLUMNS) - {"kind"}
        if unknown:
            raise UsageError(
                f"{folder.path / 'journal.jsonl'} line {number} has the unknown column {min(unknown)!r}; "
                "it was written by a newer dsbench: upgrade dsbench to read it"
            )
        yield {**record, "run_id": folder.run_id}
