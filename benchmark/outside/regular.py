"""Reading a file that somebody else may have put there: regular files alone, of bounded size, never waited for."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from dsbench.errors import UsageError


def read_regular(path: Path | str, limit: int, *, follow: bool = True) -> bytes:
    """The bytes of a regular file.

    Args:
        limit: bytes that it may have.
        follow: whether `path` may be a link.

    Raises:
        UsageError: it is a folder, a FIFO, a device or too large.
        OSError: it is not there, cannot be read, or is a link where none may be.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    descriptor = os.open(path, flags)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UsageError(f"{path} is no regular file; expected one")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise UsageError(f"{path} is larger than {limit:,} bytes; expected a file of source code")
    return data
