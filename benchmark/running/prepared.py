"""Workers of a batch as forks of one process that has imported what they import: a run costs little beyond its work then.

A fork changes nothing else. A fresh process stays for a run alone, for one that may use CUDA or several threads (numpy begins
them when it is imported, and a process with threads cannot be forked), and wherever forking cannot be had.

Python's own forkserver would not do: it imports the main module of whoever calls it into every worker, there is one for the
whole process, with one environment, and a signal to all processes ends it together with the exit codes of its children.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import wait

from dsbench.config import RunConfig
from dsbench.running.pipe import parent_of_workers
from dsbench.running.process import process_environment
from dsbench.running.starting import BEGIN, Launch, Process, fresh

FEWEST = 2  # runs that a process is prepared for; for one alone it would be a detour
LOADING_S = 300.0  # so long it may import, from a slow disk; what hangs here must not hold up the runs
ANSWER_S = 60.0  # so long it may take to fork, on a machine that swaps


class Workers:
    """Begins the workers of a batch.

    Args:
        module: the worker; it has ``main(arguments)``, and ``prepare()`` as `dsbench.running.worker` has it.
        configs: the runs of the batch.
    """

    def __init__(self, module: str, configs: Sequence[RunConfig]) -> None:
        self._module = module
        self._forking = sum(map(may_be_forked, configs)) >= FEWEST
        self._prepared: Prepared | None = None

    def loading(self, config: RunConfig) -> bool:
        """Whether this run had better wait until the process that it is to be forked from is ready."""
        if not self._forking or not may_be_forked(config):
            return False
        if self._prepared is None:
            self._prepared = Prepared(self._module)
        return self._prepared.loading()

    def start(self, config: RunConfig, launch: Launch) -> Process:
        """Begin the worker of this run. `OSError` where the machine does not let it."""
        prepared = self._prepared if may_be_forked(config) else None
        return (prepared and prepared.fork(config.device, launch)) or fresh(self._module, launch)

    def close(self) -> None:
        """At the end of the batch."""
        if self._prepared is not None:
            self._prepared.close()


def may_be_forked(config: RunConfig) -> bool:
    """As far as can be told without torch: whether ``auto`` is a CUDA device, the prepared process finds out."""
    return hasattr(signal, "pidfd_send_signal") and config.threads == 1 and config.device in ("cpu", "auto")


class Prepared:
    """The parent's side of `dsbench.running.forking`."""

    def __init__(self, module: str) -> None:
        self._line, theirs = socket.socketpair()
        self._devices: list[str] | None = None  # settings of `device` that it forks runs for; None while it imports
        self._began = time.monotonic()
        with theirs:
            self._process = subprocess.Popen(
                [*BEGIN, "dsbench.running.forking", str(theirs.fileno()), module],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **process_environment(threads=1), **parent_of_workers()},
                pass_fds=[theirs.fileno()],
                process_group=0,
            )

    def loading(self) -> bool:
        """Whether it still imports; returns at once."""
        if self._devices is None:
            if wait([self._line], 0):
                self._devices = json.loads(_text(self._line) or "[]")  # of one that has died, none
            elif time.monotonic() - self._began >= LOADING_S:
                self._devices = []
        return self._devices is None

    def fork(self, device: str, launch: Launch) -> Process | None:
        """A worker, or None where it has died, has found CUDA in ``auto``, or may not be forked."""
        if device not in (self._devices or ()):
            return None
        told, theirs = socket.socketpair()
        told.settimeout(ANSWER_S)
        with suppress(OSError), theirs:
            socket.send_fds(self._line, [b"!"], [theirs.fileno(), launch.output.fileno(), launch.progress])
        with suppress(OSError):
            pid, handles, _, _ = socket.recv_fds(told, 32, 1, socket.MSG_CMSG_CLOEXEC)
            if handles:
                asked = {"arguments": [*launch.arguments], "environment": dict(launch.environment)}
                return Forked(int(pid), handles[0], told, asked)
        told.close()
        return None

    def close(self) -> None:
        """End it; forks that are left hear a stop."""
        self._line.close()
        self._process.kill()
        self._process.wait()


class Forked:
    """A worker that is no child of this process: a handle says when it has ended, its parent how.

    Args:
        handle: a process file descriptor.
        told: where it is told what to do, and its parent tells its exit code.
    """

    def __init__(self, pid: int, handle: int, told: socket.socket, asked: object) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._handle, self._told = handle, told
        with suppress(OSError):  # it has ended already
            told.sendall(json.dumps(asked).encode())
            told.shutdown(socket.SHUT_WR)

    def poll(self) -> int | None:
        return self.wait() if self.returncode is None and wait([self._handle], 0) else self.returncode

    def wait(self) -> int:
        if self.returncode is None:
            wait([self._handle])
            code = _text(self._told)
            # Where its parent has died, which every fork hears as SIGTERM, that is the best guess.
            self.returncode = int(code) if code else 128 + signal.SIGTERM
            self._told.close()
            os.close(self._handle)
        return self.returncode

    def send_signal(self, sig: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, sig)


def _text(line: socket.socket) -> str:
    """What was said in one piece; nothing where the other side is gone or does not answer."""
    with suppress(OSError):
        return line.recv(256).decode()
    return ""
