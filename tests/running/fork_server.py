"""Launchers and workers without the seconds that importing torch takes: they are forked from this process, which has it.

All but ``exec`` is as it is for users: a launcher that starts its worker in a process group of its own, default answers to
signals until the worker listens, an end with its parent. One JSON value a line on stdin: a list begins a launcher (results,
configuration), answered by its process id; a number waits for that launcher and is answered by its wait status.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import torch

import dsbench.measuring.decision
import dsbench.running.probe
import dsbench.running.worker
from dsbench.config import from_dict
from dsbench.running import launcher, start, starting
from dsbench.running.outcomes import exit_code_of


class ForkedWorker:
    """What `dsbench.running.starting.Process` asks for, of a fork of this process."""

    def __init__(self, arguments: Sequence[str], *, env: dict[str, str], pass_fds: Sequence[int], **files: Any) -> None:
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            os.setpgid(0, 0)
            os.dup2(files["stdout"].fileno(), 1)
            os.dup2(files["stderr"].fileno(), 2)
            for descriptor in map(int, os.listdir("/proc/self/fd")):
                if descriptor > 2 and descriptor not in pass_fds:
                    _close(descriptor)
            for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    signal.signal(number, signal.SIG_DFL)
            os.environ.clear()
            os.environ.update(env)
            sys.argv = ["start", *arguments[arguments.index("dsbench.running.start") + 1 :]]
            _leave(start.main)

    def poll(self) -> int | None:
        return self.wait(os.WNOHANG)

    def wait(self, options: int = 0) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)  # imports half of torch
    starting.subprocess = SimpleNamespace(Popen=ForkedWorker, DEVNULL=subprocess.DEVNULL)  # type: ignore[attr-defined]
    known = False
    for line in sys.stdin:
        asked = json.loads(line)
        if isinstance(asked, int):
            answer = os.waitpid(asked, 0)[1]
        else:
            if not known:  # what is imported at first use is imported here
                dsbench.running.worker.experiment_for(from_dict(asked[1]), lambda *_: None)
                known = True
            answer = os.fork()
            if answer == 0:
                _leave(partial(_launch, *asked))
        print(answer, flush=True)


def _launch(results: str, settings: dict[str, Any]) -> int:
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    return exit_code_of(launcher.run_all([from_dict(settings)], Path(results)))


def _leave(work: Any) -> NoReturn:
    """Nothing of this process's own end may run in a fork."""
    code = 1
    try:
        code = work()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _close(descriptor: int) -> None:
    with suppress(OSError):  # the one that the listing itself used
        os.close(descriptor)


if __name__ == "__main__":
    main()
