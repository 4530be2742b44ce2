"""Forked workers are what fresh ones are, and wherever there can be none, fresh ones there are."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from dsbench.config import RunConfig, resolve
from dsbench.records.run_folder import RunFolder
from dsbench.running import launcher, prepared, worker
from dsbench.running.progress import Silent
from dsbench.running.resident import Resident
from dsbench.running.worker_process import Outcome
from tests.running.inline import tiny

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are for Linux")
COSTS = ("latency", "train_seconds", "train_tokens", "train_contended", "peak_rss", "journal", "sha256")
DRIVER = """
import sys
from pathlib import Path
from dsbench.config import resolve
from dsbench.running import launcher
configs = [resolve(backbone="s4", env="umbrella", seed=seed) for seed in range(4)]
outcomes = launcher.run_all(configs, Path(sys.argv[1]), worker=sys.argv[2], at_once=2)
print([(one.status, one.exit_code) for one in outcomes])
"""


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("DSBENCH_DATA", str(tmp_path / "data"))


def runs(count: int, *overrides: str) -> list[RunConfig]:
    return [resolve(backbone="s4", env="umbrella", seed=seed, overrides=overrides) for seed in range(count)]


def told(results: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (results / "told").read_text().splitlines()]


def both_ways(work: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """What `work` gives with fresh workers, and with forked ones."""
    with monkeypatch.context() as patch:
        patch.setattr(prepared, "FEWEST", sys.maxsize)
        fresh = work("fresh")
    return fresh, work("forked")


def prepared_processes(of: int | None = None) -> list[psutil.Process]:
    return [child for child in psutil.Process(of).children() if "dsbench.running.forking" in child.cmdline()]


class Doing(Silent):
    """Does something once, when a worker first speaks of a phase."""

    def __init__(self, work: Callable[[], None], phase: str) -> None:
        self.work: Callable[[], None] | None = work
        self.phase = phase

    def event(self, name: str, event: Mapping[str, Any]) -> None:
        if self.work is not None and event["phase"] == self.phase:
            work, self.work = self.work, None
            work()


# ------------------------------------------------------------------------------------------------ alike


def test_a_fork_begins_with_all_that_a_fresh_process_begins_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODD", "\udcff" * 1000 + "\n=x")  # no text in any encoding
    monkeypatch.setenv("LONG", "x" * 100_000)

    def work(way: str) -> list[dict[str, Any]]:
        launcher.run_all(runs(2), tmp_path / "results", worker="telling_worker")
        found = told(tmp_path / "results")
        (tmp_path / "results" / "told").unlink()
        return found

    fresh, forked = both_ways(work, monkeypatch)
    assert [one["forked"] for one in [*fresh, *forked]] == [False, False, True, True]
    for one in (fresh[1], *forked):
        for name, value in one["alike"].items():
            assert value == fresh[0]["alike"][name], name
    assert len({number for one in [*fresh, *forked] for number in one["own"]}) == 8


@pytest.mark.parametrize("thread", [False, True])
def test_a_fork_brings_to_its_end_what_its_code_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, thread: bool
) -> None:
    monkeypatch.setenv("TELLING_END", "thread" if thread else "")

    def work(way: str) -> list[str]:
        launcher.run_all(runs(2), tmp_path / way, worker="telling_worker")
        assert [one["forked"] for one in told(tmp_path / way)] == [way == "forked"] * 2
        return [(tmp_path / way / name).read_text() for name in ("open", "left")]

    fresh, forked = both_ways(work, monkeypatch)
    assert fresh == forked == ["not flushed\n" * 2, ("thread\n" * thread + "at exit\n") * 2]


def test_results_are_equal_bit_for_bit_and_memory_counts_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configs = [tiny("train.updates=150", backbone="gpt"), tiny("wrapper.embedding_dropout=0.1", backbone="s4")]
    configs.append(resolve(policy="random", env="memory-len", preset="smoke"))

    def work(way: str) -> list[RunFolder]:
        forks: list[int] = []
        counting = Doing(lambda: forks.append(sum(len(one.children()) for one in prepared_processes())), "train")
        outcomes = launcher.run_all(configs, tmp_path / way, display=counting)
        assert forks == [0 if way == "fresh" else 1]
        assert [outcome.status for outcome in outcomes] == ["ok"] * len(configs)
        return [RunFolder.open(tmp_path / way, outcome.run_id) for outcome in outcomes]

    fresh, forked = both_ways(work, monkeypatch)
    for one, other in zip(fresh, forked, strict=True):
        assert numbers(one) == numbers(other)
        assert journal(one) == journal(other)
        assert weights(one) == weights(other)
        assert one.read_provenance() == other.read_provenance()
        memory = [float((folder.latest_result() or {}).get("peak_rss_bytes") or 1) for folder in (one, other)]
        assert memory[0] == pytest.approx(memory[1], rel=0.02)
    stopping = Doing(lambda: os.kill(os.getpid(), signal.SIGTERM), "train")
    stopped = launcher.run_all(configs, tmp_path / "stopped", display=stopping)
    assert [(one.status, one.exit_code) for one in stopped] == [("interrupted", 128 + signal.SIGTERM)] * len(configs)
    for one, other in zip(fresh, work("stopped"), strict=True):
        assert numbers(one) == numbers(other)
        assert weights(one) == weights(other)


def numbers(folder: RunFolder) -> dict[str, Any]:
    return {name: value for name, value in (folder.latest_result() or {}).items() if not name.startswith(COSTS)}


def journal(folder: RunFolder) -> list[Mapping[str, Any]]:
    """All that is no measurement."""
    own = ("time", "pid")
    return [
        {name: value for name, value in record.items() if name not in own}
        for record in folder.journal.read()
        if record.get("phase") != "measure" and record.get("event") != "start"
    ]


def weights(folder: RunFolder) -> dict[str, bytes]:
    if not folder.checkpoints_of(1).updates():
        return {}
    return {name: value.numpy().tobytes() for name, value in folder.checkpoints_of(1).load("final").tensors.items()}


def test_a_fork_has_the_pages_of_files_that_its_parent_had() -> None:
    held = Resident.now()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        before = len(Resident.now().pages)
        held.touch()
        os.write(writing, json.dumps([before, len(np.intersect1d(held.pages, Resident.now().pages))]).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    before, after = json.loads(os.read(reading, 1000))
    os.close(reading), os.close(writing)
    assert before < 0.5 * len(held.pages)
    assert after > 0.99 * len(held.pages)


# ------------------------------------------------------------------------------------------------ fresh ones instead


def forked(configs: list[RunConfig], results: Path) -> list[bool]:
    """Whether each worker was forked."""
    launcher.run_all(configs, results, worker="telling_worker")
    return [one["forked"] for one in told(results)]


@pytest.mark.parametrize("fault", ["thread", "raise", "exit", "none"])
def test_where_nothing_can_be_forked_workers_are_fresh_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], fault: str
) -> None:
    monkeypatch.setenv("TELLING_PREPARE", fault)
    assert forked(runs(2), tmp_path) == [False, False]
    assert capfd.readouterr() == ("", "")


def test_a_process_that_hangs_while_it_imports_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELLING_PREPARE", "slow")
    monkeypatch.setattr(prepared, "LOADING_S", 0.5)
    assert forked(runs(2), tmp_path) == [False, False]


def test_a_run_alone_is_fresh(tmp_path: Path) -> None:
    assert forked(runs(1), tmp_path) == [False]


@pytest.mark.parametrize(("setting", "forked"), [("device=cpu", True), ("device=auto", True), ("device=cuda:1", False)])
def test_a_run_on_cuda_is_fresh(setting: str, forked: bool) -> None:
    assert prepared.may_be_forked(runs(1, setting)[0]) is forked


def test_a_run_with_several_threads_is_fresh(tmp_path: Path) -> None:
    assert forked([*runs(2), *runs(2, "threads=2")], tmp_path) == [True, True, False, False]


@pytest.mark.parametrize(
    ("available", "asked_before", "devices"),
    [(False, False, ["cpu", "auto"]), (True, False, ["cpu"]), (False, True, []), (True, True, [])],
)
def test_auto_is_forked_where_it_is_no_cuda_device(
    monkeypatch: pytest.MonkeyPatch, available: bool, asked_before: bool, devices: list[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: asked_before)
    assert worker.prepare() == devices


# ------------------------------------------------------------------------------------------------ ends


def test_when_the_prepared_process_dies_its_forks_are_interrupted_and_the_next_are_fresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_WORKER", "hang,ok,ok")
    doing = Doing(lambda: prepared_processes()[0].kill(), "train")
    outcomes = launcher.run_all(runs(3), tmp_path, worker="fake_worker", display=doing)
    assert [(one.status, one.exit_code) for one in outcomes] == [("interrupted", 143), ("ok", 0), ("ok", 0)]
    stored = [RunFolder.open(tmp_path, one.run_id).latest_result() or {} for one in outcomes]
    assert [row["status"] for row in stored] == [one.status for one in outcomes]
    monkeypatch.setenv("FAKE_WORKER", "ok")
    assert {one.status for one in launcher.run_all(runs(3), tmp_path, worker="fake_worker")} == {"ok"}


def test_many_workers_leave_neither_descriptors_nor_dead_ones_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_WORKER", "ok,crash,exit")
    counts: list[tuple[int, ...]] = []

    class Counting(Silent):
        def end(self, name: str) -> None:
            (server,) = prepared_processes()
            counts.append((psutil.Process().num_fds(), server.num_fds(), len(server.children())))

    outcomes = launcher.run_all(runs(40), tmp_path, worker="fake_worker", display=Counting())
    assert {one.status for one in outcomes} == {"ok", "failed"}
    assert len(counts) == 40
    assert len(set(counts[1:])) == 1
    assert counts[-1][2] == 0
    assert not prepared_processes()


def test_nobody_outlives_a_launcher_that_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_WORKER", "hang")
    driver = drive(tmp_path, "fake_worker")
    wait_for(lambda: (tmp_path / "starts").exists() and len((tmp_path / "starts").read_text().splitlines()) == 2)
    everyone = psutil.Process(driver.pid).children(recursive=True)
    assert len(everyone) == 3
    driver.kill()
    driver.communicate()
    assert psutil.wait_procs(everyone, timeout=20)[1] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_process_is_prepared_is_obeyed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setenv("TELLING_PREPARE", "slow")
    driver = drive(tmp_path, "telling_worker")
    wait_for(lambda: bool(prepared_processes(driver.pid)))
    driver.send_signal(number)
    assert driver.communicate(timeout=20)[0].strip() == str([("interrupted", 128 + number)] * 4)


def test_a_signal_to_all_of_them_is_told_by_its_own_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_WORKER", "hang")
    driver = drive(tmp_path, "fake_worker")
    wait_for(lambda: (tmp_path / "starts").exists() and len((tmp_path / "starts").read_text().splitlines()) == 2)
    time.sleep(0.2)  # the fake worker sets its handlers just after
    for one in [*psutil.Process(driver.pid).children(recursive=True), driver]:
        one.send_signal(signal.SIGUSR1)
    assert driver.communicate(timeout=20)[0].strip() == str([("interrupted", 128 + signal.SIGUSR1)] * 4)


def drive(results: Path, module: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", DRIVER, str(results), module]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


# ------------------------------------------------------------------------------------------------ code from outside

OWN = """
import os, sys, signal
from dsbench.backbones.mlp import MLP

class Own(MLP):
    def __init__(self, *arguments, fault="none", **options):
        super().__init__(*arguments, **options)
        self.fault = fault
        assert getattr(sys, "seen", os.getpid()) == os.getpid(), "another run has been here"
        sys.seen = os.getpid()
        if fault == "crash":
            signal.raise_signal(signal.SIGSEGV)
        if fault == "exit":
            os._exit(7)
        if fault == "raise":
            raise ArithmeticError("a wheel came off")
"""


def test_code_from_outside_is_loaded_after_the_fork_and_takes_nobody_with_it(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    reference = f"{tmp_path / 'own.py'}:Own"
    faults = ["none", "crash", "exit", "raise", "none"]
    configs = [tiny(f"backbone.fault={fault}", f"seed={seed}", backbone=reference) for seed, fault in enumerate(faults)]
    outcomes: list[Outcome] = launcher.run_all(configs, tmp_path / "results", at_once=2)
    assert [one.status for one in outcomes] == ["ok", "failed", "failed", "failed", "ok"]
    raised = outcomes[3]
    assert raised.row is not None and "ArithmeticError: a wheel came off" in str(raised.row["reason"])
    assert "own.py, line " in str(raised.message) and "Traceback" not in str(raised.message)
    assert 'raise ArithmeticError("a wheel came off")' in str(raised.row["reason"])
