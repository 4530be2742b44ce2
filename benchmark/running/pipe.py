"""A worker's side of the line to its parent: what it reports, and that it does not outlive it. Imports no torch."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from typing import Any

from dsbench import stopping

PARENT = "DSBENCH_PARENT"  # process id of the launcher, for its worker
PROGRESS = "DSBENCH_PROGRESS_FD"  # descriptor that a worker reports on
PR_SET_PDEATHSIG = 1  # linux/prctl.h
MIN_REPORT_SECONDS = 0.1  # between two progress lines of one phase


class ProgressPipe:
    """Progress as JSON lines on an inherited descriptor; silent when there is none or nobody reads it."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._last = ("", 0.0)

    @classmethod
    def from_environment(cls) -> ProgressPipe:
        number = os.environ.get(PROGRESS)
        return cls(int(number) if number else None)

    def __call__(self, phase: str, done: int, total: int, message: str = "") -> None:
        now = time.monotonic()
        if phase == self._last[0] and done < total and now - self._last[1] < MIN_REPORT_SECONDS:
            return
        self._last = (phase, now)
        self.send({"phase": phase, "done": done, "total": total, "message": message})

    def send(self, line: dict[str, Any]) -> None:
        """Write one line; a reader that went away must not stop the run."""
        if self._descriptor is None:
            return
        try:
            os.write(self._descriptor, (json.dumps(line) + "\n").encode())
        except OSError:
            self._descriptor = None


def end_with_parent() -> None:
    """Have the kernel send a stop when the launcher dies, so that no orphan holds the run (Linux; elsewhere nothing)."""
    if sys.platform == "linux":
        ways, blocked = (signal.SIGTERM, *stopping.STOPPING), signal.pthread_sigmask(signal.SIG_BLOCK, ())
        heard = [number for number in stopping.not_ignored(ways) if number not in blocked]
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, next(iter(heard), signal.SIGKILL))
    parent = os.environ.pop(PARENT, None)  # what this process starts has another
    if parent is not None and os.getppid() != int(parent):  # it died before the kernel knew
        os._exit(128 + signal.SIGTERM)


def parent_of_workers() -> dict[str, str]:
    """Variables by which a worker that this process starts knows its parent."""
    return {PARENT: str(os.getpid())}
