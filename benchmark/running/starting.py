"""How a worker begins: what it is given, what its parent keeps of it, and the plain way, a fresh process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Protocol

from dsbench.running.pipe import PROGRESS, parent_of_workers

WORKER = "dsbench.running.worker"
# -P: a file in the current folder must not shadow a library
BEGIN = (sys.executable, "-P", "-m", "dsbench.running.start")


@dataclass(frozen=True)
class Launch:
    """What a worker begins with, whichever way.

    Attributes:
        arguments: of its ``main``.
        environment: all of its variables but those that tell it its parent and its pipe.
        output: file of its stdout and stderr.
        progress: descriptor that it tells its progress on.
    """

    arguments: Sequence[str]
    environment: Mapping[str, str]
    output: IO[bytes]
    progress: int


class Process(Protocol):
    """What `WorkerProcess` needs of a worker, as `subprocess.Popen` has it: the leader of a process group of its own."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self) -> int: ...
    def send_signal(self, sig: int) -> None: ...


def fresh(module: str, launch: Launch) -> Process:
    """Begin ``main`` of this module in a process that has imported nothing yet. `OSError` where the machine refuses."""
    return subprocess.Popen(
        [*BEGIN, module, *launch.arguments],
        stdin=subprocess.DEVNULL,
        stdout=launch.output,  # nothing a library prints may end up in the parent's output
        stderr=launch.output,
        env={**launch.environment, **parent_of_workers(), PROGRESS: str(launch.progress)},
        pass_fds=[launch.progress],
        process_group=0,
    )
