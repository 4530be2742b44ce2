"""The parent of the process that measures: starts it with the right environment and shows how far it is. Imports no torch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dsbench.errors import DsbenchError, Internal, UsageError
from dsbench.measuring.request import Request
from dsbench.outside.trust import environment, handed_over
from dsbench.running.pipe import PROGRESS, parent_of_workers
from dsbench.running.process import process_environment
from dsbench.running.progress import Display
from dsbench.running.relay import AGAIN_S, Relay
from dsbench.stopping import STOPPING

# -P: a file in the current folder must not shadow a library
WORKER = ("-P", "-m", "dsbench.running.start", "dsbench.measuring.worker")
NAME = "bench"  # of the only thing that the display shows
_TAIL = 2000  # characters of the worker's stderr that an error shows


@dataclass(frozen=True)
class Measured:
    """Where the records are, and the exit code: 0, or 128 and the signal that stopped it."""

    folder: Path
    exit_code: int


def measure_apart(request: Request, display: Display) -> Measured:
    """Measure in a process of its own. Code from outside is what `dsbench.outside.trust.using` gives, or what lies there.

    Raises:
        UsageError: the request cannot be met; nothing was written.
        Internal: the process died.
    """
    request.check()
    with tempfile.TemporaryDirectory(prefix="dsbench-") as name:
        place = Path(name)
        asked = place / "request.json"
        asked.write_text(json.dumps({"request": request.to_json(), "sources": handed_over()}))
        with (place / "stderr.txt").open("wb") as stderr, display:
            process, reading = _start(request, asked, stderr)
            relay = Relay(partial(_stop, process, display), process.kill)
            with relay.listening(), os.fdopen(reading, encoding="utf-8") as lines:
                told = _follow(lines, display)
            code = process.wait()
        if code and "folder" not in told and "error" not in told and relay.first is not None:
            raise _nothing_measured(relay.first)
        return _outcome(told, code, (place / "stderr.txt").read_text(errors="replace"))


def _start(request: Request, asked: Path, stderr: Any) -> tuple[subprocess.Popen[bytes], int]:
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, *WORKER, "--request", str(asked)],
        stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, pass_fds=[writing], process_group=0,
        env={
            **os.environ, **process_environment(request.threads), **parent_of_workers(), **environment(),
            PROGRESS: str(writing),
        },
    )  # fmt: skip
    os.close(writing)
    return process, reading


def _follow(lines: Any, display: Display) -> Mapping[str, Any]:
    """Everything that was said beside progress."""
    told: dict[str, Any] = {}
    began = time.monotonic()
    for line in lines:
        event = json.loads(line)
        if "overall" in event:
            done, total = event["overall"]
            left = (time.monotonic() - began) * (total / done - 1) if done else None
            display.overall(done, total, left)
            continue
        if "phase" in event:
            display.event(NAME, event)
            continue
        if "note" in event:
            display.note(event["note"])
        told |= event
    display.end(NAME)
    return told


def _outcome(told: Mapping[str, Any], code: int, printed: str) -> Measured:
    if "error" in told:
        kind = {UsageError.exit_code: UsageError, Internal.exit_code: Internal}.get(told["exit_code"], DsbenchError)
        raise kind.told(told["error"], told["exit_code"])
    if "folder" not in told or code not in (0, *(128 + number for number in STOPPING)):
        last = " ".join(printed[-_TAIL:].split())
        kept = f"; what was measured before is in {told['folder']}" if "folder" in told else ""
        raise Internal(
            f"the process that measures ended with exit code {code}{kept}; it last said: {last or 'nothing'}"
        )
    return Measured(Path(told["folder"]), code)


def _stop(process: subprocess.Popen[bytes], display: Display, number: int) -> None:
    process.send_signal(number)
    display.note(f"stopping: what was measured so far is kept (Ctrl-C again after {AGAIN_S:g} s to leave at once)")


def _nothing_measured(number: int) -> DsbenchError:
    error = DsbenchError(f"stopped by {signal.Signals(number).name} before anything was measured")
    error.exit_code = 128 + number
    return error
