"""The parent of the process that measures: starts it with the right environment and shows how far it is. Imports no torch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from dsbench.errors import DsbenchError, Internal, UsageError
from dsbench.measuring.request import Request
from dsbench.outside.trust import environment, handed_over
from dsbench.running.process import process_environment
from dsbench.running.progress import Display

WORKER = ("-P", "-m", "dsbench.measuring.worker")  # -P: a file in the current folder must not shadow a library
NAME = "bench"  # of the only thing that the display shows
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
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
    with tempfile.TemporaryDirectory(prefix="dsbench-") as name:
        place = Path(name)
        asked = place / "request.json"
        asked.write_text(json.dumps({"request": request.to_json(), "sources": handed_over()}))
        with (place / "stderr.txt").open("wb") as stderr, display:
            process, reading = _start(request, asked, stderr)
            with _passing_on(process, display), os.fdopen(reading, encoding="utf-8") as lines:
                told = _follow(lines, display)
            code = process.wait()
        return _outcome(told, code, (place / "stderr.txt").read_text(errors="replace"))


def _start(request: Request, asked: Path, stderr: Any) -> tuple[subprocess.Popen[bytes], int]:
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, *WORKER, "--request", str(asked)],
        stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, pass_fds=[writing], process_group=0,
        env={
            **os.environ, **process_environment(request.threads), **environment(), "DSBENCH_PROGRESS_FD": str(writing),
        },
    )  # fmt: skip
    os.close(writing)
    return process, reading


def _follow(lines: Any, display: Display) -> Mapping[str, Any]:
    """Everything that was said beside progress."""
    told: dict[str, Any] = {}
    for line in lines:
        event = json.loads(line)
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
        error = kind(told["error"])
        error.exit_code = told["exit_code"]
        raise error
    if "folder" not in told or code not in (0, 128 + signal.SIGINT, 128 + signal.SIGTERM):
        last = " ".join(printed[-_TAIL:].split())
        kept = f"; what was measured before is in {told['folder']}" if "folder" in told else ""
        raise Internal(
            f"the process that measures ended with exit code {code}{kept}; it last said: {last or 'nothing'}"
        )
    return Measured(Path(told["folder"]), code)


@contextmanager
def _passing_on(process: subprocess.Popen[bytes], display: Display) -> Iterator[None]:
    """Signals to this process go to the one that measures; the second ends it at once."""
    seen: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        process.send_signal(signal.SIGKILL if seen else signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)
        if not seen:
            display.note("stopping: what was measured so far is kept (once more to leave at once)")
        seen.append(number)

    before = {number: signal.signal(number, handle) for number in _STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
