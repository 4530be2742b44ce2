"""Names of temporary files and folders, which say who writes them, so that nobody deletes what another still writes.

``.NAME.PLACE-PID-RANDOM.tmp``: PLACE is a hash of the host, of the time since when it is up and of the process ids that are
valid in it (containers on one host have their own), so that PID means something to whoever finds the same PLACE.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path

_NAME = re.compile(r"\..+\.(?P<place>[0-9a-f]{12})-(?P<pid>[0-9]{1,10})-[0-9a-f]{8}\.tmp\Z")


def temporary_beside(path: Path) -> Path:
    """A name that no other process takes, in the folder of `path`; a file of it is whole once it was renamed to `path`."""
    return path.with_name(f".{path.name}.{_place()}-{os.getpid()}-{secrets.token_hex(4)}.tmp")


def discard_leftovers(folder: Path) -> None:
    """Delete the temporary files and folders in `folder` whose writer is certainly dead: of this place, and gone."""
    if boot_id() is None:
        return  # another host may have this one's name
    with suppress(OSError):
        for path in list(folder.iterdir()):
            named = _NAME.match(path.name)
            if named and named["place"] == _place() and not _lives(int(named["pid"])):
                with suppress(OSError):
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


@cache
def _place() -> str:
    known = (socket.gethostname(), boot_id(), _process_ids())
    return hashlib.sha256(repr(known).encode()).hexdigest()[:12]


def boot_id() -> str | None:
    """What Linux draws anew at every start of the host; None elsewhere."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return None


def _process_ids() -> str | None:
    """The namespace of process ids that this process sees."""
    with suppress(OSError):
        return os.readlink("/proc/self/ns/pid")
    return None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # another user's
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Dead, and only not yet waited for by its parent; it writes no more."""
    with suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    return False
