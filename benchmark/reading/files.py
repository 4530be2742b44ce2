"""Opening a file that somebody else may have laid there: a regular one, inside its folder, read no further than allowed."""

from __future__ import annotations

import errno
import os
import stat
from io import FileIO
from pathlib import Path

from dsbench.reading.limits import Unparsable

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY  # a pipe must not be waited for
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def read_regular(path: Path | str, limit: int, inside: Path | str | None = None) -> bytes:
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
    descriptor = _opened(path, inside)
    try:
        size = os.fstat(descriptor).st_size
        data = os.read(descriptor, size + 1) if size <= limit else b""
        while len(data) > size and size <= limit:  # it grows, or is one of those that have no size
            size = len(data)
            data += os.read(descriptor, size + 1)
    except OSError as error:
        raise Unparsable(f"cannot be read ({error.strerror})") from None
    finally:
        os.close(descriptor)
    if size > limit:
        raise Unparsable(f"is larger than {limit:,} bytes")
    return data


def open_regular(path: Path | str, inside: Path | str | None = None) -> FileIO:
    """The regular file at `path`, opened to be read. Arguments and errors as `read_regular`."""
    return FileIO(_opened(path, inside), "rb")


def _opened(path: Path | str, inside: Path | str | None) -> int:
    """Its descriptor."""
    try:
        place, mode = _inside(path, inside)
        _check_kind(mode)  # before it is opened, since opening some devices does something
        descriptor = os.open(place, _FLAGS)
    except FileNotFoundError:
        if os.path.lexists(path):
            raise Unparsable("is a link to nothing") from None
        raise
    except Unparsable:
        raise
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) == errno.ELOOP:
            raise Unparsable("is a link in a circle, or became a link while it was opened") from None
        raise Unparsable(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None
    try:
        _check_kind(os.fstat(descriptor).st_mode)
    except Unparsable:
        os.close(descriptor)
        raise
    return descriptor


def _inside(path: Path | str, folder: Path | str | None) -> tuple[str, int]:
    """Where `path` really is, and the mode of what lies there; `Unparsable` if that is outside `folder`."""
    name = os.fspath(path)
    if folder is not None and name.rpartition("/")[0] == os.fspath(folder):
        mode = os.lstat(name).st_mode
        if not stat.S_ISLNK(mode):
            return name, mode  # most are such, and finding out where a path leads costs more than reading it
    place = os.path.realpath(name)
    if folder is not None and not Path(place).is_relative_to(os.path.realpath(folder)):
        raise Unparsable(f"is a link out of its folder, to {place}")
    return place, os.lstat(place).st_mode


def _check_kind(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise Unparsable(f"is {_KINDS.get(stat.S_IFMT(mode), 'no regular file')}; expected a regular file")
