"""Runs that are killed and signalled at random moments, again and again, until they end; for `test_storms`."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from dsbench.config import RunConfig, run_id, to_dict
from dsbench.records.run_folder import RunFolder
from dsbench.stopping import STOPPING

ROOT = Path(__file__).parents[2]
GONE_WITHIN_S = 30.0  # a worker without its launcher; it may be saving a checkpoint on a busy machine


class Launchers:
    """Launchers of one run, each a process, forked from one that has torch; data sets in a folder of their own."""

    def __init__(self, config: RunConfig, tmp: Path) -> None:
        self.config, self.data = config, tmp / "data"
        environment = {**os.environ, "DSBENCH_DATA": str(self.data), "OMP_NUM_THREADS": "1"}
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.running.fork_server"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment,
        )  # fmt: skip

    def start(self, results: Path) -> int:
        return self._ask([str(results), to_dict(self.config)])

    def wait(self, launcher: int) -> int:
        return os.waitstatus_to_exitcode(self._ask(launcher))

    def close(self) -> None:
        self._server.communicate(timeout=60)

    def folder(self, results: Path) -> RunFolder:
        return RunFolder.open(results, run_id(self.config))

    def _ask(self, value: Any) -> int:
        assert self._server.stdin is not None and self._server.stdout is not None
        print(json.dumps(value), file=self._server.stdin, flush=True)
        return int(self._server.stdout.readline())


def worker_of(launcher: int) -> list[int]:
    """The worker of a launcher, if it has one now."""
    try:
        return [int(pid) for pid in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def has_ended(pid: int) -> bool:
    """Whether a process is no more, or but waits to be asked how it ended."""
    return not Path(f"/proc/{pid}/cwd").exists()


def disturb(launchers: Launchers, results: Path, draw: random.Random, seconds: float, storm: bool) -> int | None:
    """One launcher of the run, killed or signalled at a random moment within so many seconds.

    Returns:
        Its exit code, once nobody of it is left; None when it had ended before that moment, as it should.
    """
    launcher, moment = launchers.start(results), time.monotonic() + draw.uniform(0, seconds)
    while time.monotonic() < moment and not has_ended(launcher):
        time.sleep(min(0.01, max(0.0, moment - time.monotonic())))
    if has_ended(launcher):
        assert launchers.wait(launcher) == 0
        return None
    workers = worker_of(launcher)
    for _ in range(draw.randint(2, 10) if storm else 1):
        number = draw.choice(STOPPING) if storm else signal.SIGKILL
        workers = worker_of(launcher) or workers
        for pid in draw.choice([[launcher], workers, [launcher, *workers], [*workers, launcher]]):
            if pid == launcher or pid in worker_of(launcher):
                os.kill(pid, number)
        time.sleep(draw.choice([0, 0, draw.uniform(0, 0.02), draw.uniform(0, 0.2)]) if storm else 0)
    code = launchers.wait(launcher)
    wait_until_gone(workers)
    return code


def wait_until_gone(pids: Sequence[int]) -> None:
    end = time.monotonic() + GONE_WITHIN_S
    while left := [pid for pid in pids if not has_ended(pid)]:
        assert time.monotonic() < end, f"workers without a launcher go on: {left}"
        time.sleep(0.01)


def campaign(launchers: Launchers, tmp: Path, rounds: int, draw: random.Random, storm: bool) -> list[int]:
    """Disturb `rounds` launchers of one run after another, each run until it ends as the undisturbed one did.

    Returns:
        The exit codes of the disturbed launchers.
    """
    began = time.monotonic()
    assert launchers.wait(launchers.start(tmp / "whole")) == 0
    seconds, whole = time.monotonic() - began, ending(launchers.folder(tmp / "whole"))
    seconds = min(seconds, 5.0)  # where the machine is busy, resumed runs reach their end all the same
    codes: list[int] = []
    while len(codes) < rounds:
        results = tmp / f"after-{len(codes)}"
        shutil.rmtree(launchers.data)  # so that it is made, or half made, under fire as well
        code: int | None = -1
        while code:
            code = disturb(launchers, results, draw, seconds, storm) if len(codes) < rounds else None
            codes += [] if code is None else [code]
        assert launchers.wait(launchers.start(results)) == 0
        folder = launchers.folder(results)
        assert ending(folder) == whole
        if storm:
            assert_every_stop_was_heard(folder)
        shutil.rmtree(results)
    return codes


def ending(folder: RunFolder) -> dict[str, Any]:
    """All of an ended run that must not depend on how often it was stopped: status, weights, every recorded score."""
    row, final = folder.latest_result(), folder.checkpoints_of(1).load("final")
    assert row is not None
    weights = hashlib.sha256(b"".join(final.tensors[name].numpy().tobytes() for name in sorted(final.tensors)))
    scores: dict[str, set[Any]] = {}
    for record in folder.journal.read():
        if record["kind"] == "metric" and record["phase"] in ("data", "train", "evaluate"):
            told = {key: value for key, value in record.items() if key not in ("time", "value")}
            scores.setdefault(json.dumps(told, sort_keys=True), set()).add(record["value"])
    assert all(len(values) == 1 for values in scores.values())
    return {
        "status": row["status"], "attempt": row["attempt"], "loss": row["loss"], "return": row["return_mean"],
        "weights": weights.hexdigest(), "scores": scores,
    }  # fmt: skip


def assert_every_stop_was_heard(folder: RunFolder) -> None:
    """Between two starts the worker said goodbye: no signal ended it before its checkpoint was saved."""
    events = [record["event"] for record in folder.journal.read() if record["kind"] == "event"]
    for one, following in pairwise(events):
        assert following != "start" or one in ("interrupted", "end"), events
