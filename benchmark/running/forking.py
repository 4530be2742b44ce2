"""The process that workers are forked from: it imports what they import, begins no thread, and computes nothing itself.

``python -m dsbench.running.start dsbench.running.forking LINE MODULE``, its parent being `dsbench.running.prepared.Prepared`.
LINE is a socket. Once MODULE is imported and prepared, the settings of ``device`` that it may serve are said on it, as JSON.
Every message on it asks for a worker and brings three descriptors: a socket of that worker's own, its output, its progress.
On its own socket the worker reads its arguments and its environment; this process tells its id there, with a handle, and in
the end its exit code.

Signals that mean stop are for the workers: this process lives until its parent dies or has closed LINE.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import io
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, NoReturn

import numpy as np

from dsbench.running.pipe import PROGRESS, end_with_parent, parent_of_workers
from dsbench.running.resident import Resident
from dsbench.stopping import STOPPING

THREADS = Path("/proc/self/task")


def main(arguments: Sequence[str]) -> int:
    line, module = socket.socket(fileno=int(arguments[0])), arguments[1]
    worker = importlib.import_module(module)
    devices = worker.prepare()
    os.close(os.pidfd_open(os.getpid()))  # where there are no handles, it ends here
    heard = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)  # until a fork is ready to hear them
    end_with_parent()
    parent, resident = parent_of_workers(), Resident.now()
    gc.collect()
    gc.freeze()  # what is searched for garbage is written to, which would copy it for every fork
    sys.stdout.flush()
    line.sendall(json.dumps(devices).encode())
    asked = _Forks(line).serve()
    if asked is None:
        return 0
    sys.argv[1:] = [module, *_become(asked, parent)]
    resident.touch()
    signal.pthread_sigmask(signal.SIG_SETMASK, heard)
    end_with_parent()
    return _work(worker, sys.argv[2:])


class _Asked(NamedTuple):
    """Of a worker: the socket of its own, and where its output and its progress go."""

    own: socket.socket
    output: int
    progress: int


class _Forks:
    """The workers that live: by handle, process id and socket."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._living: dict[int, tuple[int, socket.socket]] = {}

    def serve(self) -> _Asked | None:
        """Fork whenever that is asked for. Returns in every fork, and None once the parent has let go."""
        while True:
            for ready in wait([self._line, *self._living]):
                if isinstance(ready, int):
                    self._tell_end(ready)
                    continue
                message, files, _, _ = socket.recv_fds(self._line, 1, 3, socket.MSG_CMSG_CLOEXEC)
                if not message:
                    return None
                asked = _Asked(socket.socket(fileno=files[0]), *files[1:])
                if self._fork(asked.own):
                    return asked
                os.close(asked.output)
                os.close(asked.progress)

    def _fork(self, own: socket.socket) -> bool:
        """Whether this process is the fork. Where there can be none, the end of its socket says so."""
        try:
            pid = os.fork() if len(list(THREADS.iterdir())) == 1 else -1  # of threads only one would live in the fork
        except OSError:
            pid = -1
        if pid == 0:
            self._line.close()
            for handle, (_, others) in self._living.items():
                os.close(handle)
                others.close()
            return True
        if pid == -1:
            own.close()
            return False
        os.setpgid(pid, pid)
        handle = os.pidfd_open(pid)
        with suppress(OSError):  # the parent does not wait any more: the fork will find nothing asked
            socket.send_fds(own, [str(pid).encode()], [handle])
        self._living[handle] = (pid, own)
        return False

    def _tell_end(self, handle: int) -> None:
        pid, own = self._living.pop(handle)
        os.close(handle)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with own, suppress(OSError):
            own.sendall(str(code).encode())


def _become(asked: _Asked, parent: Mapping[str, str]) -> list[str]:
    """Make of a fork what a fresh worker is; its arguments."""
    for number in (1, 2):
        os.dup2(asked.output, number)
    os.close(asked.output)
    with asked.own, asked.own.makefile() as file:
        told = json.load(file)
    os.environ.clear()
    os.environ.update({**told["environment"], **parent, PROGRESS: str(asked.progress)})
    np.random.set_state(np.random.RandomState().get_state())  # Python's own generator begins anew by itself
    arguments: list[str] = told["arguments"]
    return arguments


def _work(worker: ModuleType, arguments: Sequence[str]) -> int:
    try:
        code: int = worker.main(arguments)
        if threading.active_count() == 1:  # the interpreter knows best how to wait for others
            _leave(code)
    finally:
        gc.unfreeze()  # for an end that is the interpreter's
    return code


def _leave(code: int) -> NoReturn:
    """End as the interpreter would, but for taking apart what was imported before the fork: that would copy all of it."""
    atexit._run_exitfuncs()
    gc.collect()
    left_open = [one for one in gc.get_objects() if issubclass(type(one), io.IOBase)]  # those of before are frozen
    for file in (*left_open, sys.stdout, sys.stderr):
        with suppress(Exception):
            file.flush()
    ctypes.CDLL(None).fflush(None)
    os._exit(code)
