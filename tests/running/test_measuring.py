"""The row of a run tells what its times are times of: what a decision looks back on, and whether training had the core."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dsbench.decision import DecisionSequence
from dsbench.running.measuring import cost_columns, decision_context, training_costs
from dsbench.running.training import Progress

MakePolicy = Callable[..., DecisionSequence]
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("backbone", "window", "context"),
    [("lstm", None, None), ("gpt", None, 64), ("gpt", 3, 3), ("lstm", 20, 20)],  # a cache of 64 tokens is gpt's default
)
def test_a_decision_looks_back_on_its_window_its_cache_or_a_state_alone(
    make_policy: MakePolicy, backbone: str, window: int | None, context: int | None
) -> None:
    assert decision_context(make_policy(backbone), window) == context


@given(st.floats(1e-3, 1e6), st.floats(0, 1))
def test_training_waited_for_the_share_of_time_that_is_no_cpu_time(seconds: float, worked: float) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        row = cost_columns(training_costs(seconds, worked * seconds, 100, CPU))
    finally:
        torch.set_num_threads(threads)
    assert row["train_contended"] == pytest.approx(1 - worked)
    assert row["train_tokens_per_second"] == pytest.approx(100 / seconds)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_what_was_not_counted_is_not_known(device: str) -> None:
    assert cost_columns(training_costs(1.0, None, 100, torch.device(device)))["train_contended"] is None
    assert cost_columns(training_costs(1.0, 0.5, 100, torch.device("cuda")))["train_contended"] is None


def test_cpu_time_is_counted_and_a_checkpoint_without_it_stays_without() -> None:
    """What was done before the checkpoint was not counted, so that the whole is not known."""
    progress = Progress()
    with progress.timed():
        sum(range(200_000))
    assert progress.cpu_seconds is not None and progress.cpu_seconds > 0
    old = Progress(seconds=5.0, cpu_seconds=None)
    with old.timed():
        pass
    assert old.cpu_seconds is None and old.seconds > 5
