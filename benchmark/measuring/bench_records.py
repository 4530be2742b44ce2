"""What `dsbench bench` leaves on disk, and tables read from it. Imports no torch.

    RESULTS/bench/<bench_id>/  provenance.json  journal.jsonl  cells.csv  samples.npz

The journal is the truth, a record a line: ``bench`` (what was asked for), ``planned`` (a cell), ``timed`` and ``counted``
(columns of that cell), ``machine`` (what it was measured to do). `cells.csv` is derived from it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.errors import CorruptFile, UnreadableRecord, UsageError
from dsbench.files import stays_inside, write_atomic
from dsbench.reading import Unparsable
from dsbench.records.documents import JOURNAL_SIZE, LARGEST
from dsbench.records.documents import PROVENANCE as PROVENANCE_KIND
from dsbench.records.encoding import read_sealed
from dsbench.records.journal_text import WAY_OUT, JournalText
from dsbench.records.record_files import FolderFiles, RecordFiles
from dsbench.records.run_row import UNREADABLE
from dsbench.records.store import Places, stored_in
from dsbench.text import safe_text_columns

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "bench"
JOURNAL, CELLS, SAMPLES, PROVENANCE = "journal.jsonl", "cells.csv", "samples.npz", "provenance.json"
MOST_CELLS = 10_000
MEMORY_REASON = "memory_reason"  # of a counted cell: why its memory is not known
NOT_REACHED = "not reached: the measuring was stopped before"
COLUMNS = (
    "bench_id", "cell_id", "backbone", "mode", "loop", "env", "implementation", "options", "context", "batch", "length",
    "d_model", "n_layers", "device", "threads", "status", "reason", "p50_us", "p50_low_us", "p50_high_us", "p90_us",
    "p99_us", "samples", "rounds", "contended_rounds", "setup_seconds", "tokens_per_decision", "train_tokens_per_second",
    "parameters_embedding", "parameters_backbone", "parameters_head", "parameters_trainable", "parameter_bytes",
    "optimiser_bytes", "state_bytes", "peak_allocated_bytes", "peak_rss_growth_bytes", "limit_us", "limit_ratio",
    "limit_kind", "match_target", "match_found", "match_off",
)  # fmt: skip
_TEXTS = (
    "bench_id", "cell_id", "backbone", "mode", "loop", "env", "implementation", "options", "device", "status", "reason",
    "limit_kind",
)  # fmt: skip
_FLOATS = (
    "p50_us", "p50_low_us", "p50_high_us", "p90_us", "p99_us", "setup_seconds", "train_tokens_per_second", "limit_us",
    "limit_ratio", "match_off",
)  # fmt: skip
# Times and speeds are drawn on axes of powers; a length of 0 is no training.
_POSITIVE = (
    "p50_us", "p50_low_us", "p50_high_us", "p90_us", "p99_us", "train_tokens_per_second", "limit_us", "limit_ratio",
    "length", "batch",
)  # fmt: skip


@dataclass
class Bench:
    """One measuring, as far as its journal goes.

    Attributes:
        asked: what was asked for (``kind``, ``backbones``, ``seconds``, ...).
        cells: rows of `COLUMNS` by cell id, in the order of the grid.
        machine: peaks and the noise floor, as far as they were measured.
    """

    name: str
    files: RecordFiles
    asked: dict[str, Any] = field(default_factory=dict)
    cells: dict[str, dict[str, Any]] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)

    def rows(self, **wanted: Any) -> list[dict[str, Any]]:
        """Cells that have these values."""
        return [row for row in self.cells.values() if all(row[name] == value for name, value in wanted.items())]


def new_folder(results: Path, kind: str) -> Path:
    """A new folder below RESULTS/bench, named by the time (UTC) and `kind`."""
    stem = f"{time.strftime('%Y%m%dt%H%M%S', time.gmtime())}-{kind}"
    base = results / FOLDER
    stays_inside(base, results)
    base.mkdir(parents=True, exist_ok=True)
    for number in range(1, 1000):
        path = base / (stem if number == 1 else f"{stem}-{number}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise UsageError(f"{base} has 999 folders of this second; wait a moment")


def read_bench(path: Path) -> Bench:
    """One measuring, also while it goes on. Raises as `bench_of`."""
    return bench_of(path.name, FolderFiles(path))


def bench_of(name: str, files: RecordFiles) -> Bench:
    """The measuring called `name`, out of its files.

    Raises:
        UsageError: there is none.
        UnreadableRecord: its journal is damaged.
    """
    try:
        text = JournalText(files.read(JOURNAL, JOURNAL_SIZE), files.place(JOURNAL))
    except FileNotFoundError:
        raise UsageError(
            f"{files.place('')} holds no measuring; expected a folder that dsbench bench wrote, RESULTS/bench/<id>"
        ) from None
    except Unparsable as error:
        raise UnreadableRecord(files.place(JOURNAL), error.reason, WAY_OUT) from None
    bench = Bench(name, files)
    for record in text.each(check_bench_record):
        kind = record.get("kind")
        if kind == "bench":
            bench.asked = record
        elif kind == "machine":
            bench.machine |= record
        elif kind == "planned":
            if len(bench.cells) == MOST_CELLS:
                raise text.fault(f"plans more than {MOST_CELLS:,} cells")
            empty = dict.fromkeys(COLUMNS) | {"bench_id": name, "status": "skipped", "reason": NOT_REACHED}
            bench.cells[record["cell_id"]] = empty | _known(record)
        elif kind in ("timed", "counted"):
            row = bench.cells.get(record["cell_id"])
            if row is None:
                raise text.fault(f"tells of the cell {record['cell_id'][:80]!r}, which was not planned")
            row |= _known(record)
            row["reason"] = row["reason"] or record.get(MEMORY_REASON)
    asked = bench.asked.get("cells")
    if isinstance(asked, int) and len(bench.cells) < asked:
        raise text.fault(f"was cut short: {len(bench.cells):,} of {asked:,} cells are left")
    return bench


def made_where(files: RecordFiles) -> dict[str, Any]:
    """Machine, versions and commit of one measuring; empty where its files do not tell.

    Raises:
        UnreadableRecord: the file is damaged.
    """
    try:
        return read_sealed(files, PROVENANCE, PROVENANCE_KIND, "delete it: the measuring stays, without its machine")
    except FileNotFoundError:
        return {}


def read_benches(results: Places) -> pd.DataFrame:
    """A row a cell of all measurings in results; no row where there are none. Missing is empty, never 0.

    One that cannot be read is a row with status ``unreadable`` and the reason.
    """
    try:
        benches = stored_in(results).benches
    except UsageError:  # nothing at all is there
        benches = []
    return table([row for name, files in benches for row in _cells_whatever_comes(name, files)])


def _cells_whatever_comes(name: str, files: RecordFiles) -> list[dict[str, Any]]:
    try:
        return list(bench_of(name, files).cells.values())
    except (CorruptFile, UsageError) as error:
        return [{"bench_id": name, "status": UNREADABLE, "reason": str(error)}]


def table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a table of `COLUMNS` with a type for each."""
    import pandas as pd

    whole = [name for name in COLUMNS if name not in _TEXTS + _FLOATS]
    frame = pd.DataFrame([[row.get(name) for name in COLUMNS] for row in rows], columns=list(COLUMNS), dtype=object)
    return frame.astype(
        dict.fromkeys(whole, "Int64") | dict.fromkeys(_FLOATS, "float64") | dict.fromkeys(_TEXTS, "string")
    )


def write_cells(path: Path) -> Path:
    """Derive ``cells.csv`` from the journal of the measuring in `path`."""
    out = path / CELLS
    cells = safe_text_columns(table(list(read_bench(path).cells.values())))
    write_atomic(out, cells.to_csv(index=False, lineterminator="\r\n").encode())
    return out


def check_bench_record(record: Mapping[str, Any]) -> None:
    """`Unparsable` unless a record of a bench's journal is of its kind."""
    kind = record.get("kind")
    if kind == "bench" and not _is_request(record):
        raise Unparsable("what was asked for is no request of a bench")
    if kind not in ("planned", "timed", "counted"):
        return
    needed = {"cell_id", "backbone", "mode"} if kind == "planned" else {"cell_id"}
    if kind == "planned" and record.get("mode") == "train":
        needed.add("length")
    for name in (*COLUMNS, MEMORY_REASON):
        if (value := record.get(name)) is not None or name in needed:
            _check_cell(name, value)


def _check_cell(name: str, value: Any) -> None:
    expected = "text" if name in (*_TEXTS, MEMORY_REASON) else "a number" if name in _FLOATS else "a whole number"
    if not _is_of_kind(value, expected):
        raise Unparsable(f"{name} is {str(value)[:60]!r}; expected {expected}")
    if (name in _POSITIVE and value <= 0) or (name in _FLOATS and abs(value) > LARGEST):
        raise Unparsable(f"{name} is {value!r}; expected {'more than 0 and ' * (name in _POSITIVE)}at most {LARGEST:g}")


def _is_of_kind(value: Any, expected: str) -> bool:
    kinds: dict[str, tuple[type, ...]] = {"text": (str,), "a number": (int, float), "a whole number": (int,)}
    return isinstance(value, kinds[expected]) and not isinstance(value, bool)


def _is_request(record: Mapping[str, Any]) -> bool:
    """Texts and numbers where pages show them."""
    overrides, rounds = record.get("overrides", ()), record.get("rounds")
    texts = isinstance(overrides, list | tuple) and all(isinstance(text, str) for text in overrides)
    return texts and (rounds is None or isinstance(rounds, int))


def _known(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name in COLUMNS}
