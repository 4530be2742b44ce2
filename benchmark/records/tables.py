"""Tidy tables out of results: `runs` (a row a run) and `long` (a row a number).

The journals are the truth; these tables are derived, sorted and the same for the same journals, whoever wrote them in
whatever order, in a folder or a pack. Reading needs no write rights and may go on while runs do. Missing is empty, never 0.
A run that cannot be read is a row of `runs` with status ``unreadable`` and the reason; the others stand.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.config.naming import LATER
from dsbench.errors import CorruptFile, MissingExtra, UnknownName, UsageError
from dsbench.files import write_atomic, write_stream
from dsbench.records.columnar import parquet_parts
from dsbench.records.copies import CONFLICTING, rows_of
from dsbench.records.documents import check_record
from dsbench.records.encoding import plain, seal
from dsbench.records.run_records import RunRecords
from dsbench.records.run_row import COLUMNS, UNREADABLE, unreadable_row
from dsbench.records.store import Places, Stored, stored_in
from dsbench.text import safe_text_columns

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 2
LONG_COLUMNS = (
    "run_id", "attempt", "phase", "split", "step", "episode", "metric", "value", "error", "unit", "status", "reason",
    "decode",
    "acting", "target_return", "selection", "batch", "context", "implementation", "round", "time",
)  # fmt: skip  # error: the standard error of a mean over episodes
# What a cell of `runs` would hold, had the setting been there when the run was made: the value that changes nothing.
BEFORE = {
    name: json.dumps(value) if isinstance(value, list) else value for name, value in LATER.items() if value is not None
}
EVENTS = ("start", "data", "resume", "checkpoint", "warning", "interrupted", "end")
FORMATS = ("csv", "parquet")

_BATCH = 20_000  # numbers in a frame while tables are streamed

_INTEGERS = ("attempt", "step", "episode", "batch", "context", "round")
_FLOATS = ("value", "error", "target_return", "time")
_ORDER = (
    "run_id", "attempt", "phase", "split", "selection", "decode", "acting", "target_return", "batch", "context",
    "implementation", "metric", "round", "episode", "step",
)  # fmt: skip  # these together name a number: a resumed run that writes one again replaces it


@dataclass(frozen=True)
class Tables:
    """The tables of results.

    Attributes:
        runs: a row a run.
        long: a row a number.
        copies: of runs that were made on several machines with equal scores, the rows of the others, like those of `runs`.
    """

    runs: pd.DataFrame
    long: pd.DataFrame
    copies: pd.DataFrame


# ---------------------------------------------------------------------- what is written to a journal


def metric_record(
    *,
    metric: str,
    value: float | None,
    phase: str | None = None,
    split: str | None = None,
    step: int | None = None,
    episode: int | None = None,
    error: float | None = None,
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


def load(results: Places) -> Tables:
    """The tables of results folders and packs.

    Raises:
        UsageError: there are no such results.
    """
    stored = stored_in(results)
    rows, copies, long = [], [], []
    for row, others, numbers in _run_after_run(stored):
        rows.append(row)
        copies += others
        long += numbers
    return Tables(_runs_frame(rows), _long_frame(long), _runs_frame(copies))


def runs_table(results: Places) -> pd.DataFrame:
    """A row a run: its settings (``train.lr``), the status and ``result.*`` of the attempt that counts. Raises as `load`."""
    stored = stored_in(results)
    return _runs_frame([*_rows_that_cannot_be_opened(stored), *(rows_of(copies)[0] for copies in stored.runs.values())])


def long_table(results: Places) -> pd.DataFrame:
    """A row a number, of all attempts; where a resumed run wrote a number again, the last one stands. Raises as `load`."""
    return load(results).long


def _run_after_run(stored: Stored) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]]:
    """Of every run its row, the rows of other machines with equal scores, and its numbers."""
    for row in _rows_that_cannot_be_opened(stored):
        yield row, [], []
    for name, copies in stored.runs.items():
        row, records, others = rows_of(copies)
        numbers: list[dict[str, Any]] = []
        if row["status"] not in (UNREADABLE, CONFLICTING):
            try:
                numbers = list(_long_rows(records))
            except (CorruptFile, UsageError) as error:
                row = unreadable_row(name, str(error))
        yield row, [other for other, _ in others], numbers


def _rows_that_cannot_be_opened(stored: Stored) -> list[dict[str, Any]]:
    return [unreadable_row(name, reason) for name, reason in sorted(stored.unreadable.items())]


def _runs_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    names = {name for row in rows for name in row} - set(COLUMNS)
    columns = [*COLUMNS, *sorted(names, key=lambda name: (name.startswith("result."), name))]
    cells = [[row.get(name) for name in columns] for row in sorted(rows, key=lambda row: str(row["run_id"]))]
    # Every cell is given, since pandas fills a gap with a NaN that is a float.
    table = pd.DataFrame(cells, columns=columns, dtype=object)
    return table.astype({name: _dtype(table[name]) for name in columns})


def _long_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    table = pd.DataFrame(rows, columns=list(LONG_COLUMNS))
    texts = [name for name in LONG_COLUMNS if name not in _INTEGERS + _FLOATS]
    table = table.astype(
        dict.fromkeys(_INTEGERS, "Int64") | dict.fromkeys(_FLOATS, "float64") | dict.fromkeys(texts, "string")
    )
    table = table.drop_duplicates(list(_ORDER), keep="last")
    return table.sort_values(list(_ORDER), na_position="first", ignore_index=True)


def export(results: Places, out: Path | str, fmt: str = "csv") -> list[Path]:
    """Write ``runs``, ``long`` and ``schema.json`` into the folder `out`; returns the files written.

    CSV follows RFC 4180 (CRLF, quotes doubled, missing is empty); floats are written so that they read back exactly.
    ``copies`` is written too where runs were made on several machines with equal scores: what they cost on the others.
    Numbers are written as they are read, a batch of runs at a time: their table may be larger than memory.

    Raises:
        UsageError: unknown format, or there are no such results.
        MissingExtra: Parquet without pyarrow.
        CannotWrite: disk full or no rights.
    """
    if fmt not in FORMATS:
        raise UnknownName("format", fmt, FORMATS)
    if fmt == "parquet":
        _require_pyarrow()
    stored, folder = stored_in(results), Path(out)
    rows: list[dict[str, Any]] = []
    copies: list[dict[str, Any]] = []
    write_stream(folder / f"long.{fmt}", _encoded_batches(_batches(stored, rows, copies), fmt))
    tables = {"runs": _runs_frame(rows)} | ({"copies": _runs_frame(copies)} if copies else {})
    paths = [folder / f"long.{fmt}"]
    for name, table in tables.items():
        paths.append(folder / f"{name}.{fmt}")
        write_atomic(paths[-1], _encoded(table, fmt))
    schema = {"schema_version": SCHEMA_VERSION, "long": list(LONG_COLUMNS), "runs": list(tables["runs"].columns)}
    write_atomic(folder / "schema.json", seal(schema))
    return [paths[1], paths[0], *paths[2:], folder / "schema.json"]


def _batches(stored: Stored, rows: list[dict[str, Any]], copies: list[dict[str, Any]]) -> Iterator[pd.DataFrame]:
    """Frames of the numbers of some runs each, in order; fills `rows` and `copies` meanwhile."""
    numbers: list[dict[str, Any]] = []
    for row, others, own in _run_after_run(stored):
        rows.append(row)
        copies += others
        numbers += own
        if len(numbers) >= _BATCH:
            yield _long_frame(numbers)
            numbers = []
    yield _long_frame(numbers)


def _encoded_batches(frames: Iterable[pd.DataFrame], fmt: str) -> Iterator[bytes]:
    if fmt == "csv":
        for number, frame in enumerate(frames):
            yield safe_text_columns(frame).to_csv(index=False, header=not number, lineterminator="\r\n").encode()
        return
    yield from parquet_parts(frames)


def _encoded(table: pd.DataFrame, fmt: str) -> bytes:
    if fmt == "csv":
        return safe_text_columns(table).to_csv(index=False, lineterminator="\r\n").encode()
    data: bytes = table.to_parquet(index=False, engine="pyarrow")
    return data


def _require_pyarrow() -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtra("Parquet", "parquet") from error


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


def _long_rows(records: RunRecords) -> Iterator[dict[str, Any]]:
    for number, record in enumerate(records.journal_text().each(check_record), 1):
        if record.get("kind") != "metric":
            continue
        unknown = record.keys() - set(LONG_COLUMNS) - {"kind"}
        if unknown:
            raise UsageError(
                f"{records.files.place('journal.jsonl')} line {number} has the unknown column {min(unknown)!r}; "
                "it was written by a newer dsbench: upgrade dsbench to read it"
            )
        yield {**record, "run_id": records.run_id}
