"""One run on disk: who works on it, what it was asked to do, what came out. What is there is read in `run_records`.

    runs/<run_id>/  config.yaml  provenance-<attempt>.json  claim.json  claim.lock  journal.jsonl  code/
                    checkpoints/<attempt>/  result-<attempt>.json  (interrupted-<attempt>.json)

The holder of the kernel lock on ``claim.lock`` is the only writer; the lock vanishes with its process, also by kill -9.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from dsbench.errors import CorruptFile, DsbenchError, UsageError
from dsbench.files import cannot_write, check_name, create_exclusive, replace_file, stays_inside
from dsbench.reading import dump_yaml
from dsbench.records.checkpoints import Checkpoints
from dsbench.records.documents import STATUSES
from dsbench.records.encoding import plain, seal
from dsbench.records.journal import Journal
from dsbench.records.lock import exclusive_lock, identity, is_locked
from dsbench.records.record_files import FolderFiles
from dsbench.records.run_records import ASIDE, CLAIM_FILE, CONFIG, FINAL, HEADER, JOURNAL, RunRecords, provenance_file
from dsbench.temporaries import boot_id, discard_leftovers, temporary_beside

RETRIED = ("failed", "timeout", "out_of_memory")  # asked again, the next attempt starts from nothing


class Plan(NamedTuple):
    """What asking for a run again means now."""

    action: Literal["done", "resume", "start"]
    attempt: int


class RunFolder(RunRecords):
    """The folder of one run. Opening one touches nothing; what only reads needs no write rights."""

    def __init__(self, path: Path) -> None:
        is_plain = path.name not in ("", "..") and not path.is_symlink()  # resolving costs, and most are
        super().__init__(path.name if is_plain else path.resolve().name, FolderFiles(path))
        self.path = path
        self._held: int | None = None  # the attempt that this process holds
        # Called before anything is written: makes the folder, but once it is claimed, refuses when it is gone.
        self._before_writing: Callable[[], None] = self._make

    @classmethod
    def open(cls, results: Path, run_id: str) -> RunFolder:
        """The folder of `run_id` below `results`; it need not exist. `UsageError` if it would lie elsewhere."""
        runs = Path(results) / "runs"
        path = runs / check_name(run_id, "run id")
        if path.resolve().parent != runs.resolve():
            raise UsageError(f"{path} is a link to {path.resolve()}; a run must lie inside its results folder")
        return cls(path)

    # ------------------------------------------------------------------ attempts and plans

    @property
    def attempt(self) -> int:
        """The attempt held, or else the newest one known; 1 for a run that nobody began."""
        return self._held or super().attempt

    def _newest(self, finished: list[int]) -> int:
        return self._held or super()._newest(finished)

    def plan(self, force: bool = False) -> Plan:
        """What asking for this run now means.

        ok and diverged are done; failed, timeout and out_of_memory start the next attempt; an attempt without a result
        (interrupted) resumes; `force` starts the next attempt whatever came out.
        """
        if force:
            return Plan("start", self._newest_whatever_is_damaged() + 1)
        claimed, results = self.claimed_attempt(), self.results()
        if not claimed and not results:
            return Plan("start", 1)
        attempt = self._held or max(1, claimed, *results)
        if attempt not in results:
            return Plan("resume", attempt)
        if (self.result(attempt) or {})["status"] in FINAL:
            return Plan("done", attempt)
        return Plan("start", attempt + 1)

    @contextmanager
    def claim(self, force: bool = False) -> Iterator[Plan]:
        """Hold the run while the block lasts, and say what to do; a plan other than ``done`` is noted in claim.json.

        From then on nothing makes the folder anew: where it was removed, whatever would be written is refused.

        Raises:
            RunHeld: a live process holds it.
            CannotWrite: the folder cannot be made or its file system has no locks.
        """
        with self._locked() as check_held:
            plan = self.plan(force)
            if plan.action != "done":
                self._take(plan, force)
            self._held, self._before_writing = plan.attempt, check_held
            try:
                yield plan
            finally:
                self._held, self._before_writing = None, self._make

    def _make(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def _locked(self) -> AbstractContextManager[Callable[[], None]]:
        stays_inside(self.path, self.path.parent.parent)
        return exclusive_lock(self.path / "claim.lock", self.holder)

    def _take(self, plan: Plan, force: bool) -> None:
        if force:
            self._set_damaged_journal_aside()
        claim = {
            "attempt": plan.attempt,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "boot_id": boot_id(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        discard_leftovers(self.path)
        replace_file(self.path / CLAIM_FILE, seal(claim))
        if plan.action == "start":
            for attempt in self._attempts_with_checkpoints():
                if attempt < plan.attempt:
                    self.checkpoints_of(attempt).drop_updates()  # never resumed again

    def holder(self) -> str:
        """``pid 7 on node since 2026-...`` for messages."""
        try:
            claim = self.read_claim()
        except CorruptFile:
            claim = None
        return f"pid {claim['pid']} on {claim['host']} since {claim['since']}" if claim else "another process"

    def identity(self) -> str | None:
        """What tells this folder, once it was claimed, from one made anew in its place; None where there is none."""
        return identity(self.path / "claim.lock")

    def is_live(self) -> bool:
        """Whether a process holds the run now."""
        return is_locked(self.path / "claim.lock")

    # ------------------------------------------------------------------ what is written once

    def write_config(self, config: Mapping[str, Any], mend: bool = False) -> bool:
        """Store the configuration; a stored one stays (the run id says that they agree). False if there was one.

        Args:
            mend: replace a stored one that was changed or damaged.
        """
        self._before_writing()
        text = dump_yaml(config)
        header = f"{HEADER}{hashlib.sha256(text.encode()).hexdigest()}\n"
        if mend and self._is_damaged_config():
            replace_file(self.path / CONFIG, (header + text).encode())
            return True
        return create_exclusive(self.path / CONFIG, (header + text).encode())

    def _is_damaged_config(self) -> bool:
        try:
            self.read_config()
        except DsbenchError:
            return True
        return False

    def write_provenance(self, provenance: Mapping[str, Any]) -> bool:
        """Store where this attempt was made; a stored one stays. False if there was one."""
        self._before_writing()
        return create_exclusive(self.path / provenance_file(self.attempt), seal(dict(provenance)))

    @property
    def journal(self) -> Journal:
        """The journal; records that name no attempt get this one."""
        return Journal(self.path / JOURNAL, self.attempt, self._before_writing)

    @property
    def checkpoints(self) -> Checkpoints:
        """The checkpoints of this attempt."""
        return self.checkpoints_of(self.attempt)

    def checkpoints_of(self, attempt: int) -> Checkpoints:
        """The checkpoints of an attempt."""
        return Checkpoints(
            self.path / "checkpoints" / str(attempt), root=self.path, run_id=self.run_id, attempt=attempt,
            may_write=self._before_writing,
        )  # fmt: skip

    def _newest_whatever_is_damaged(self) -> int:
        """The newest attempt, 0 for none; a claim that cannot be read must not stop --force."""
        try:
            claimed = self.claimed_attempt()
        except CorruptFile:
            claimed = 0
        return max([claimed, *self.results(), *self._attempts_with_checkpoints()])

    def _attempts_with_checkpoints(self) -> list[int]:
        """From the names of the folders: an attempt may have any number."""
        try:
            names = os.listdir(self.path / "checkpoints")
        except OSError:
            return []
        return sorted(int(name) for name in names if name.isascii() and name.isdecimal() and len(name) < 10)

    def _set_damaged_journal_aside(self) -> None:
        journal = self.path / JOURNAL
        try:
            self.journal_records()
        except CorruptFile:
            number = len(list(self.path.glob(f"{ASIDE}*.jsonl"))) + 1
            try:
                journal.rename(self.path / f"{ASIDE}{number}.jsonl")
            except OSError as error:
                raise cannot_write(journal, error) from error

    def remove(self) -> None:
        """Delete the folder with all that is in it. No link is followed: one inside goes, and what it leads to stays.

        Raises:
            UsageError: the folder is itself a link, or no run's.
            RunHeld: a live process works on the run.
            CannotWrite: the system refuses.
        """
        if self.path.is_symlink() or not (self.path / "claim.lock").exists():
            raise UsageError(f"{self.path} is {'a link' if self.path.is_symlink() else 'no run'}; nothing was removed")
        aside = temporary_beside(self.path)
        try:
            with self._locked():
                os.rename(self.path, aside)  # whoever makes the run anew meanwhile gets a folder of their own
                shutil.rmtree(aside)
        except OSError as error:
            raise cannot_write(self.path, error) from error

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
            with self._locked():
                return self._finish(status, row, attempt or self.attempt)
        return self._finish(status, row, attempt or self._held)

    def _finish(self, status: str, row: Mapping[str, Any], attempt: int) -> bool:
        self._before_writing()
        content = {"reason": None, **plain(dict(row)), "run_id": self.run_id, "attempt": attempt, "status": status}
        if status != "interrupted":
            return create_exclusive(self._result_path(attempt), seal(content | self._journal_seal()))
        if self._result_path(attempt).exists():
            return False
        replace_file(self.path / f"interrupted-{attempt}.json", seal(content))
        return True

    def _journal_seal(self) -> dict[str, Any]:
        """What the journal is at the end, so that lines lost later are missed; nothing where it cannot be read."""
        try:
            return {"journal": self.journal_text().seal()}
        except CorruptFile:
            return {}

    def _result_path(self, attempt: int) -> Path:
        return self.path / f"result-{attempt}.json"
