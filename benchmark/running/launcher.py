"""The parent of the workers: starts them, shows their progress, passes signals on. Imports no torch.

`run_all` works through any number of runs, `at_once` at a time; ``dsbench run`` asks for one, ``dsbench sweep`` for
many.
"""

from __future__ import annotations

import os
import selectors
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from dsbench.config import RunConfig
from dsbench.config.outside_code import name_all, sources_of
from dsbench.errors import CannotWrite, DsbenchError, RunHeld, UsageError
from dsbench.outside.trust import using
from dsbench.records.run_folder import RunFolder
from dsbench.running.matched import matched
from dsbench.running.progress import Display, Silent
from dsbench.running.worker_process import WORKER, Outcome, WorkerProcess, folder_of

_TICK_S = 0.2
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(
    config: RunConfig, results: Path | str = "results", *, force: bool = False, trust_code: bool = False
) -> dict[str, Any]:
    """Do one run in a worker process, or return what it gave before.

    Args:
        trust_code: code from outside that the configuration names may run, wherever the configuration comes from.

    Returns:
        The final row; its ``status`` is ``ok``, ``diverged``, ``failed``, ``timeout``, ``out_of_memory`` or
        ``interrupted``.

    Raises:
        UsageError: something in the configuration cannot be used.
        RunHeld: another live process works on the same run.
    """
    if trust_code:
        name_all([config])
    with using(sources_of([config])):
        (outcome,) = run_all(matched([config]), Path(results), force=force)
    if outcome.row is None:
        raise error_of(outcome)
    return dict(outcome.row)


def run_all(
    configs: Sequence[RunConfig],
    results: Path,
    *,
    force: bool = False,
    at_once: int = 1,
    display: Display | None = None,
    worker: Sequence[str] = WORKER,
) -> list[Outcome]:
    """Do these runs, finished ones skipped; one outcome a run, in order.

    After SIGINT or SIGTERM no further run begins, the running ones save a checkpoint, and what did not begin is
    ``interrupted``. A second signal ends the workers and this process at once. Code from outside is read once, for all.

    Raises:
        Untrusted: a configuration names code from outside, and the user does not.
    """
    with using(sources_of(configs)):
        batch = _Batch(configs, results, force, at_once, display or Silent(), worker)
        with batch.display, batch.signals():
            return batch.work()


def state_of(config: RunConfig, results: Path, force: bool = False) -> str:
    """One line: is the run new, resumed or done?"""
    folder = folder_of(config, results)
    plan = folder.plan(force)
    if plan.action == "resume":
        updates = folder.checkpoints_of(plan.attempt).updates()
        return (
            f"resumed after update {max(updates)} of {config.train.updates}" if updates else "resumed, from the start"
        )
    if plan.action == "done":
        return "done before; --force makes the run again"
    return "new" if plan.attempt == 1 else f"attempt {plan.attempt}"


def error_of(outcome: Outcome, folder: Path | None = None) -> DsbenchError:
    """The outcome of a run that is not ok, as an error; with its folder, the message says where to read more."""
    message = outcome.message or f"{outcome.run_id} ended without a result"
    if outcome.row is not None:
        message = message if message.startswith(outcome.status) else f"{outcome.status}: {message}"
        details = folder / "error.txt" if folder and outcome.status == "failed" else None
        message += f"   ({details})" if details and details.exists() else ""
    kind = {2: UsageError, 75: RunHeld}.get(outcome.exit_code, DsbenchError)
    error = kind(message)
    error.exit_code = outcome.exit_code
    return error


class _Batch:
    """Runs under way, runs to come and outcomes so far."""

    def __init__(
        self,
        configs: Sequence[RunConfig],
        results: Path,
        force: bool,
        at_once: int,
        display: Display,
        worker: Sequence[str],
    ) -> None:
        self.display = display
        self._configs, self._results, self._force = configs, results, force
        self._at_once, self._worker = max(1, at_once), worker
        self._running: dict[int, WorkerProcess] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._stopped_by: int | None = None
        self._selector = selectors.DefaultSelector()

    def work(self) -> list[Outcome]:
        waiting = list(range(len(self._configs)))
        try:
            while waiting or self._running:
                while waiting and len(self._running) < self._at_once:
                    self._begin(waiting.pop(0))
                if self._running:
                    self._selector.select(_TICK_S)
                    self._attend()
        finally:
            for worker in self._running.values():  # only after an error of our own: leave nobody behind
                worker.stop(signal.SIGTERM)
            self._selector.close()
        return [self._outcomes[index] for index in range(len(self._configs))]

    def _begin(self, index: int) -> None:
        """Start the worker of this run, or write down why it needs none."""
        config = self._configs[index]
        folder = folder_of(config, self._results)
        if self._stopped_by is not None:
            message = "not begun; the same command continues"
            self._outcomes[index] = Outcome(folder.run_id, "interrupted", 128 + self._stopped_by, None, message)
            return
        try:
            plan = folder.plan(self._force)
            if plan.action == "done":
                self._outcomes[index] = _stored(folder)
                return
            _check_free(folder)
            _check_writable(self._results)
            worker = WorkerProcess(config, folder, plan, force=self._force, command=self._worker)
        except DsbenchError as error:
            status = "held" if isinstance(error, RunHeld) else "refused"
            self._outcomes[index] = Outcome(folder.run_id, status, error.exit_code, None, str(error))
            return
        self._running[index] = worker
        self._selector.register(worker.pipe, selectors.EVENT_READ)

    def _attend(self) -> None:
        for index, worker in list(self._running.items()):
            name = worker.folder.run_id
            for event in worker.read():
                self.display.event(name, event)
            worker.enforce_limits()
            ended = worker.process.poll() is not None
            if (worker.at_end or ended) and worker.pipe in self._selector.get_map():
                self._selector.unregister(worker.pipe)  # a pipe at its end would wake the selector without rest
            if not ended:
                continue
            outcome = worker.outcome()
            del self._running[index]
            self._outcomes[index] = outcome
            self.display.end(name)
            if len(self._configs) > 1:
                self.display.note(_ended(outcome, len(self._outcomes), len(self._configs)))

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Pass SIGINT and SIGTERM on to the workers while the block lasts."""
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread may handle signals; a library user's own handling stays
            return
        before = {number: signal.signal(number, self._on_signal) for number in _STOPPING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        again, self._stopped_by = self._stopped_by is not None, number
        for worker in list(self._running.values()):
            worker.stop(signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)
        if again:
            os._exit(128 + number)
        self.display.note("stopping: saving a checkpoint (once more to leave at once)")


def _stored(folder: RunFolder) -> Outcome:
    row = folder.latest_result() or {}
    status = str(row.get("status"))
    return Outcome(folder.run_id, status, 0 if status == "ok" else 1, row, row.get("reason"))


def _check_free(folder: RunFolder) -> None:
    """`RunHeld` at once, before torch is loaded for nothing; the worker's own claim is what counts."""
    if folder.is_live():
        claim = folder.read_claim() or {}
        holder = f"pid {claim.get('pid', '?')} on {claim.get('host', '?')} since {claim.get('since', '?')}"
        raise RunHeld(f"{folder.path} is held by {holder}; wait for it or stop it, then run this again")


def _check_writable(results: Path) -> None:
    place = next(path for path in (results.absolute(), *results.absolute().parents) if path.exists())
    if not os.access(place, os.W_OK):
        raise CannotWrite(f"cannot write into {str(results)!r}: no rights; choose another folder with --results DIR")


def _ended(outcome: Outcome, done: int, total: int) -> str:
    row: Mapping[str, Any] = outcome.row or {}
    metric = str(row.get("success_metric"))
    result = f"{metric} {row[metric]:.3f}" if metric in row else outcome.message or ""
    return f"[{done}/{total}] {outcome.run_id}: {outcome.status}{', ' if result else ''}{result}"
