"""Everything that lies in one or several places: results folders, packs, and packs inside folders.

A place is a folder with ``runs`` or ``bench`` in it, a pack, or a folder that packs lie in. The same run may lie in several
places: as the same records, as records of another machine with equal scores, or in contradiction.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from dsbench.errors import DsbenchError, UnreadableRecord, UsageError
from dsbench.files import check_name
from dsbench.reading import Unparsable
from dsbench.records.documents import JOURNAL_SIZE
from dsbench.records.pack import KINDS, SUFFIX, Pack, files_hash, is_packed, read_pack
from dsbench.records.record_files import FolderFiles, RecordFiles
from dsbench.records.run_folder import RunFolder
from dsbench.records.run_records import FINAL, RunRecords

RUNS, BENCH = KINDS
Places: TypeAlias = Path | str | Sequence[Path | str]


@dataclass
class Stored:
    """What lies in the places.

    Attributes:
        places: where it lies, as it was asked for.
        runs: run id -> its records, one for each place that it lies in; sorted by id.
        benches: of every measuring the id and its files, the oldest first.
        unreadable: what could not even be opened: name -> reason.
    """

    places: tuple[Path, ...] = ()
    runs: dict[str, list[RunRecords]] = field(default_factory=dict)
    benches: list[tuple[str, RecordFiles]] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The names of the places, for headings."""
        return ", ".join(place.resolve().name or str(place) for place in self.places)


def stored_in(places: Places) -> Stored:
    """Opens nothing but packs; runs are read when they are asked.

    Raises:
        UsageError: a place holds no results.
    """
    paths = (Path(places),) if isinstance(places, str | Path) else tuple(Path(place) for place in places)
    found, benches = Stored(paths), dict[str, list[RecordFiles]]()
    for place in paths:
        _gather(place, found, benches)
    found.runs = {name: _each_once(found.runs[name]) for name in sorted(found.runs)}
    found.benches = _named_once(benches)
    return found


def packs_in(folder: Path) -> list[Path]:
    """The packs that lie in a folder."""
    try:
        return sorted(folder / name for name in os.listdir(folder) if name.endswith(SUFFIX) and name[0] != ".")
    except OSError:
        return []


def packed_before(results: Path, name: str) -> RunRecords | None:
    """The run of that name in a pack that lies in a results folder, if it is finished there; damaged packs count for none."""
    for path in packs_in(results):
        with suppress(DsbenchError):
            files = opened_pack(path, inside=results).runs.get(name)
            records = None if files is None else RunRecords(name, files)
            if records is not None and (records.latest_result() or {}).get("status") in FINAL:
                return records
    return None


def opened_pack(path: Path, inside: Path | None = None) -> Pack:
    """`read_pack`, once for a file that has not changed since."""
    try:
        state = os.stat(path)
    except (OSError, ValueError):
        return read_pack(path, inside)
    return _read_once(path, inside, state.st_ino, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=16)
def _read_once(path: Path, inside: Path | None, *_state: int) -> Pack:
    return read_pack(path, inside)


def _gather(place: Path, found: Stored, benches: dict[str, list[RecordFiles]]) -> None:
    if not place.is_dir():
        if place.suffix != SUFFIX and not place.exists():
            raise _no_results(place)
        _add_pack(place, found, benches)
        return
    packs = packs_in(place)
    has_runs, has_benches = (place / RUNS).is_dir(), (place / BENCH).is_dir()
    if not (packs or has_runs or has_benches):
        raise _no_results(place)
    if has_runs:
        for run in run_folders(place, found.unreadable):
            found.runs.setdefault(run.run_id, []).append(run)
    if has_benches:
        for path in _folders(place / BENCH):
            if os.path.lexists(path / "journal.jsonl"):
                benches.setdefault(path.name, []).append(FolderFiles(path))
    for pack in packs:
        _add_pack(pack, found, benches, inside=place)


def _add_pack(path: Path, found: Stored, benches: dict[str, list[RecordFiles]], inside: Path | None = None) -> None:
    try:
        pack = opened_pack(path, inside)
    except DsbenchError as error:
        found.unreadable[str(path) if path.name in found.unreadable else path.name] = str(error)
        return
    found.unreadable |= {f"{name} in {path.name}": reason for name, reason in pack.unreadable.items()}
    for name, files in pack.runs.items():
        found.runs.setdefault(name, []).append(RunRecords(name, files))
    for name, files in pack.bench.items():
        benches.setdefault(name, []).append(files)


def _named_once(benches: dict[str, list[RecordFiles]]) -> list[tuple[str, RecordFiles]]:
    """Every measuring once, sorted by id; of others with the same id each has a number."""
    found = []
    for name, copies in sorted(benches.items()):
        once = {_hash(files): files for files in copies} if len(copies) > 1 else {"": copies[0]}
        for number, files in enumerate(once.values(), 1):
            found.append((name if number == 1 else f"{name}-{number}", files))
    return found


def run_folders(results: Path, unreadable: dict[str, str]) -> Iterator[RunFolder]:
    """The runs of a results folder, sorted by id; what is no run of it goes to `unreadable` with the reason."""
    for path in _folders(results / RUNS):
        try:
            check_name(path.name, "run id")
            # To find out where a path really leads is slow, and most are no links.
            yield RunFolder.open(results, path.name) if path.is_symlink() else RunFolder(path)
        except UsageError as error:
            unreadable[path.name] = str(error)


def _folders(parent: Path) -> list[Path]:
    """Folders in a folder that are not empty, sorted."""
    try:
        with os.scandir(parent) as entries:
            names = sorted(entry.name for entry in entries if entry.name[0] != "." and entry.is_dir())
        return [parent / name for name in names if _is_filled(parent / name)]
    except OSError:
        return []


def _is_filled(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(True for _ in entries)
    except OSError:
        return True  # it cannot be looked into, which is to be said


def _each_once(records: list[RunRecords]) -> list[RunRecords]:
    """Those whose records differ; the same run in two places is one run."""
    if len(records) == 1:
        return records
    known: dict[str, RunRecords] = {}
    for one in records:
        known.setdefault(_hash(one.files), one)
    return list(known.values())


def _hash(files: RecordFiles) -> str:
    """The hash that a pack names a run by, from whichever place; of one that cannot be read its place."""
    try:
        return files_hash(packed_files(files))
    except UnreadableRecord as error:
        return str(error.place)


def packed_files(files: RecordFiles) -> dict[str, bytes]:
    """What of a run or bench goes into a pack: name -> bytes. `UnreadableRecord` names what cannot be read."""
    found = {}
    try:
        for name in sorted(files.names()):
            if is_packed(name):
                try:
                    found[name] = files.read(name, JOURNAL_SIZE)
                except Unparsable as error:
                    raise UnreadableRecord(files.place(name), error.reason, "mend or delete it") from None
    except Unparsable as error:
        raise UnreadableRecord(files.place(""), error.reason, "mend or delete it") from None
    return found


def _no_results(place: Path) -> UsageError:
    return UsageError(
        f"no results in {str(place)!r}: it has no folder 'runs' and no pack (*{SUFFIX}); name another with --results DIR, "
        "or make some with: dsbench run --backbone s4 --env umbrella"
    )
