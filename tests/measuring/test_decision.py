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
    wrapper = (3 * d + d) + 2 * d + (d + d) + (2 * d + 2)  # observation, action table, return, head
    counts = count_parameters(model)
    assert (counts.backbone, counts.total, counts.trainable) == (backbone, backbone + wrapper, backbone + wrapper)
    assert (counts.embedding, counts.head) == (wrapper - 2 * d - 2, 2 * d + 2)
    model.head.weight.requires_grad_(False)
    assert count_parameters(model).trainable == backbone + wrapper - 2 * d


def test_state_bytes_of_an_lstm_are_two_vectors_a_layer(make_policy: MakePolicy) -> None:
    assert state_bytes(make_policy("lstm", d_model=8)) == 2 * 2 * 8 * 4  # layers, (h, c), width, float32
    assert state_bytes(make_policy("mlp")) == 0


@pytest.mark.parametrize(("acting", "window"), [("stateful", None), ("windowed", 3)])
def test_latency_percentiles_are_ordered_and_only_timed_steps_count(
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
    assert latency.steps == 12
    assert done == 15


def test_the_process_knows_its_peak_memory() -> None:
    peak = peak_rss_bytes()
    assert 2**25 < peak < 2**38  # torch alone is tens of megabytes
    kept = torch.ones(2**24)  # 64 MiB, touched
    assert peak_rss_bytes() >= peak
    assert kept[0] == 1
    assert peak_device_bytes(torch.device("cpu")) is None
