"""The run's own copy of the outside code that made it.

    code/<backbone|env>/  source.json (hashes)  mine.py  helper.py  ...

Nothing is written or read through a link. Whether the code may run is not decided here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter

from dsbench.errors import UnreadableRecord, UsageError
from dsbench.files import cannot_write, replace_file
from dsbench.outside.closure import MAX_BYTES, MAX_FILE_BYTES, MAX_FILES
from dsbench.outside.source import Source, split_reference
from dsbench.reading import Unparsable
from dsbench.reading.models import Document, checked
from dsbench.records.encoding import read_sealed, seal
from dsbench.records.record_files import FolderFiles, RecordFiles

FOLDER, MANIFEST = "code", "source.json"
_WAY_OUT = "restore it, or run the same command with --force to make the run again"


class _Manifest(Document):
    """What ``source.json`` says; hashes are compared with those of the files."""

    module: str
    attribute: str
    is_file: bool
    files: Annotated[dict[str, str], Field(min_length=1, max_length=MAX_FILES)]
    search: list[str]
    libraries: list[str]
    digest: str


_MANIFEST: TypeAdapter[_Manifest] = TypeAdapter(_Manifest)


def store_code(run: Path, role: str, source: Source) -> None:
    """Keep a copy in the folder of a run; nothing where the code is an installed distribution.

    Raises:
        UsageError: the place is a link.
        CannotWrite: no rights, or the disk is full.
    """
    for path, data in source.files.items():
        _write(_inside(run, role, path), data, run)
    if source.files:
        manifest = {
            "module": source.module, "attribute": source.attribute, "is_file": source.is_file, "files": source.hashes,
            "search": list(source.search), "libraries": list(source.libraries), "digest": source.digest,
        }  # fmt: skip
        _write(_inside(run, role, MANIFEST), seal(manifest), run)


def stored_code(run: Path, role: str, reference: str) -> Source | None:
    """The copy of what `reference` stands for in this run; None where none was kept.

    Raises:
        UnreadableRecord: it was changed, damaged, or is of something else.
    """
    files = FolderFiles(run / FOLDER / role, inside=run)
    place = files.place(MANIFEST)
    try:
        manifest = checked(_MANIFEST, read_sealed(files, MANIFEST, _MANIFEST, _WAY_OUT))
    except FileNotFoundError:
        return None
    source = Source(
        module=manifest.module, attribute=manifest.attribute, is_file=manifest.is_file,
        files=_files(files, manifest.files), search=tuple(manifest.search), libraries=tuple(manifest.libraries),
        places={path: files.place(path) for path in manifest.files},
    )  # fmt: skip
    if source.hashes != manifest.files or source.digest != manifest.digest or source.path not in source.files:
        raise UnreadableRecord(place, "is not what its files are", _WAY_OUT)
    if split_reference(reference)[1] != source.attribute:
        raise UnreadableRecord(place, f"is of {source.attribute!r}, and the run of {reference!r}", _WAY_OUT)
    return source


def _files(files: RecordFiles, hashes: Mapping[str, str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for path in hashes:
        parts = path.removesuffix(".py").split("/")
        if not path.endswith(".py") or not all(part.isidentifier() for part in parts):
            raise UnreadableRecord(files.place(MANIFEST), f"names {path!r}, which is no file of code", _WAY_OUT)
        try:
            found[path] = files.read(path, MAX_FILE_BYTES)
        except FileNotFoundError:
            raise UnreadableRecord(files.place(path), "is missing", _WAY_OUT) from None
        except Unparsable as error:
            raise UnreadableRecord(files.place(path), error.reason, _WAY_OUT) from None
        if sum(map(len, found.values())) > MAX_BYTES:
            raise UnreadableRecord(
                files.place(path), f"and others have more than {MAX_BYTES:,} bytes of code", _WAY_OUT
            )
    return found


def _write(place: Path, data: bytes, run: Path) -> None:
    """With the folders below that of the run, which is never made anew."""
    try:
        for folder in reversed(place.relative_to(os.path.realpath(run)).parents[:-1]):
            (Path(os.path.realpath(run)) / folder).mkdir(exist_ok=True)
    except OSError as error:
        raise cannot_write(place, error) from error
    replace_file(place, data)


def _inside(run: Path, role: str, path: str) -> Path:
    """A place in the run's folder that no link leads out of."""
    place = Path(os.path.realpath(run)) / FOLDER / role / path
    if Path(os.path.realpath(place.parent)) != place.parent:
        raise UsageError(f"{place.parent} is a link or lies behind one; code of a run must lie inside its folder")
    return place
