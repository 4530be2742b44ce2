"""Opening a file that somebody else may have laid there: a regular one, inside its folder, read no further than allowed."""

from __future__ import annotations

import errno
import os
import stat
from io import FileIO
from pathlib import Path

from dsbench.reading.limits import Unparsable

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY  # a pipe must not be waited for
_BLOCK = 1 << 16
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def read_regular(path: Path, limit: int, inside: Path | None = None) -> bytes:
    """The bytes of the regular file at `path`.

    Args:
        path: the file.
        limit: most bytes that it may have.
        inside: the folder that it must really lie in, links followed; None where the user named this very path, which may
            be a link to anywhere.

    Raises:
        FileNotFoundError: there is none.
        Unparsable: it is no regular file, lies elsewhere, is larger, or the system refuses it.
    """
    parts, left = [], limit + 1
    with open_regular(path, inside) as file:
        try:
            while left > 0 and (part := file.read(min(left, _BLOCK))):
                parts.append(part)
                left -= len(part)
        except OSError as error:
            raise Unparsable(f"cannot be read ({error.strerror})") from None
    if left <= 0:
        raise Unparsable(f"is larger than {limit:,} bytes")
    return b"".join(parts)


def open_regular(path: Path, inside: Path | None = None) -> FileIO:
    """The regular file at `path`, opened to be read. Arguments and errors as `read_regular`."""
    try:
        return _open(_inside(path, inside))
    except FileNotFoundError:
        if os.path.lexists(path):
            raise Unparsable("is a link to nothing") from None
        raise
    except Unparsable:
        raise
    except (OSError, ValueError) as error:
        raise Unparsable(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None


def _inside(path: Path, folder: Path | None) -> str:
    """Where `path` really is; `Unparsable` if that is outside `folder`."""
    if folder is None:
        return os.path.realpath(path)
    if path.parent == folder and not path.is_symlink():
        return str(path)  # most are such, and finding out where a path leads costs more than reading it
    place = os.path.realpath(path)
    if not Path(place).is_relative_to(os.path.realpath(folder)):
        raise Unparsable(f"is a link out of its folder, to {place}")
    return place


def _open(place: str) -> FileIO:
    _check_kind(os.lstat(place).st_mode)  # before it is opened, since opening some devices does something
    try:
        descriptor = os.open(place, _FLAGS)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Unparsable("became a link while it was opened") from None
        raise
    file = FileIO(descriptor, "rb")
    try:
        _check_kind(os.fstat(descriptor).st_mode)
    except Unparsable:
        file.close()
        raise
    return file


def _check_kind(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise Unparsable(f"is {_KINDS.get(stat.S_IFMT(mode), 'no regular file')}; expected a regular file")
