"""Files that survive a crash: whole-file replacement, exclusive creation and kernel locks."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dsbench.errors import CannotWrite, CorruptFile, UsageError
from dsbench.stopping import raise_if_asked
from dsbench.temporaries import temporary_beside

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,118}[a-z0-9_-])?\Z")
_RESERVED = {"con", "prn", "aux", "nul", *(f"com{i}" for i in range(1, 10)), *(f"lpt{i}" for i in range(1, 10))}


DATA_PLACE = "DSBENCH_DATA=DIR"  # another place for data sets
_POLL_S = 0.1  # between two tries of a lock that is waited for
_REASONS = {  # why the system refuses, and what is to be done before the same command is given again
    errno.ENOSPC: ("the disk is full", "free space and "),
    errno.EDQUOT: ("the disk is full", "free space and "),
    errno.EROFS: ("the file system is read-only", "make it writable and "),
    errno.ENOENT: ("its folder was removed", ""),
}


def check_name(name: str, what: str = "name") -> str:
    """`name` if it is safe as one path component (lower case, digits, ``. _ -``); `UsageError` otherwise."""
    if not _NAME.match(name) or ".." in name or name.split(".")[0] in _RESERVED:
        raise UsageError(f"{what} {name!r} cannot be a file name; expected lower-case letters, digits, '.', '_' or '-'")
    return name


def write_atomic(path: Path, data: bytes) -> None:
    """`replace_file`, with the folders that it takes."""
    write_stream(path, [data])


def write_stream(path: Path, parts: Iterable[bytes]) -> None:
    """The same for what is made part by part; an error of whoever makes them leaves `path` as it was."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    _replace(path, parts)


def replace_file(path: Path, data: bytes) -> None:
    """Replace `path` by `data`, whole or not at all: temporary file beside it, fsync, rename, fsync of the folder.

    Raises:
        CannotWrite: the system refuses; so it does where the folder is gone, which is never made anew.
    """
    _replace(path, [data])


def _replace(path: Path, parts: Iterable[bytes]) -> None:
    temporary = temporary_beside(path)
    try:
        _write_durably(temporary, parts)
        os.replace(temporary, path)
        fsync_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        _discard(temporary)


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
    """Create `path` with `data` exactly once; False if it exists already. Atomic across processes (hard link).

    Raises:
        CannotWrite: as `replace_file`.
    """
    temporary = temporary_beside(path)
    try:
        _write_durably(temporary, [data])
        os.link(temporary, path)
        fsync_folder(path.parent)
    except FileExistsError:
        return False
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        _discard(temporary)
    return True


def replace_folder(beside: Path, place: Path) -> None:
    """Rename the folder `beside` to `place`, and delete what was there; raises `OSError`.

    A folder cannot be overwritten, so an old one is moved away first. Where another process puts one there meanwhile, that is
    moved away too: the last one wins, and both end well.
    """
    while True:
        old = temporary_beside(place)
        with suppress(FileNotFoundError):
            os.rename(place, old)
        try:
            os.rename(beside, place)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            fsync_folder(place.parent)
            return
        finally:
            shutil.rmtree(old, ignore_errors=True)


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
def locked(path: Path, on_wait: Callable[[], None] = raise_if_asked) -> Iterator[None]:
    """Hold an exclusive kernel lock on `path` of a data set (created if missing), waiting for it; freed even by kill -9.

    Args:
        path: the lock file.
        on_wait: called again and again while another process has it; what it raises ends the waiting.

    Raises:
        CannotWrite: the file cannot be made, or its file system has no locks.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(open_own(path, os.O_RDWR | os.O_APPEND | os.O_CREAT), "a+b")
    except OSError as error:
        raise cannot_write(path, error, DATA_PLACE) from error
    with file:
        while not _try_lock(file.fileno(), path):
            on_wait()
            time.sleep(_POLL_S)
        yield


def _try_lock(descriptor: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise cannot_write(path, error, DATA_PLACE) from error
    return True


def fsync_folder(folder: Path) -> None:
    """Make renames and creations inside `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_durably(path: Path, parts: Iterable[bytes]) -> None:
    with path.open("xb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())


def cannot_write(path: Path, error: OSError, place: str = "--results DIR") -> CannotWrite:
    """The error to raise when the system refused to write `path`: why, and the way out, `place` naming another folder."""
    if error.errno == errno.ELOOP:
        return CannotWrite(
            f"cannot write {path}: it is a link, and nothing is written through one; remove it or choose another folder "
            f"with {place}"
        )
    reason, before = _REASONS.get(error.errno or 0, (error.strerror or str(error), ""))
    return CannotWrite(
        f"cannot write {path}: {reason}; {before}give the same command again, or choose another folder with {place}"
    )


def _discard(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
