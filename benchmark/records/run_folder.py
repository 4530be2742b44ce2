"""One run on disk: who works on it, what it was asked to do, what came out.

    runs/<run_id>/  config.yaml  provenance-<attempt>.json  claim.json  claim.lock  journal.jsonl  code/
                    checkpoints/<attempt>/  result-<attempt>.json  (interrupted-<attempt>.json)

The holder of the kernel lock on ``claim.lock`` is the only writer; the lock vanishes with its process, also by kill -9.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

from dsbench.errors import CorruptFile, DsbenchError, UsageError
from dsbench.files import check_name, create_exclusive, write_atomic
from dsbench.records.checkpoints import Checkpoints
from dsbench.records.config_text import parse_config, parse_flat
from dsbench.records.encoding import plain, read_sealed, seal, unseal
from dsbench.records.journal import Journal
from dsbench.records.lock import exclusive_lock, is_locked

STATUSES = ("ok", "diverged", "failed", "timeout", "out_of_memory", "interrupted")
FINAL = ("ok", "diverged")  # asked again, nothing is left to do
RETRIED = ("failed", "timeout", "out_of_memory")  # asked again, the next attempt starts from nothing

_HEADER = "# dsbench run, sha256 of the lines below: "
_AGAIN = "delete it, or run the same command with --force to make the run again"


class Plan(NamedTuple):
    """What asking for a run again means now."""

    action: Literal["done", "resume", "start"]
    attempt: int


class RunFolder:
    """The folder of one run. Opening one touches nothing; what only reads needs no write rights."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: int | None = None  # the attempt that this process holds

    @classmethod
    def open(cls, results: Path, run_id: str) -> RunFolder:
        """The folder of `run_id` below `results`; it need not exist. `UsageError` if it would lie elsewhere."""
        runs = Path(results) / "runs"
        path = runs / check_name(run_id, "run id")
        if path.resolve().parent != runs.resolve():
            raise UsageError(f"{path} is a link to {path.resolve()}; a run must lie inside its results folder")
        return cls(path)

    @property
    def run_id(self) -> str:
        return self.path.name

    # ------------------------------------------------------------------ attempts and plans

    @property
    def attempt(self) -> int:
        """The attempt held, or else the newest one known; 1 for a run that nobody began."""
        return self._held or max([1, self._claimed_attempt(), *self._results()])

    def plan(self, force: bool = False) -> Plan:
        """What asking for this run now means.

        ok and diverged are done; failed, timeout and out_of_memory start the next attempt; an attempt without a result
        (interrupted) resumes; `force` starts the next attempt whatever came out.
        """
        if not self._claimed_attempt() and not self._results():
            return Plan("start", 1)
        attempt = self.attempt
        if force:
            return Plan("start", attempt + 1)
        if attempt not in self._results():
            return Plan("resume", attempt)
        if self._read_result(attempt)["status"] in FINAL:
            return Plan("done", attempt)
        return Plan("start", attempt + 1)

    @contextmanager
    def claim(self, force: bool = False) -> Iterator[Plan]:
        """Hold the run while the block lasts, and say what to do; a plan other than ``done`` is noted in claim.json.

        Raises:
            RunHeld: a live process holds it.
            CannotWrite: the folder cannot be made or its file system has no locks.
        """
        with exclusive_lock(self.path / "claim.lock", self._holder):
            plan = self.plan(force)
            if plan.action != "done":
                self._take(plan, force)
            self._held = plan.attempt
            try:
                yield plan
            finally:
                self._held = None

    def _take(self, plan: Plan, force: bool) -> None:
        if force:
            self._set_damaged_journal_aside()
        claim = {
            "attempt": plan.attempt,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "boot_id": _boot_id(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        write_atomic(self.path / "claim.json", seal(claim))
        if plan.action == "start":
            for attempt in range(1, plan.attempt):
                self.checkpoints_of(attempt).drop_updates()  # never resumed again

    def _holder(self) -> str:
        """``pid 7 on node since 2026-...`` for messages."""
        try:
            claim = self.read_claim()
        except CorruptFile:
            claim = None
        return f"pid {claim['pid']} on {claim['host']} since {claim['since']}" if claim else "another process"

    def read_claim(self) -> dict[str, Any] | None:
        """attempt, host, pid, boot_id, since of the newest holder, alive or not; None if there never was one."""
        try:
            return read_sealed(self.path / "claim.json", "delete it and run the same command again")
        except FileNotFoundError:
            return None

    def is_live(self) -> bool:
        """Whether a process holds the run now."""
        return is_locked(self.path / "claim.lock")

    # ------------------------------------------------------------------ what is written once

    def write_config(self, config: Mapping[str, Any], mend: bool = False) -> bool:
        """Store the configuration; a stored one stays (the run id says that they agree). False if there was one.

        Args:
            mend: replace a stored one that was changed or damaged.
        """
        text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
        header = f"{_HEADER}{hashlib.sha256(text.encode()).hexdigest()}\n"
        if mend and self._is_damaged_config():
            write_atomic(self.path / "config.yaml", (header + text).encode())
            return True
        return create_exclusive(self.path / "config.yaml", (header + text).encode())

    def _is_damaged_config(self) -> bool:
        try:
            self.read_config()
        except (DsbenchError, OSError):
            return True
        return False

    def read_config(self) -> dict[str, Any] | None:
        """The stored configuration, None before there is one; `CorruptFile` when it was changed."""
        text = self._config_text()
        return None if text is None else parse_config(text)

    def read_flat_config(self) -> dict[str, Any]:
        """The stored configuration as dotted names (``train.lr``), empty before there is one. Raises as `read_config`."""
        text = self._config_text()
        return {} if text is None else parse_flat(text)

    def _config_text(self) -> str | None:
        path = self.path / "config.yaml"
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        header, _, text = data.partition(b"\n")
        if header != (_HEADER + hashlib.sha256(text).hexdigest()).encode():
            raise CorruptFile(f"{path} was changed or damaged (its checksum does not match); restore it or {_AGAIN}")
        return text.decode()

    def write_provenance(self, provenance: Mapping[str, Any]) -> bool:
        """Store where this attempt was made; a stored one stays. False if there was one."""
        return create_exclusive(self.path / f"provenance-{self.attempt}.json", seal(dict(provenance)))

    def _provenance_path(self) -> Path:
        """Of the newest attempt that has a result, else of the newest; older runs had one file for all attempts."""
        attempt = max(self._results(), default=0) or self.attempt
        path = self.path / f"provenance-{attempt}.json"
        return path if path.exists() else self.path / "provenance.json"

    def read_provenance(self, known: dict[bytes, dict[str, Any]] | None = None) -> dict[str, Any] | None:
        """Where the run was made, None before that is known.

        Args:
            known: what other runs of one sweep told, by the bytes of their files, which mostly are the same; filled here.
        """
        path = self._provenance_path()
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        known = {} if known is None else known
        if data not in known:
            known[data] = unseal(data, path, _AGAIN)
        return known[data]

    @property
    def journal(self) -> Journal:
        """The journal; records that name no attempt get this one."""
        return Journal(self.path / "journal.jsonl", self.attempt)

    @property
    def checkpoints(self) -> Checkpoints:
        """The checkpoints of this attempt."""
        return self.checkpoints_of(self.attempt)

    def checkpoints_of(self, attempt: int) -> Checkpoints:
        return Checkpoints(self.path / "checkpoints" / str(attempt))

    def _set_damaged_journal_aside(self) -> None:
        journal = self.path / "journal.jsonl"
        try:
            Journal(journal).read()
        except CorruptFile:
            number = len(list(self.path.glob("journal-damaged-*.jsonl"))) + 1
            journal.rename(self.path / f"journal-damaged-{number}.jsonl")

    # ------------------------------------------------------------------ results

    def finish(self, status: str, row: Mapping[str, Any], attempt: int | None = None) -> bool:
        """Write the final row of an attempt, once; False if it has one.

        The worker calls this inside its claim; a parent whose worker died calls it after, with the attempt it planned.
        ``interrupted`` is no result: it is noted beside, so that the attempt can be resumed and end otherwise.

        Raises:
            RunHeld: another live process works on the run.
        """
        if status not in STATUSES:
            raise UsageError(f"status {status!r} is unknown; expected one of {', '.join(STATUSES)}")
        if self._held is None:
            with exclusive_lock(self.path / "claim.lock", self._holder):
                return self._finish(status, row, attempt or self.attempt)
        return self._finish(status, row, attempt or self._held)

    def _finish(self, status: str, row: Mapping[str, Any], attempt: int) -> bool:
        content = {"reason": None, **plain(dict(row)), "run_id": self.run_id, "attempt": attempt, "status": status}
        if status != "interrupted":
            return create_exclusive(self._result_path(attempt), seal(content))
        if self._result_path(attempt).exists():
            return False
        write_atomic(self.path / f"interrupted-{attempt}.json", seal(content))
        return True

    def result(self, attempt: int) -> dict[str, Any] | None:
        """The final row of an attempt, or the note of its interruption; None without either."""
        if self._result_path(attempt).exists():
            return self._read_result(attempt)
        try:
            return read_sealed(self.path / f"interrupted-{attempt}.json", _AGAIN)
        except FileNotFoundError:
            return None

    def latest_result(self) -> dict[str, Any] | None:
        """The final row that counts: the newest attempt that has one, or else the note of an interruption.

        A finished ok or diverged attempt counts until a later one is finished; a failed one only until it is retried.
        """
        finished = max(self._results(), default=0)
        attempt = self._held or max(1, self._claimed_attempt(), finished)
        if not finished:
            return self.result(attempt)
        row = self._read_result(finished)
        return row if finished == attempt or row["status"] in FINAL else self.result(attempt)

    def status(self) -> str:
        """Of the newest attempt: one of STATUSES, ``running`` while a process works on it, ``new`` before any did."""
        if self.attempt in self._results():
            return str(self._read_result(self.attempt)["status"])
        if self.is_live():
            return "running"
        return "interrupted" if self._claimed_attempt() else "new"

    def _result_path(self, attempt: int) -> Path:
        return self.path / f"result-{attempt}.json"

    def _results(self) -> list[int]:
        """Attempts that have a result, read from the file names alone, so that a damaged file does not stop --force."""
        try:
            names = os.listdir(self.path)
        except FileNotFoundError:
            return []
        numbers = (name[7:-5] for name in names if name.startswith("result-") and name.endswith(".json"))
        return sorted(int(number) for number in numbers if number.isdecimal())

    def _read_result(self, attempt: int) -> dict[str, Any]:
        return read_sealed(self._result_path(attempt), _AGAIN)

    def _claimed_attempt(self) -> int:
        claim = self.read_claim()
        return int(claim["attempt"]) if claim else 0


def _boot_id() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None  # macOS has none
