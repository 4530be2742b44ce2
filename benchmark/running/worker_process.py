"""One worker as its parent sees it: started with the right environment, read, stopped, and its death explained."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dsbench.config import RunConfig, run_id
from dsbench.errors import CannotWrite, DsbenchError, RunHeld
from dsbench.files import replace_file
from dsbench.outside import trust
from dsbench.records.run_folder import Plan, RunFolder
from dsbench.running.causes import CRASHES, says_out_of_memory
from dsbench.running.cgroup import memory_kills
from dsbench.running.process import process_environment
from dsbench.running.request import WorkerRequest
from dsbench.running.rows import identity_columns, sources_entry
from dsbench.running.starting import Launch, Process
from dsbench.stopping import STOPPING

GRACE_S = 20.0  # between the time limit's SIGTERM and SIGKILL; a checkpoint fits in
_TAIL = 64 * 1024  # bytes of the worker's stderr that are kept


@dataclass(frozen=True)
class Outcome:
    """How asking for a run ended."""

    run_id: str
    status: str  # one of records.STATUSES, "held" (look again later) or "refused"
    exit_code: int
    row: Mapping[str, Any] | None = None
    message: str | None = None  # one line for the user when something went wrong


class WorkerProcess:
    """A running worker.

    It is started in a process group of its own, so that Ctrl-C reaches it once, through its parent.

    Args:
        config: the run.
        folder: its folder.
        plan: what the folder says is to be done.
        force: begin the next attempt whatever came out before.
        notes_faults: code from outside that raises an error before the run begins makes a failed row, so that it is seen beside
            others; a run alone is refused.
        start: begins the process.
    """

    def __init__(
        self,
        config: RunConfig,
        folder: RunFolder,
        plan: Plan,
        *,
        force: bool,
        notes_faults: bool = False,
        start: Callable[[RunConfig, Launch], Process],
    ) -> None:
        self.config, self.folder, self.attempt, self._notes_faults = config, folder, plan.attempt, notes_faults
        self._sources = sources_entry(config)  # of now, whatever lies there when the worker has died
        self.error: dict[str, Any] | None = None  # a DsbenchError of the worker, as it reported it
        self._files = tempfile.TemporaryDirectory(prefix="dsbench-")
        self._stderr = Path(self._files.name) / "stderr.txt"
        self._memory_kills = memory_kills()
        self._claimed: str | None = None  # the identity of the folder, once the worker has claimed it
        self._asked_to_stop: int | None = None
        self._overdue: str | None = None  # why it is being ended
        self._kill_at = 0.0
        self._phase = "start"
        self._began = self._last_word = time.monotonic()
        self._unread, self.at_end = b"", False
        self.pipe = self._start(force, start)

    def _start(self, force: bool, start: Callable[[RunConfig, Launch], Process]) -> int:
        asked = Path(self._files.name) / "request.json"
        asked.write_text(json.dumps(WorkerRequest.of(self.config).to_json()))
        arguments = ["--results", str(self.folder.path.parent.parent), "--request", str(asked)]
        arguments += ["--force"] if force else []
        read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        environment = {**os.environ, **process_environment(self.config.threads), **trust.environment()}
        with self._stderr.open("wb") as output:
            self.process = start(self.config, Launch(arguments, environment, output, write_end))
        os.close(write_end)
        return read_end

    def read(self) -> list[dict[str, Any]]:
        """Progress since the last call; returns at once."""
        with suppress(BlockingIOError):
            while block := os.read(self.pipe, 1 << 16):
                self._unread += block
            self.at_end = True
        *lines, self._unread = self._unread.split(b"\n")
        events = []
        for line in lines:
            with suppress(ValueError):
                event = json.loads(line)
                if "error" in event:
                    self.error = event
                elif "attempt" in event:
                    self.attempt, self._claimed = int(event["attempt"]), event["folder"]
                elif "phase" in event:
                    events.append(event)
                    self._last_word, self._phase = time.monotonic(), str(event["phase"])
        return events

    def stop(self, number: int) -> None:
        """Pass a signal on, once; the worker saves a checkpoint and ends."""
        if self._asked_to_stop is None and self._overdue is None:
            self._asked_to_stop = number
            self._signal(number)

    def kill(self) -> None:
        """End it at once, and all that it started; what is saved stays."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def enforce_limits(self) -> None:
        """A stop when its time is over or it has long said nothing, SIGKILL when that did not help."""
        now = time.monotonic()
        if self._overdue is not None:
            if now >= self._kill_at:
                self.kill()
            return
        self._overdue = self._limit_passed(now)
        if self._overdue is not None:
            self._kill_at = now + GRACE_S
            self._signal(signal.SIGTERM)

    def _limit_passed(self, now: float) -> str | None:
        limit, stall = self.config.time_limit_s, self.config.stall_limit_s
        if limit is not None and now - self._began >= limit:
            return f"longer than the time limit of {limit:g} s; raise time_limit_s"
        if stall is not None and now - self._last_word >= stall:
            return (
                f"no progress for {stall:g} s while in phase {self._phase!r}; the environment or the backbone hangs, or a "
                "single step of it takes longer: then raise stall_limit_s"
            )
        return None

    def outcome(self) -> Outcome:
        """How it ended (waits for that). Writes the final status when the worker could not."""
        code = self.process.wait()
        self.kill()  # whoever it started and left behind
        self.read()
        try:
            return self._explain(code)
        finally:
            os.close(self.pipe)
            self._files.cleanup()

    def _explain(self, code: int) -> Outcome:
        row = self._stored()
        if row is not None and row["status"] != "interrupted":  # the worker's own word
            if self.error is not None and row["status"] == "failed":  # and what it has to tell who wrote the code
                return self._outcome("failed", int(self.error["exit_code"]), row, str(self.error["error"]))
            return self._outcome(row["status"], 0 if row["status"] == "ok" else 1, row, row.get("reason"))
        if self.error is not None and "reason" in self.error and self._notes_faults:
            noted = self._noted("failed", str(self.error["reason"]), int(self.error["exit_code"]))
            self._keep_stderr()
            return replace(noted, message=str(self.error["error"]))
        if self.error is not None:
            return self._ended_by_error(str(self.error["error"]), int(self.error.get("exit_code", 1)))
        if row is not None and self._overdue is None and code - 128 in STOPPING:  # it has noted the stop itself
            return self._outcome("interrupted", code, row, row["reason"])
        outcome = self._noted(*self._cause_of_death(code))
        if outcome.status == "failed":
            self._keep_stderr()
        return outcome

    def _ended_by_error(self, message: str, exit_code: int) -> Outcome:
        if exit_code == CannotWrite.exit_code and self._claimed is not None:
            return self._noted("interrupted", message, exit_code)
        status = "held" if exit_code == RunHeld.exit_code else "refused"
        return self._outcome(status, exit_code, None, message)

    def _noted(self, status: str, reason: str, exit_code: int) -> Outcome:
        """An end that the worker could not write down itself, written where that is possible, and told in any case."""
        row = {**identity_columns(self.config, self.folder.run_id), **self._sources, "reason": reason}
        begun = self._claimed is not None
        with suppress(DsbenchError, OSError):  # held by another meanwhile, or the disk is full
            if self._is_ours() and (begun or status != "interrupted"):
                self.folder.finish(status, row, self.attempt)
        return self._outcome(status, exit_code, {**row, "status": status}, reason)

    def _stored(self) -> dict[str, Any] | None:
        with suppress(DsbenchError, OSError):
            if self._is_ours():
                return self.folder.result(self.attempt)
        return None

    def _is_ours(self) -> bool:
        """Whether the folder is not one made anew by another process after that of this run was removed."""
        return self._claimed in (None, self.folder.identity())

    def _cause_of_death(self, code: int) -> tuple[str, str, int]:
        """Status, reason and exit code."""
        number = -code if code < 0 else code - 128 if code - 128 in STOPPING else 0
        if self._asked_to_stop is not None:
            return "interrupted", "interrupted; the same command continues", 128 + self._asked_to_stop
        if self._overdue is not None:
            return "timeout", self._overdue, 1
        if number == signal.SIGKILL and self._memory_kills != memory_kills():
            return "out_of_memory", "killed by the system for memory; try a smaller train.batch_size", 1
        if number in set(signal.Signals) - set(CRASHES):
            name = signal.Signals(number).name
            return "interrupted", f"ended by {name} from outside; the same command continues", 128 + number
        lines = self._stderr_tail().strip().splitlines() or [""]
        if says_out_of_memory(lines[-1]):
            return "out_of_memory", lines[-1], 1
        if number in CRASHES:
            return "failed", f"the worker crashed ({signal.Signals(number).name})", 1
        if any(line.startswith("Traceback ") for line in lines):
            return "failed", lines[-1], 1
        last = f"; the last that it printed: {lines[-1]}" if lines[-1] else ""
        reason = (
            f"the worker ended with exit code {code} in phase {self._phase!r} without saying why; the environment or a "
            f"library may end the process{last}"
        )
        return "failed", reason, 1

    def _outcome(self, status: str, exit_code: int, row: Mapping[str, Any] | None, reason: str | None) -> Outcome:
        return Outcome(self.folder.run_id, status, exit_code, row, None if status == "ok" else reason)

    def _stderr_tail(self) -> str:
        return self._stderr.read_bytes()[-_TAIL:].decode(errors="replace")

    def _keep_stderr(self) -> None:
        with suppress(DsbenchError):
            if self._is_ours():
                replace_file(self.folder.path / "error.txt", self._stderr_tail().encode())

    def _signal(self, number: int) -> None:
        # The worker alone: what it started would die before it, and it would take that for a failure.
        self.process.send_signal(number)


def folder_of(config: RunConfig, results: Path) -> RunFolder:
    """The folder of a run; it need not exist. `CannotWrite` when a file is in its place."""
    paths = (results, *results.parents)
    if blocking := next((path for path in paths if path.exists() and not path.is_dir()), None):
        raise CannotWrite(
            f"cannot write into {str(results)!r}: {blocking} is a file; choose a folder with --results DIR"
        )
    return RunFolder.open(results, run_id(config))
