"""Kernel locks that are not waited for: who holds one, and whether anyone does."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from dsbench.errors import CannotWrite, RunHeld
from dsbench.files import cannot_write, open_own

_TRIES, _PAUSE_S = 10, 0.03  # a reader in `is_locked` holds the lock for microseconds; it is no holder


@contextmanager
def exclusive_lock(path: Path, holder: Callable[[], str]) -> Iterator[Callable[[], None]]:
    """Hold the lock on `path` (made if missing); freed when the process ends, however it ends.

    Args:
        path: the lock file.
        holder: describes who holds it, for the message.

    Yields:
        A function that raises `CannotWrite` when the file at `path` is no longer the one that is locked: its folder was
        removed, and whoever made it anew may hold that.

    Raises:
        RunHeld: another open file has it.
        CannotWrite: the file cannot be made, or its file system has no locks.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = open_own(path, os.O_RDWR | os.O_CREAT)  # not inherited by programs started later
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        if not _take(descriptor, path):
            raise RunHeld(f"{path.parent} is held by {holder()}; wait for it or stop it, then run this again")
        check_same = partial(_check_same, path, descriptor)
        check_same()  # it may have been removed between opening and locking
        yield check_same
    finally:
        os.close(descriptor)


def identity(path: Path) -> str | None:
    """What tells the lock file at `path` from one made anew in its place; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return f"{found.st_dev}:{found.st_ino}"


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock on `path`; needs no write rights."""
    try:
        descriptor = open_own(path, os.O_RDONLY)
    except OSError:
        return False  # missing, or nothing that a run of ours could hold
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # a file system without locks: no run can be claimed there either
    finally:
        os.close(descriptor)
    return False


def _check_same(path: Path, descriptor: int) -> None:
    locked, found = os.fstat(descriptor), identity(path)
    if found != f"{locked.st_dev}:{locked.st_ino}":
        what = "removed" if found is None else "removed and made anew by another process"
        raise CannotWrite(
            f"cannot write {path.parent}: it was {what} while the run was going on; give the same command again"
        )


def _take(descriptor: int, path: Path) -> bool:
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE_S)
        except OSError as error:
            raise CannotWrite(
                f"cannot lock {path}: {error.strerror}; choose a folder on another file system with --results DIR"
            ) from error
        else:
            return True
    return False
