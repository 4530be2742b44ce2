"""A training of seconds is one of updates wherever updates take equal times; it ends when they are spent, and says so."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dsbench.config import RunConfig, TrainConfig
from dsbench.errors import CorruptFile
from dsbench.records.documents import FinalRow
from dsbench.running import training
from dsbench.running.budget import Budget
from dsbench.running.launcher import state_of
from dsbench.running.training import Progress
from dsbench.train import learning_rate_factor
from tests.running.inline import Inline, tiny
from tests.running.storms import ending

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
UPDATES, TICK = 12, 0.25  # of `tiny`; seconds that each of them takes on a clock of ours
EQUAL = f"train.seconds={UPDATES * TICK}"


@pytest.fixture
def inline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inline:
    return Inline(tmp_path, monkeypatch)


class Clock:
    """Stands still but while something is timed, which takes the next of `lasting`, or the last of them, in seconds."""

    def __init__(self, *lasting: float) -> None:
        self.lasting, self.now, self.reads = list(lasting), 0.0, 0

    def __call__(self) -> float:
        self.reads += 1
        if self.reads % 2 == 0:
            self.now += self.lasting.pop(0) if len(self.lasting) > 1 else self.lasting[0]
        return self.now


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Updates take these CPU seconds, and ten times that on the clock."""

    def tick(*lasting: float) -> None:
        clocks = SimpleNamespace(process_time=Clock(*lasting), perf_counter=Clock(*(10 * one for one in lasting)))
        monkeypatch.setattr(training, "time", clocks)

    return tick


def evaluations(inline: Inline, config: RunConfig) -> list[int]:
    records = inline.folder(config).journal.read()
    return sorted({one["step"] for one in records if one.get("phase") == "train" and one.get("split") == "eval"})


def test_equal_times_make_it_the_training_of_as_many_updates(inline: Inline, ticking: Callable[..., None]) -> None:
    ticking(TICK)
    by_updates, by_seconds = tiny("train.warmup=3"), tiny("train.warmup=3", EQUAL)
    assert inline.run(by_updates) == inline.run(by_seconds) == 0
    assert ending(inline.folder(by_seconds)) == ending(inline.folder(by_updates))
    row, plain = (inline.folder(config).latest_result() or {} for config in (by_seconds, by_updates))
    assert (row["updates"], row["budget_spent_s"], row["train_seconds"]) == (UPDATES, 3.0, 30.0)
    assert row["budget_note"].startswith("trained for 3 CPU seconds of all threads together; how many updates")
    assert {name for name in row if name not in plain} == {"budget_spent_s", "budget_note"}
    FinalRow.model_validate(row)


def test_the_update_in_which_they_run_out_is_the_last(inline: Inline, ticking: Callable[..., None]) -> None:
    config = tiny("train.seconds=1")
    ticking(0.5, 0.25, 0.125, 5.0)
    assert inline.run(config) == 0
    row = inline.folder(config).latest_result() or {}
    assert (row["updates"], row["budget_spent_s"]) == (4, 5.875)
    assert evaluations(inline, config) == [
        1,
        2,
        4,
    ]  # of tiny's three, at 4, 8 and 12 of 12 updates: thirds of the seconds
    final = [one for one in inline.folder(config).journal.read() if one.get("phase") == "evaluate"]
    assert {one["step"] for one in final} == {4}


def test_more_updates_than_train_updates_are_made_where_they_fit(inline: Inline, ticking: Callable[..., None]) -> None:
    config = tiny(EQUAL)
    ticking(TICK / 4)
    assert inline.run(config) == 0
    assert (inline.folder(config).latest_result() or {})["updates"] == 4 * UPDATES
    assert evaluations(inline, config) == [16, 32, 48]


def test_it_ends_by_the_processors_own_clock(inline: Inline) -> None:
    config = tiny("train.seconds=0.2")
    assert inline.run(config) == 0
    row = inline.folder(config).latest_result() or {}
    assert row["updates"] >= 1
    assert row["budget_spent_s"] >= 0.2


@pytest.mark.parametrize(("number", "message"), [(1, "loss"), (5, "loss"), (12, "loss"), (2, "evaluating")])
def test_a_stop_costs_no_second(inline: Inline, ticking: Callable[..., None], number: int, message: str) -> None:
    config, left = tiny(EQUAL), number

    def stop(phase: str, done: int, total: int, said: str = "") -> None:
        nonlocal left
        if phase == "train" and said.startswith(message):
            assert 0 <= done <= total == 3  # whole seconds
            left -= 1
            if left == 0:
                inline.stop(signal.SIGUSR1)

    ticking(TICK)
    assert inline.run(config, "whole") == 0
    assert inline.run(config, hook=stop) == 128 + signal.SIGUSR1
    latest = inline.folder(config).checkpoints.latest()
    assert latest is not None
    assert latest.meta["progress"]["cpu_seconds"] == TICK * (latest.update or 0)
    assert state_of(config, inline.tmp / "results") == f"resumed after update {latest.update}"
    assert inline.run(config) == 0
    assert ending(inline.folder(config)) == ending(inline.folder(config, "whole"))


def test_a_checkpoint_without_its_seconds_is_refused(inline: Inline, ticking: Callable[..., None]) -> None:
    config, folder = tiny(EQUAL), inline.folder(tiny(EQUAL))
    ticking(TICK)
    assert inline.run(config, hook=lambda phase, *_: inline.stop(signal.SIGUSR1) if phase == "train" else None) != 0
    stored = folder.checkpoints.latest()
    assert stored is not None
    meta: dict[str, Any] = {**stored.meta, "progress": {**stored.meta["progress"], "cpu_seconds": None}}
    with pytest.raises(CorruptFile, match="does not say cpu_seconds, which train.seconds are counted by"):
        training._resumable(stored._replace(meta=meta), folder.path, config.train)


def test_seconds_are_the_processors_on_a_cpu_and_the_clocks_elsewhere() -> None:
    progress = Progress(seconds=5.0, cpu_seconds=3.0)
    settings = TrainConfig(seconds=60.0)
    assert (Budget(settings, CPU).spent(progress), Budget(settings, CUDA).spent(progress)) == (3.0, 5.0)
    assert "60 seconds on the clock" in str(Budget(settings, CUDA).columns(progress)["budget_note"])


def test_of_updates_nothing_is_said_and_seconds_count_for_nothing() -> None:
    budget, progress = Budget(TrainConfig(updates=50), CPU), Progress(seconds=1e9, cpu_seconds=1e9)
    assert budget.columns(progress) == {}
    assert [budget.place(done, progress) for done in (0, 7)] == [0, 7]
    assert [budget.is_spent(done, progress) for done in (0, 49, 50)] == [False, False, True]
    assert budget.shown(7, progress) == (7, 50)


@given(
    st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=60),
    st.floats(1e-3, 1e4),
    st.integers(1, 40),
    st.integers(0, 40),
    st.none() | st.integers(1, 60),
)
def test_whatever_updates_take_the_schedule_is_gone_through_once(
    lasting: list[float], seconds: float, updates: int, warmup: int, every: int | None
) -> None:
    settings = TrainConfig(updates=updates, warmup=min(warmup, updates), seconds=seconds, eval_every=every)
    budget, progress, factors, points = Budget(settings, CPU), Progress(), [], 0
    lasting = [*lasting, math.inf]
    while not budget.is_spent(len(factors), progress):
        before = budget.place(len(factors), progress)
        factors.append(learning_rate_factor(before, settings))
        progress.cpu_seconds = (progress.cpu_seconds or 0.0) + lasting[len(factors) - 1]
        points += budget.asks_for_evaluation(before, after := budget.place(len(factors), progress))
        assert before < after
    assert all(0 < factor <= 1 for factor in factors)
    top = factors.index(max(factors))
    assert factors == sorted(factors[: top + 1]) + sorted(factors[top + 1 :], reverse=True)
    assert 1 <= points <= math.ceil(updates / (every or max(1, updates // 10)))
    assert budget.asks_for_evaluation(before, after)  # the last weights are scored
