"""How often Linux has killed a process of this one's own control group for memory.

The machine's own counter would not do: on a shared node it rises with everybody's processes. A group counts its own
processes, whichever limit, its own or one further up, they ran into.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

COUNTERS = {"cgroup2": "memory.events", "cgroup": "memory.oom_control"}  # by type of file system: version 2 and 1
KILLS = ("oom_kill", "oom_group_kill")


def memory_kills() -> int | None:
    """Kills so far, of version 1 and 2 together; None where that is not counted."""
    with suppress(OSError, ValueError):
        groups, mounts = Path("/proc/self/cgroup").read_text(), Path("/proc/self/mountinfo").read_text()
        found = [count for path in counter_files(groups, mounts) if (count := _read(path)) is not None]
        return sum(found) if found else None
    return None  # no Linux


def counter_files(groups: str, mounts: str) -> Iterator[Path]:
    """Where the kills of a process's groups may be counted.

    Args:
        groups: text of its ``/proc/PID/cgroup``.
        mounts: text of its ``/proc/PID/mountinfo``.
    """
    for line in groups.splitlines():
        number, controllers, group = line.split(":", 2)
        kind = "cgroup2" if number == "0" and not controllers else "cgroup"
        if kind == "cgroup" and "memory" not in controllers.split(","):
            continue
        for root, place in _mounted(mounts, kind):
            with suppress(ValueError):  # a part of the tree is mounted, and the group is not in it
                yield place / PurePosixPath(group).relative_to(root) / COUNTERS[kind]


def kills_in(text: str) -> int | None:
    """Kills by the text of a counter's file; None when it tells none."""
    counts = dict(line.split() for line in text.splitlines() if len(line.split()) == 2)
    found = [int(counts[name]) for name in KILLS if name in counts]
    return sum(found) if found else None


def _mounted(mounts: str, kind: str) -> Iterator[tuple[str, Path]]:
    """(what of the tree is mounted, where) of every tree that holds groups of memory."""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        _, _, _, root, place, *_ = before.split()
        system, _, options = after.split(" ", 2)
        if system == kind and (kind == "cgroup2" or "memory" in options.split(",")):
            yield root, Path(place.replace("\\040", " "))


def _read(path: Path) -> int | None:
    with suppress(OSError, ValueError):
        return kills_in(path.read_text())
    return None
