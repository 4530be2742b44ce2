"""The parent: what each end of a worker becomes, how signals and the time limit travel, what is skipped.

All of it with fresh workers and with forked ones.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from dsbench.config import RunConfig, naming, resolve, run_id
from dsbench.errors import CannotWrite, RunHeld, UsageError
from dsbench.records.run_folder import RunFolder
from dsbench.running import launcher, prepared, relay
from dsbench.running.outcomes import exit_code_of, held_sentence, lines_of
from dsbench.running.progress import Silent
from dsbench.running.worker_process import Outcome
from dsbench.stopping import STOPPING

WORKER = "fake_worker"
DRIVER = """
import sys
from pathlib import Path
from dsbench.running import launcher, prepared, relay
from dsbench.config import resolve
relay.AGAIN_S, prepared.FEWEST = float(sys.argv[3]), int(sys.argv[4])
configs = [resolve(backbone="s4", env="umbrella", seed=seed) for seed in range(int(sys.argv[2]))]
outcomes = launcher.run_all(configs, Path(sys.argv[1]), worker="fake_worker")
print([(one.status, one.exit_code) for one in outcomes])
"""


@pytest.fixture(autouse=True, params=["fresh", "forked"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How workers begin in this test."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr(prepared, "FEWEST", 1 if request.param == "forked" else sys.maxsize)
    return str(request.param)


def config(*overrides: str, seed: int = 0) -> RunConfig:
    return resolve(backbone="s4", env="umbrella", seed=seed, overrides=overrides)


@pytest.fixture
def behave(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    return lambda *behaviours: monkeypatch.setenv("FAKE_WORKER", ",".join(behaviours))


def once(results: Path, *overrides: str, force: bool = False) -> Outcome:
    (outcome,) = launcher.run_all([config(*overrides)], results, force=force, worker=WORKER)
    return outcome


def starts(results: Path) -> list[str]:
    return (results / "starts").read_text().splitlines()


def stored(results: Path) -> dict[str, object]:
    return RunFolder.open(results, run_id(config())).latest_result() or {}


def test_a_finished_run_is_not_run_again(tmp_path: Path, behave, way: str) -> None:  # type: ignore[no-untyped-def]
    behave("ok")
    first, second = once(tmp_path), once(tmp_path)
    assert first == second
    assert (first.status, first.exit_code) == ("ok", 0)
    assert first.row is not None
    assert first.row["accuracy"] == 0.97
    assert len(starts(tmp_path)) == 1
    once(tmp_path, force=True)
    assert [line.split()[1] for line in starts(tmp_path)] == [way, way]


def test_the_worker_gets_threads_and_passive_waiting(tmp_path: Path, behave) -> None:  # type: ignore[no-untyped-def]
    behave("ok")
    once(tmp_path, "threads=3")
    assert starts(tmp_path)[0].split()[1:] == ["fresh", "PASSIVE", "3"]


@pytest.mark.parametrize(
    ("behaviour", "status", "reason"),
    [
        ("raise", "failed", "RuntimeError: a wheel came off"),
        ("memory", "out_of_memory", "MemoryError: too big"),
        ("crash", "failed", "the worker crashed (SIGSEGV)"),
    ],
)
def test_a_dead_worker_becomes_a_row(tmp_path: Path, behave, behaviour: str, status: str, reason: str) -> None:  # type: ignore[no-untyped-def]
    behave(behaviour)
    outcome = once(tmp_path)
    assert (outcome.status, outcome.exit_code, outcome.message) == (status, 1, reason)
    row = stored(tmp_path)
    assert (row["status"], row["reason"], row["backbone"], row["attempt"]) == (status, reason, "s4", 1)


def test_a_worker_that_ends_without_a_word_is_a_failure_with_its_phase(tmp_path: Path, behave) -> None:  # type: ignore[no-untyped-def]
    behave("exit")
    outcome = once(tmp_path)
    assert (outcome.status, outcome.exit_code) == ("failed", 1)
    expected = "the worker ended with exit code 0 in phase 'train' without saying why"
    assert str(outcome.message).startswith(expected)
    assert str(outcome.message).endswith("; the last that it printed: noise of a library")
    assert stored(tmp_path)["reason"] == outcome.message


def test_the_traceback_of_a_dead_worker_is_kept(tmp_path: Path, behave) -> None:  # type: ignore[no-untyped-def]
    behave("raise")
    outcome = once(tmp_path)
    text = (tmp_path / "runs" / outcome.run_id / "error.txt").read_text()
    assert "Traceback" in text
    assert "a wheel came off" in text


def test_a_failed_run_is_retried_as_the_next_attempt(tmp_path: Path, behave) -> None:  # type: ignore[no-untyped-def]
    behave("raise")
    once(tmp_path)
    behave("ok")
    assert once(tmp_path).status == "ok"
    assert stored(tmp_path)["attempt"] == 2


def test_kill_from_outside_is_resumable(tmp_path: Path, behave, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    behave("kill")
    monkeypatch.setattr("dsbench.running.worker_process.memory_kills", lambda: 3)
    outcome = once(tmp_path)
    assert (outcome.status, outcome.exit_code) == ("interrupted", 137)
    assert "SIGKILL" in str(stored(tmp_path)["reason"])
    assert RunFolder.open(tmp_path, run_id(config())).plan().action == "resume"
    behave("ok")
    assert once(tmp_path).status == "ok"
    assert stored(tmp_path)["attempt"] == 1


def test_an_unfinished_run_is_not_gone_on_with_once_results_have_changed(
    tmp_path: Path, behave, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    behave("hang")
    begun = RunFolder.open(tmp_path, run_id(config()))
    with begun.claim():
        pass
    now = naming.RESULT_VERSION
    monkeypatch.setattr(naming, "RESULT_VERSION", now + 2)
    outcome = once(tmp_path)
    assert (outcome.status, outcome.exit_code, outcome.row) == ("refused", 2, None)
    assert "\n" not in str(outcome.message)
    for part in (str(begun.path), f"result version {now},", f"version {now + 2}", "delete that folder", "--force"):
        assert part in str(outcome.message)
    assert not (tmp_path / "starts").exists()
    with RunFolder.open(tmp_path, run_id(config())).claim():
        pass
    assert launcher.state_of(config(), tmp_path) == "resumed, from the start"  # its own; the other one stays


def test_kill_by_the_memory_killer_is_out_of_memory(tmp_path: Path, behave, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    behave("kill")
    counts = iter([3, 4])
    monkeypatch.setattr("dsbench.running.worker_process.memory_kills", lambda: next(counts))
    assert once(tmp_path).status == "out_of_memory"


def test_the_time_limit_ends_a_run_as_timeout(tmp_path: Path, behave) -> None:  # type: ignore[no-untyped-def]
    behave("hang")
    outcome = once(tmp_path, "time_limit_s=0.5")
    assert (outcome.status, outcome.exit_code) == ("timeout", 1)
    assert "0.5 s" in str(outcome.message)


def test_a_worker_that_ignores_the_time_limit_is_killed(
    tmp_path: Path, behave, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("dsbench.running.worker_process.GRACE_S", 0.3)
    behave("deaf")
    assert once(tmp_path, "time_limit_s=0.5").status == "timeout"


def test_a_worker_that_says_nothing_any_more_is_ended_as_timeout_with_the_phase(tmp_path: Path, behave) -> None:  # type: ignore[no-untyped-def]
    behave("hang")
    outcome = once(tmp_path, "stall_limit_s=0.5")
    assert (outcome.status, outcome.exit_code) == ("timeout", 1)
    assert "no progress for 0.5 s while in phase" in str(outcome.message)


def test_bad_input_found_by_the_worker_is_an_error_and_leaves_nothing(tmp_path: Path, behave) -> None:  # type: ignore[no-untyped-def]
    behave("usage")
    outcome = once(tmp_path)
    assert (outcome.status, outcome.exit_code, outcome.row) == ("refused", 2, None)
    assert isinstance(launcher.error_of(outcome), UsageError)
    assert not (tmp_path / "runs").exists()


def test_a_live_run_is_held(tmp_path: Path, behave) -> None:  # type: ignore[no-untyped-def]
    behave("ok")
    with RunFolder.open(tmp_path, run_id(config())).claim():
        outcome = once(tmp_path)
    assert (outcome.status, outcome.exit_code) == ("held", 75)
    assert f"pid {os.getpid()} on" in str(outcome.message)
    assert isinstance(launcher.error_of(outcome), RunHeld)


def test_a_results_folder_that_is_a_file_is_refused(tmp_path: Path, behave) -> None:  # type: ignore[no-untyped-def]
    behave("ok")
    (tmp_path / "file").touch()
    for results in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(CannotWrite, match="is a file"):
            once(results)


def test_a_full_disk_is_an_interruption_with_73(tmp_path: Path, behave) -> None:  # type: ignore[no-untyped-def]
    behave("full")
    outcome = once(tmp_path)
    assert (outcome.status, outcome.exit_code) == ("interrupted", 73)
    assert isinstance(launcher.error_of(outcome), CannotWrite)
    assert stored(tmp_path)["reason"] == outcome.message == "cannot write journal.jsonl: the disk is full"
    behave("ok")
    assert once(tmp_path).status == "ok"
    assert stored(tmp_path)["attempt"] == 1


def test_a_folder_that_is_gone_when_its_worker_dies_stays_gone(tmp_path: Path, behave) -> None:  # type: ignore[no-untyped-def]
    behave("removed")
    outcome = once(tmp_path)
    assert (outcome.status, outcome.exit_code) == ("interrupted", 128 + signal.SIGXCPU)
    assert list((tmp_path / "runs").iterdir()) == []


def test_where_an_interruption_cannot_be_noted_it_is_told_all_the_same(
    tmp_path: Path, behave, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    def refuse(*_: object) -> bool:
        raise OSError(28, "No space left on device")

    behave("kill")
    monkeypatch.setattr(RunFolder, "finish", refuse)
    monkeypatch.setattr("dsbench.running.worker_process.memory_kills", lambda: None)
    assert once(tmp_path).exit_code == 137


def test_a_full_temporary_folder_is_one_sentence(tmp_path: Path, behave, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    behave("ok")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    outcome = once(tmp_path)
    assert (outcome.status, outcome.exit_code, outcome.row) == ("refused", 73, None)


def test_a_sweep_looks_again_at_what_another_process_held(tmp_path: Path, behave) -> None:  # type: ignore[no-untyped-def]
    behave("ok")
    configs = [config(seed=seed) for seed in range(4)]
    folders = [RunFolder.open(tmp_path, run_id(one)) for one in configs]
    with ExitStack() as until_own_work_is_done, folders[3].claim():
        for folder in folders[:2]:
            until_own_work_is_done.enter_context(folder.claim())

        class ThenLetGo(Silent):
            def end(self, name: str) -> None:  # the other one finishes the first, and dies over the second
                if name == folders[2].run_id:
                    folders[0].finish("ok", {"accuracy": 0.5})
                    until_own_work_is_done.close()

        outcomes = launcher.run_all(configs, tmp_path, worker=WORKER, display=ThenLetGo())
        assert [outcome.status for outcome in outcomes] == ["ok", "ok", "ok", "held"]
        assert (outcomes[0].row or {})["accuracy"] == 0.5
        assert exit_code_of(outcomes) == 75
        sentence = held_sentence(outcomes, tmp_path)
    assert str(sentence).startswith(f"1 run is held by pid {os.getpid()} on ")
    assert len(starts(tmp_path)) == 2
    assert exit_code_of(launcher.run_all(configs, tmp_path, worker=WORKER)) == 0


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        ([("ok", 0)], 0),
        ([("ok", 0), ("held", 75)], 75),
        ([("failed", 1), ("held", 75)], 1),
        ([("failed", 1), ("interrupted", 73), ("held", 75)], 73),
        ([("interrupted", 73), ("interrupted", 143), ("interrupted", 143)], 143),
        ([("refused", 2), ("ok", 0)], 1),
    ],
)
def test_the_exit_code_of_many_runs(ends: list[tuple[str, int]], code: int) -> None:
    assert exit_code_of([Outcome("run", status, one) for status, one in ends]) == code


def test_one_bad_run_does_not_stop_the_others(tmp_path: Path, behave) -> None:  # type: ignore[no-untyped-def]
    behave("ok", "crash", "raise")
    configs = [config(seed=seed) for seed in range(4)]
    outcomes = launcher.run_all(configs, tmp_path, at_once=2, worker=WORKER)
    assert [outcome.status for outcome in outcomes] == ["ok", "failed", "failed", "ok"]
    behave("ok")
    again = launcher.run_all(configs, tmp_path, at_once=2, worker=WORKER)
    assert [outcome.status for outcome in again] == ["ok"] * 4
    assert len(starts(tmp_path)) == 6  # the two finished ones were skipped


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_interrupts_all_and_the_same_call_continues(
    tmp_path: Path, behave, number: signal.Signals, code: int
) -> None:  # type: ignore[no-untyped-def]
    behave("hang")
    process = driver(tmp_path, runs=2)
    process.send_signal(number)
    assert process.communicate(timeout=20)[0].strip() == f"[('interrupted', {code}), ('interrupted', {code})]"
    assert stored(tmp_path)["status"] == "interrupted"
    behave("ok")
    assert once(tmp_path).status == "ok"


def test_repeats_do_nothing_until_a_person_insists(tmp_path: Path, behave) -> None:  # type: ignore[no-untyped-def]
    behave("deaf")
    process = driver(tmp_path, runs=1, again_s=0.5)
    process.send_signal(signal.SIGINT)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT):
        process.send_signal(number)
    time.sleep(0.7)
    process.send_signal(signal.SIGTERM)  # no person sends that
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=5) in {
        128 + number for number in STOPPING
    }  # the system hands pending ones over by number
    folder = RunFolder.open(tmp_path, run_id(config()))
    wait_for(lambda: not folder.is_live())  # the worker was killed too


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_signals_of_schedulers_and_terminals_mean_stop_too(tmp_path: Path, behave, number: signal.Signals) -> None:  # type: ignore[no-untyped-def]
    behave("hang")
    process = driver(tmp_path, runs=1)
    process.send_signal(number)
    assert process.communicate(timeout=20)[0].strip() == f"[('interrupted', {128 + number})]"


def test_a_signal_that_was_ignored_from_the_start_stays_ignored(tmp_path: Path, behave) -> None:  # type: ignore[no-untyped-def]
    behave("hang")
    process = driver(tmp_path, runs=1, before=("nohup",))
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGUSR1)
    assert process.communicate(timeout=20)[0].strip() == f"[('interrupted', {128 + signal.SIGUSR1})]"


def driver(
    results: Path, runs: int, before: tuple[str, ...] = (), again_s: float = relay.AGAIN_S
) -> subprocess.Popen[str]:
    """`run_all` in a process of its own, its first worker under way."""
    arguments = [str(results), str(runs), str(again_s), str(prepared.FEWEST)]
    command = [*before, sys.executable, "-c", DRIVER, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for((results / "starts").exists)
    time.sleep(0.1)  # the fake worker sets its handlers just after
    return process


def wait_for(condition) -> None:  # type: ignore[no-untyped-def]
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize(("row", "code", "lines"), [(None, 2, 2), (None, 1, 2), ({}, 2, 2), ({}, 1, 1)])
def test_an_error_keeps_its_lines_and_a_reason_out_of_a_record_is_one(
    row: dict[str, object] | None, code: int, lines: int
) -> None:
    assert len(lines_of(Outcome("a-b-s0-0", "failed", code, row, "one\n  two"))) == lines
    assert lines_of(Outcome("a-b-s0-0", "ok", 0, {})) == [""]


def test_how_many_runs_are_done_is_known_before_anything_begins(tmp_path: Path, behave) -> None:  # type: ignore[no-untyped-def]
    behave("ok")
    runs = [resolve(backbone="s4", env="umbrella", seed=seed) for seed in range(3)]
    assert launcher.done_before(runs, tmp_path) == 0
    launcher.run_all(runs[:2], tmp_path, worker=WORKER)
    assert launcher.done_before(runs, tmp_path) == 2
