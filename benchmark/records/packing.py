"""From results to a pack: which runs and benches go in, and what is left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from dsbench.errors import UnknownName, UnreadableRecord, UsageError
from dsbench.files import write_atomic
from dsbench.reading import Unparsable
from dsbench.records.copies import CONFLICTING, rows_of
from dsbench.records.documents import SMALL
from dsbench.records.pack import KINDS, SUFFIX, Files, pack_bytes
from dsbench.records.record_files import RecordFiles
from dsbench.records.run_row import UNREADABLE
from dsbench.records.store import BENCH, RUNS, Places, packed_files, stored_in

CODE = "code"  # folder of a run
RUNNING = "running"


@dataclass
class Packed:
    """What was written.

    Attributes:
        path: the pack.
        size: its bytes.
        runs, benches: how many are in it.
        left_out: id -> why it is not in it.
    """

    path: Path
    size: int = 0
    runs: int = 0
    benches: int = 0
    left_out: dict[str, str] = field(default_factory=dict)


def pack(
    results: Places, out: Path, command: str | None = None, *, only: str | None = None, code: bool = False
) -> Packed:
    """Write all that lies in `results` into the pack `out`, whole or not at all.

    Args:
        results: folders, packs, or several of them.
        out: the file, ``*.dsb``.
        command: that made the results, for whoever reads the pack.
        only: ``runs`` or ``bench``, the other left where it is; None takes both.
        code: take the outside code of the runs along, which nothing runs unless it is trusted.

    Raises:
        UsageError: no results, nothing in them to be packed, or another name than ``*.dsb``.
        CannotWrite: disk full or no rights.
    """
    if out.suffix != SUFFIX:
        raise UsageError(f"--out is {str(out)!r}; expected a file name that ends in {SUFFIX}")
    if only not in (None, *KINDS):
        raise UnknownName("kind of results", str(only), KINDS)
    stored, packed = stored_in(results), Packed(out)
    packed.left_out |= stored.unreadable
    runs: dict[str, Files] = {}
    for name, copies in stored.runs.items() if only in (None, RUNS) else ():
        row, records, others = rows_of(copies)
        if row["status"] in (UNREADABLE, CONFLICTING, RUNNING):
            packed.left_out[name] = f"{row['status']}: {row['reason'] or 'a process works on it'}"
            continue
        if others:
            packed.left_out[name] = "kept once: what it cost on another machine is left out"
        runs[name] = {**packed_files(records.files), **(_code_of(records.files) if code else {})}
    benches: dict[str, Files] = {}
    for name, files in stored.benches if only in (None, BENCH) else ():
        try:
            benches[name] = packed_files(files)
        except UnreadableRecord as error:
            packed.left_out[name] = str(error)
    if not (runs or benches):
        raise UsageError(f"nothing to pack in {stored.title}: {next(iter(packed.left_out.values()), 'it is empty')}")
    data = pack_bytes(runs, benches, command)
    write_atomic(out, data)
    packed.size, packed.runs, packed.benches = len(data), len(runs), len(benches)
    return packed


def _code_of(files: RecordFiles) -> dict[str, bytes]:
    """The copy of outside code that a run keeps, by its path in the run."""
    found: dict[str, bytes] = {}
    for name in files.names_below(CODE):
        try:
            found[name] = files.read(name, SMALL.size)
        except Unparsable as error:
            raise UnreadableRecord(files.place(name), error.reason, "mend or delete it") from None
    return found
