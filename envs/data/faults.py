"""One way to say what is wrong with a data set: file, field, episode, index, what was found, the way out."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from dsbench.errors import DatasetError
from dsbench.reading import MIB, Limits, Unparsable, parse_json, read_regular

GIB = 1 << 30
DEFAULT_MAX_BYTES = 8 * GIB
JSON_LIMITS = Limits(size=8 * MIB, depth=24, entries=200_000, text=MIB)


class BadEpisode(DatasetError):
    """One episode is at fault and the others are not: it may be dropped as a whole."""


def fault(
    file: Path | str,
    field: str,
    what: str,
    way_out: str,
    *,
    episode: int | None = None,
    index: int | None = None,
    kind: type[DatasetError] = DatasetError,
) -> DatasetError:
    """The error to raise; ``FILE: FIELD, episode E, index I: WHAT; WAY OUT``."""
    place = [field] if field else []
    place += [f"episode {episode}"] if episode is not None else []
    place += [f"index {index}"] if index is not None else []
    return kind(f"{': '.join([str(file), *([', '.join(place)] if place else [])])}: {what}; {way_out}")


def check_file(path: Path, max_bytes: int) -> int:
    """Size in bytes of an existing, regular, readable, non-empty file that is not larger than `max_bytes`."""
    try:
        if not path.exists():
            raise fault(path, "", "no such file", "check the path")
        if not path.is_file():
            raise fault(path, "", "not a regular file", "name the file itself")
        size = path.stat().st_size
        with path.open("rb") as file:
            file.read(1)
    except (OSError, ValueError) as error:
        raise fault(path, "", f"cannot be read ({error})", "check the path and its rights") from error
    if size == 0:
        raise fault(path, "", "the file is empty", "get it again")
    if size > max_bytes:
        raise fault(path, "", f"{size:,} bytes, more than the limit of {max_bytes:,}", "raise it with --max-gb")
    return size


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise fault(path, "", f"cannot be read ({error.strerror})", "check the path and its rights") from error


def read_foreign_json(path: Path, limits: Limits = JSON_LIMITS, inside: Path | None = None) -> dict[str, Any]:
    """A JSON object from a file that is not trusted: a regular file, in that folder if given, bounded, parsed strictly."""
    try:
        data = read_regular(path, limits.size, inside)
    except FileNotFoundError:
        raise fault(path, "", "no such file", "check the path") from None
    except Unparsable as error:
        raise fault(path, "", error.reason, "check the path and its rights") from None
    return parse_json_object(data, path, limits)


def parse_json_object(data: bytes | str, path: Path | str, limits: Limits = JSON_LIMITS) -> dict[str, Any]:
    """A JSON object; anything else is a fault of the file at `path`."""
    try:
        value = parse_json(data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data, limits)
    except Unparsable as error:
        raise fault(path, "", str(error), "get the file again") from None
    if not isinstance(value, dict):
        raise fault(path, "", f"holds {type(value).__name__} where a JSON object is expected", "get the file again")
    return value


def make_anew(folder: Path) -> str:
    """The way out for a damaged folder of ours."""
    return f"delete the folder {folder} and run again to make it anew"
