"""Files that survive a crash: whole-file replacement, exclusive creation, kernel locks and hashes."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dsbench.errors import CannotWrite, CorruptFile, UsageError

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,118}[a-z0-9_-])?\Z")
_RESERVED = {"con", "prn", "aux", "nul", *(f"com{i}" for i in range(1, 10)), *(f"lpt{i}" for i in range(1, 10))}


DATA_PLACE = "DSBENCH_DATA=DIR"  # another place for data sets


def check_name(name: str, what: str = "name") -> str:
    """`name` if it is safe as one path component (lower case, digits, ``. _ -``); `UsageError` otherwise."""
    if not _NAME.match(name) or ".." in name or name.split(".")[0] in _RESERVED:
        raise UsageError(f"{what} {name!r} cannot be a file name; expected lower-case letters, digits, '.', '_' or '-'")
    return name


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` by `data`, whole or not at all: temporary file beside it, fsync, rename, fsync of the folder."""
    temporary = _write_temporary(path, data)
    try:
        os.replace(temporary, path)
    except OSError as error:
        _discard(temporary)
        raise cannot_write(path, error) from error
    fsync_folder(path.parent)


def write_below(folder: Path, name: str, data: bytes) -> Path:
    """`write_atomic` to ``folder/name``; `CannotWrite` where `name` or a link on the way leads out of `folder`."""
    _check_inside((folder / name).parent, folder)
    write_atomic(folder / name, data)
    return folder / name


def stays_inside(path: Path, root: Path) -> None:
    """Nothing for a `path` that is not below `root`; of one that is, `CannotWrite` where a link leads it out of there.

    A folder from elsewhere may hold links, and what is written into it must not end up in another place.
    """
    if Path(os.path.abspath(path)).is_relative_to(os.path.abspath(root)):
        _check_inside(path, root)


def _check_inside(path: Path, root: Path) -> None:
    place = Path(os.path.realpath(path))
    if not place.is_relative_to(os.path.realpath(root)):
        raise CannotWrite(
            f"cannot write into {path}: it leads to {place}, out of {root}; remove the link or choose another folder"
        )


def open_own(path: Path, flags: int) -> int:
    """A descriptor of the regular file at `path`; it is made if missing where `flags` say so.

    Raises:
        OSError: a link, a pipe or a device is in its place, which are not followed or waited for, or as `os.open`.
    """
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file")
    return descriptor


def create_exclusive(path: Path, data: bytes) -> bool:
    """Create `path` with `data` exactly once; False if it exists already. Atomic across processes (hard link)."""
    temporary = _write_temporary(path, data)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        _discard(temporary)
    fsync_folder(path.parent)
    return True


def to_json(value: Any) -> bytes:
    """Strict, sorted, indented JSON; NaN and infinities are refused (they are no JSON)."""
    return (json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def read_json(path: Path) -> Any:
    """The JSON in `path`; `CorruptFile` names the file when it is not JSON."""
    try:
        return json.loads(path.read_bytes())
    except (ValueError, UnicodeDecodeError) as error:
        raise CorruptFile(f"{path} is not valid JSON ({error}); restore or delete it") from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive kernel lock on `path` of a data set (created if missing), waiting for it; freed even by kill -9."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(open_own(path, os.O_RDWR | os.O_APPEND | os.O_CREAT), "a+b")
    except OSError as error:
        raise cannot_write(path, error, DATA_PLACE) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def fsync_folder(folder: Path) -> None:
    """Make renames and creations inside `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_temporary(path: Path, data: bytes) -> Path:
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes files private; results are meant to be shared
        return temporary
    except OSError as error:
        if temporary is not None:
            _discard(temporary)
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError, place: str = "--results DIR") -> CannotWrite:
    """The error to raise when the system refused to write `path`: why, and the way out, `place` naming another folder."""
    if error.errno == errno.ELOOP:
        return CannotWrite(
            f"cannot write {path}: it is a link, and nothing is written through one; remove it or choose another folder "
            f"with {place}"
        )
    reason = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror or str(error)
    return CannotWrite(f"cannot write {path}: {reason}; free space or choose another folder with {place}")


def _discard(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
