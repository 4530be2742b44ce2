"""One writer a run, one result an attempt, and asking again does what the status says."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dsbench.errors import CorruptFile, RunHeld, UsageError
from dsbench.records.run_folder import STATUSES, Plan, RunFolder

RUN = "s4-umbrella-s0-0123456789"
HOLDER = """
import sys, time
from pathlib import Path
from dsbench.records.run_folder import RunFolder
with RunFolder.open(Path(sys.argv[1]), sys.argv[2]).claim() as plan:
    print(plan.action, plan.attempt, flush=True)
    time.sleep(60)
"""
FINISHER = """
import sys, time
from pathlib import Path
from dsbench.files import create_exclusive
from dsbench.records.encoding import seal
path = Path(sys.argv[1])
time.sleep(max(0.0, float(sys.argv[3]) - time.time()))
print(create_exclusive(path, seal({"winner": int(sys.argv[2])})))
"""


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.open(tmp_path, RUN)


@contextmanager
def holder(results: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the run."""
    command = [sys.executable, "-c", HOLDER, str(results), RUN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=results) as process:
        assert process.stdout is not None
        assert process.stdout.readline().split() in (["start", "1"], ["resume", "1"])
        try:
            yield process
        finally:
            process.kill()


def test_a_second_process_is_told_who_holds_the_run_and_kill_9_frees_it(run: RunFolder, tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        with pytest.raises(RunHeld, match=rf"held by pid {process.pid} on .* since \d{{4}}-") as held, run.claim():
            pass
        assert held.value.exit_code == 75
        assert run.status() == "running"
        with pytest.raises(RunHeld):
            run.finish("failed", {})
        process.kill()
        process.wait()
        with run.claim() as plan:  # at once
            assert plan == Plan("resume", 1)
    assert run.status() == "interrupted"


def test_of_processes_that_claim_together_one_wins(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path), RUN]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
        for _ in range(3)
    ]
    try:
        losers: list[subprocess.Popen[str]] = []
        deadline = time.monotonic() + 30
        while len(losers) < 2 and time.monotonic() < deadline:
            losers = [process for process in processes if process.poll() is not None]
            time.sleep(0.02)
        assert len(losers) == 2
        for process in losers:
            assert "RunHeld" in process.communicate()[1]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_a_result_is_created_once_by_many_processes(tmp_path: Path) -> None:
    path, begin = tmp_path / "result-1.json", str(time.time() + 1.0)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", FINISHER, str(path), str(number), begin],
            stdout=subprocess.PIPE, text=True, cwd=tmp_path,
        )
        for number in range(5)
    ]  # fmt: skip
    answers = [process.communicate()[0].strip() for process in processes]
    assert sorted(answers) == ["False"] * 4 + ["True"]
    assert json.loads(path.read_text())["winner"] == answers.index("True")
    assert [file.name for file in tmp_path.iterdir()] == ["result-1.json"]  # no leftovers


@pytest.mark.parametrize("status", STATUSES)
def test_asking_again_does_what_the_status_says(run: RunFolder, status: str) -> None:
    assert run.plan() == Plan("start", 1)
    assert run.status() == "new"
    with run.claim() as plan:
        assert plan == Plan("start", 1)
        assert run.status() == "running"
        assert run.finish(status, {"return": 1.5, "reason": "because"})
    expected = {"ok": Plan("done", 1), "diverged": Plan("done", 1), "interrupted": Plan("resume", 1)}
    assert run.plan() == expected.get(status, Plan("start", 2))
    assert run.plan(force=True) == Plan("start", 2)
    assert run.status() == status
    row = run.latest_result()
    assert row is not None
    assert (row["status"], row["attempt"], row["return"], row["reason"]) == (status, 1, 1.5, "because")


def test_an_interrupted_attempt_ends_otherwise_later_and_a_result_stands(run: RunFolder) -> None:
    with run.claim():
        pass  # killed before anything was written
    assert run.plan() == Plan("resume", 1)
    assert run.latest_result() is None
    assert run.finish("interrupted", {"reason": "signal"})
    assert run.finish("timeout", {"value": 1})
    assert not run.finish("ok", {"value": 2})
    assert not run.finish("interrupted", {})
    assert run.latest_result() == run.result(1)
    assert run.status() == "timeout"


def test_a_finished_result_counts_until_a_forced_attempt_is_finished(run: RunFolder) -> None:
    with run.claim():
        run.finish("ok", {"value": 1})
    with run.claim(force=True) as plan:
        assert plan == Plan("start", 2)
    assert run.status() == "interrupted"
    assert run.plan() == Plan("resume", 2)
    first = run.latest_result()
    assert first is not None
    assert first["attempt"] == 1
    run.finish("failed", {}, attempt=2)
    second = run.latest_result()
    assert second is not None
    assert (second["attempt"], second["status"]) == (2, "failed")


def test_a_failed_result_counts_only_until_it_is_retried(run: RunFolder) -> None:
    with run.claim():
        run.finish("failed", {})
    with run.claim() as plan:
        assert plan == Plan("start", 2)
        assert run.latest_result() is None
        assert run.status() == "running"


def test_a_new_attempt_never_sees_older_training_checkpoints_and_keeps_the_finished_policy(run: RunFolder) -> None:
    import torch

    with run.claim():
        run.checkpoints.save(5, {"w": torch.zeros(1)}, {})
        run.checkpoints.save("final", {"w": torch.zeros(1)}, {})
        run.finish("ok", {})
    with run.claim(force=True):
        assert run.checkpoints.latest() is None
        assert run.checkpoints_of(1).names() == ["final"]


def test_config_and_provenance_are_written_once_and_read_back(run: RunFolder) -> None:
    config = {"backbone": {"name": "s4", "kind": "yes"}, "train": {"lr": 1e-3, "window": None}, "seed": 0}
    assert run.read_config() is None
    assert run.write_config(config)
    assert not run.write_config({"seed": 1})
    assert run.read_config() == config
    assert run.write_provenance({"python": "3.11"})
    assert not run.write_provenance({})
    assert run.read_provenance() == {"python": "3.11"}


def means_the_same(data: bytes, whole: bytes) -> bool:
    try:
        return bool(json.loads(data) == json.loads(whole))
    except ValueError:
        return False


@pytest.mark.parametrize("name", ["config.yaml", "result-1.json", "claim.json", "provenance-1.json"])
def test_a_changed_or_torn_file_is_found_and_named(run: RunFolder, name: str) -> None:
    def read_all() -> None:
        run.read_config()
        run.read_provenance()
        run.status()

    with run.claim():
        run.write_config({"seed": 12345, "preset": "x"})
        run.write_provenance({"python": "3.11"})
        run.finish("ok", {"return": 0.25})
    read_all()
    path = run.path / name
    whole = path.read_bytes()
    for cut in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:cut])
        with pytest.raises(CorruptFile, match=name):
            read_all()
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        if name != "config.yaml" and means_the_same(path.read_bytes(), whole):
            read_all()  # only white space between the fields has changed
            continue
        with pytest.raises(CorruptFile, match=name):
            read_all()


def test_force_is_a_way_out_of_a_damaged_journal_and_result(run: RunFolder) -> None:
    with run.claim():
        run.journal.append({"value": 1})
        run.finish("ok", {})
    damaged = run.journal.path.read_bytes().replace(b"1}", b"2}", 1)
    run.journal.path.write_bytes(damaged.replace(b'"value":1', b'"value":2'))
    (run.path / "result-1.json").write_text("{")
    with pytest.raises(CorruptFile, match="--force"):
        run.plan()
    with pytest.raises(CorruptFile, match="--force"):
        run.journal.read()
    with run.claim(force=True) as plan:
        assert plan == Plan("start", 2)
        run.journal.append({"value": 3})
        run.finish("ok", {})
    assert run.journal.read() == [{"value": 3, "attempt": 2}]
    assert run.plan() == Plan("done", 2)
    assert (run.path / "journal-damaged-1.jsonl").exists()


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "a/../b", "", ".", "..", "a\n", "a\0", "x" * 300, "con", "-x", "S4"]
)
def test_a_run_cannot_leave_its_results_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        RunFolder.open(tmp_path, name)


def test_a_linked_run_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "a").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="link"):
        RunFolder.open(tmp_path, "a")


def test_an_unknown_status_is_refused(run: RunFolder) -> None:
    with pytest.raises(UsageError, match="'done' is unknown; expected one of ok, diverged"):
        run.finish("done", {})
