"""What a decision costs: counts and bytes against their definitions, percentiles in order."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from dsbench.decision import DecisionSequence
from dsbench.measuring.decision import (
    count_parameters,
    decision_latency,
    peak_device_bytes,
    peak_rss_bytes,
    state_bytes,
)

MakePolicy = Callable[..., DecisionSequence]


def test_parameter_counts_are_those_of_the_shapes(make_policy: MakePolicy) -> None:
    d = 8
    model = make_policy("lstm", d_model=d)
    layer = 4 * (2 * d * d + 2 * d)  # W, U and torch's two biases for four gates
    block = layer + 2 * d + (2 * d * d + 2 * d) + (2 * d * d + d)  # two norms, GELU MLP of ratio 2
    backbone = 2 * block + d
    wrapper = (
        (3 * d + d) + 2 * d + (2 * d + d) + (2 * d + 2)
    )  # observation, action table, return (fine and coarse), head
    counts = count_parameters(model)
    assert (counts.backbone, counts.total, counts.trainable) == (backbone, backbone + wrapper, backbone + wrapper)
    assert (counts.embedding, counts.head) == (wrapper - 2 * d - 2, 2 * d + 2)
    model.head.weight.requires_grad_(False)
    assert count_parameters(model).trainable == backbone + wrapper - 2 * d


def test_state_bytes_of_an_lstm_are_two_vectors_a_layer(make_policy: MakePolicy) -> None:
    assert state_bytes(make_policy("lstm", d_model=8)) == 2 * 2 * 8 * 4  # layers, (h, c), width, float32
    assert state_bytes(make_policy("mlp")) == 0


@pytest.mark.parametrize(("acting", "window"), [("stateful", None), ("windowed", 3)])
def test_latency_percentiles_are_ordered_and_every_decision_is_told(
    make_policy: MakePolicy, acting: str, window: int | None
) -> None:
    done = 0

    def on_step() -> None:
        nonlocal done
        done += 1

    latency = decision_latency(
        make_policy("lstm"), torch.zeros(1, 3), horizon=4, warmup=3, steps=12, acting=acting, window=window,  # type: ignore[arg-type]
        on_step=on_step,
    )  # fmt: skip
    assert 0 < latency.p50_us <= latency.p90_us <= latency.p99_us
    assert latency.low_us <= latency.p50_us <= latency.high_us
    assert latency.steps == 20  # whole blocks
    assert done >= 3 + 20
    assert latency.contended is not None and 0 <= latency.contended <= 1


def test_what_goes_wrong_in_a_decision_ends_the_measurement(
    make_policy: MakePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = make_policy("lstm")

    def broken(*_: object) -> None:
        raise ZeroDivisionError("of the head")

    monkeypatch.setattr(policy.head, "forward", broken)
    with pytest.raises(ZeroDivisionError, match="of the head"):
        decision_latency(policy, torch.zeros(1, 3), horizon=4, warmup=3, steps=12)


def test_with_several_threads_nobody_can_tell_who_had_the_core(make_policy: MakePolicy) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        latency = decision_latency(make_policy("lstm"), torch.zeros(1, 3), horizon=4, warmup=3, steps=12)
    finally:
        torch.set_num_threads(threads)
    assert latency.contended is None


def test_the_process_knows_its_peak_memory() -> None:
    peak = peak_rss_bytes()
    assert 2**25 < peak < 2**38  # torch alone is tens of megabytes
    kept = torch.ones(2**24)  # 64 MiB, touched
    assert peak_rss_bytes() >= peak
    assert kept[0] == 1
    assert peak_device_bytes(torch.device("cpu")) is None
