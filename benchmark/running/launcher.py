"""The parent of the workers: starts them, shows their progress, passes signals on. Imports no torch.

`run_all` works through any number of runs, `at_once` at a time; ``dsbench run`` asks for one, ``dsbench sweep`` for
many.
"""

from __future__ import annotations

import os
import selectors
import signal
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from dsbench.config import RunConfig, naming, run_id
from dsbench.config.outside_code import sources_of
from dsbench.errors import CannotWrite, DsbenchError, RunHeld, UsageError
from dsbench.outside.trust import using
from dsbench.records.run_folder import Plan, RunFolder
from dsbench.records.run_records import RunRecords
from dsbench.records.store import packed_before
from dsbench.running.outcomes import lines_of
from dsbench.running.prepared import Workers
from dsbench.running.progress import Display, Pace, Silent
from dsbench.running.relay import AGAIN_S, Relay
from dsbench.running.starting import WORKER
from dsbench.running.worker_process import Outcome, WorkerProcess, folder_of

NEW = Plan("start", 1)  # what a run asks for that nobody began
_TICK_S = 0.2


def run_all(
    configs: Sequence[RunConfig],
    results: Path,
    *,
    force: bool = False,
    at_once: int = 1,
    display: Display | None = None,
    worker: str = WORKER,
) -> list[Outcome]:
    """Do these runs, finished ones skipped; one outcome a run, in order.

    After SIGINT, SIGTERM, SIGHUP, SIGUSR1 or SIGUSR2 no further run begins, the running ones save a checkpoint, and what did
    not begin is ``interrupted``. Repeats do nothing, since schedulers and terminals send several; only SIGINT again, more than
    five seconds later, ends the workers and this process at once. Code from outside is read once, for all.

    Runs that another process holds are looked at again when all else is done; ``held`` are those that it still holds then.

    Raises:
        Untrusted: a configuration names code from outside, and the user does not.
    """
    with using(sources_of(configs)):
        batch = _Batch(configs, results, force, at_once, display or Silent(), worker)
        with batch.display, batch.signals():
            return batch.work()


def state_of(config: RunConfig, results: Path, force: bool = False) -> str:
    """One line: is the run new, resumed or done? `UsageError` as `check_version` raises it."""
    folder = folder_of(config, results)
    plan = folder.plan(force)
    check_version(config, results, plan, force)
    if plan.action == "resume":
        updates = folder.checkpoints_of(plan.attempt).updates()
        whole = f" of {config.train.updates}" if config.train.seconds is None else ""
        return f"resumed after update {max(updates)}{whole}" if updates else "resumed, from the start"
    if plan.action == "done":
        return "done before; --force makes the run again"
    if not force and plan == NEW and packed_before(results, folder.run_id) is not None:
        return "done before, in a pack of this folder; --force makes the run again"
    return "new" if plan.attempt == 1 else f"attempt {plan.attempt}"


def done_before(configs: Sequence[RunConfig], results: Path) -> int:
    """How many of these runs are finished, here or in a pack of the folder."""
    found = 0
    for config in configs:
        with suppress(DsbenchError):  # it is told when the run's turn comes
            folder = folder_of(config, results)
            plan = folder.plan()
            found += plan.action == "done" or (plan == NEW and packed_before(results, folder.run_id) is not None)
    return found


def check_version(config: RunConfig, results: Path, plan: Plan, force: bool) -> None:
    """A run that began under an earlier `RESULT_VERSION` would end as a mixture of two: it is not gone on with.

    Raises:
        UsageError: there is such a run, unfinished, and nothing was begun under the present version.
    """
    if force or plan != NEW:
        return
    for version in range(1, naming.RESULT_VERSION):
        earlier = RunFolder.open(results, run_id(config, result_version=version))
        if earlier.plan().action == "resume":
            made_by = (earlier.read_provenance() or {}).get("dsbench", "of that time")
            raise UsageError(
                f"{earlier.path} is unfinished and began under result version {version}, while this dsbench gives results "
                f"of version {naming.RESULT_VERSION}; finish it with dsbench {made_by}, delete that folder, or use --force "
                "to make the run anew"
            )


def error_of(outcome: Outcome, folder: Path | None = None) -> DsbenchError:
    """The outcome of a run that is not ok, as an error; with its folder, the message says where to read more."""
    message = "\n".join(lines_of(outcome)) if outcome.message else f"{outcome.run_id} ended without a result"
    if outcome.row is not None and outcome.exit_code != UsageError.exit_code:
        message = message if message.startswith(outcome.status) else f"{outcome.status}: {message}"
        details = folder / "error.txt" if folder and outcome.status == "failed" else None
        message += f"   ({details})" if details and details.exists() else ""
    kind = {2: UsageError, 73: CannotWrite, 75: RunHeld}.get(outcome.exit_code, DsbenchError)
    return kind.told(message, outcome.exit_code)


class _Batch:
    """Runs under way, runs to come and outcomes so far."""

    def __init__(
        self,
        configs: Sequence[RunConfig],
        results: Path,
        force: bool,
        at_once: int,
        display: Display,
        worker: str,
    ) -> None:
        self.display = display
        self._configs, self._results, self._force = configs, results, force
        self._at_once, self._workers = max(1, at_once), Workers(worker, configs)
        self._running: dict[int, WorkerProcess] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._pace = Pace()
        self._relay = Relay(self._stop, self._leave)
        self._selector = selectors.DefaultSelector()

    def work(self) -> list[Outcome]:
        waiting, held = list(range(len(self._configs))), len(self._configs) + 1
        if len(waiting) > 1:
            self.display.overall(0, len(waiting), None)
        try:
            while waiting and len(waiting) < held:  # as long as others let go of some
                held = len(waiting)
                self._work_through(waiting)
                waiting = [index for index, outcome in self._outcomes.items() if outcome.status == "held"]
        finally:
            for worker in self._running.values():  # only after an error of our own: leave nobody behind
                worker.stop(signal.SIGTERM)
            self._workers.close()
            self._selector.close()
        return [self._outcomes[index] for index in range(len(self._configs))]

    def _work_through(self, waiting: list[int]) -> None:
        while waiting or self._running:
            while waiting and len(self._running) < self._at_once:
                self._begin(waiting.pop(0))
            if self._running:
                self._selector.select(_TICK_S)
                self._attend()

    def _begin(self, index: int) -> None:
        """Start the worker of this run, or write down why it needs none."""
        config = self._configs[index]
        folder = folder_of(config, self._results)
        if self._relay.first is not None:
            message = "not begun; the same command continues"
            self._outcomes[index] = Outcome(folder.run_id, "interrupted", 128 + self._relay.first, None, message)
            return
        try:
            plan = folder.plan(self._force)
            done: RunRecords | None = folder if plan.action == "done" else None
            if plan == NEW and not self._force:
                done = packed_before(self._results, folder.run_id)
            if done is not None:
                self._outcomes[index] = _stored(done)
                return
            check_version(config, self._results, plan, self._force)
            _check_free(folder)
            _check_writable(self._results)
            self._wait_for_workers(config)
            several = len(self._configs) > 1
            worker = WorkerProcess(
                config, folder, plan, force=self._force, notes_faults=several, start=self._workers.start
            )
        except (DsbenchError, OSError) as error:
            known = error if isinstance(error, DsbenchError) else _cannot_start(error)
            status = "held" if isinstance(known, RunHeld) else "refused"
            self._outcomes[index] = Outcome(folder.run_id, status, known.exit_code, None, str(known))
            return
        self._running[index] = worker
        self._selector.register(worker.pipe, selectors.EVENT_READ)
        if self._relay.first is not None:  # the signal came while it was started
            worker.stop(self._relay.first)

    def _wait_for_workers(self, config: RunConfig) -> None:
        """Until the process is ready that the worker of this run is forked from, if it is; a signal ends the waiting."""
        while self._relay.first is None and self._workers.loading(config):
            self._selector.select(_TICK_S)
            self._attend()

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
                done, total = len(self._outcomes), len(self._configs)
                self.display.note(_ended(outcome, done, total))
                self.display.overall(done, total, self._pace.left_s(total - done))

    def signals(self) -> AbstractContextManager[None]:
        """Pass the first stop on to the workers while the block lasts."""
        return self._relay.listening()

    def _stop(self, number: int) -> None:
        for worker in list(self._running.values()):
            worker.stop(number)
        self.display.note(f"stopping: saving a checkpoint (Ctrl-C again after {AGAIN_S:g} s to leave at once)")

    def _leave(self) -> None:
        for worker in list(self._running.values()):
            worker.kill()


def _stored(records: RunRecords) -> Outcome:
    row = records.latest_result() or {}
    status = str(row.get("status"))
    return Outcome(records.run_id, status, 0 if status == "ok" else 1, row, row.get("reason"))


def _check_free(folder: RunFolder) -> None:
    """`RunHeld` at once, before torch is loaded for nothing; the worker's own claim is what counts."""
    if folder.is_live():
        raise RunHeld(f"{folder.path} is held by {folder.holder()}; wait for it or stop it, then run this again")


def _cannot_start(error: OSError) -> CannotWrite:
    """A full temporary folder, no memory for another process, and their like."""
    return CannotWrite(f"cannot start a worker: {error}; mend that and give the same command again")


def _check_writable(results: Path) -> None:
    place = next(path for path in (results.absolute(), *results.absolute().parents) if path.exists())
    if not os.access(place, os.W_OK):
        raise CannotWrite(f"cannot write into {str(results)!r}: no rights; choose another folder with --results DIR")


def _ended(outcome: Outcome, done: int, total: int) -> str:
    row: Mapping[str, Any] = outcome.row or {}
    metric = str(row.get("success_metric"))
    result = f"{metric} {row[metric]:.3f}" if metric in row else lines_of(outcome)[0]
    return f"[{done}/{total}] {outcome.run_id}: {outcome.status}{', ' if result else ''}{result}"
