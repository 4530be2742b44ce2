"""Bytes and operations of a cell against sums done by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dsbench.decision import DecisionSequence
from dsbench.measuring.limits import Traffic, count_flops, decision_traffic, ratio, read_bytes, update_traffic
from dsbench.measuring.peaks import Limit, Peaks

MakePolicy = Callable[..., DecisionSequence]


def test_a_product_is_two_operations_an_entry() -> None:
    layer, x = nn.Linear(30, 20, bias=False), torch.randn(10, 30, requires_grad=True)
    assert count_flops(lambda: layer(x)) == 2 * 10 * 30 * 20
    assert count_flops(lambda: layer(x).sum().backward()) == 3 * 2 * 10 * 30 * 20


@pytest.mark.parametrize("length", [1, 7, 64])
def test_causal_attention_counts_the_pairs_that_see_each_other(length: int) -> None:
    q = torch.randn(2, 3, length, 8)
    pairs = length * (length + 1) // 2
    found = count_flops(lambda: F.scaled_dot_product_attention(q, q, q, is_causal=True))
    assert found == 2 * 3 * pairs * 2 * 2 * 8  # rows, heads, two products


def test_of_a_table_only_the_rows_that_are_looked_up_are_read() -> None:
    model = nn.Sequential(nn.Embedding(1000, 4), nn.Linear(4, 2))
    assert read_bytes(model, 3) == 4 * (3 * 4 + 4 * 2 + 2)


def test_a_state_is_read_and_written_and_a_cache_read(make_policy: MakePolicy) -> None:
    for name, passes in (("lstm", 2), ("gpt", 1)):
        model = make_policy(name)
        state = sum(leaf.numel() * leaf.element_size() for leaf in _leaves(model.backbone.initial_state(5)))
        read, trained = read_bytes(model, 5), 4 * sum(p.numel() for p in model.parameters())
        assert decision_traffic(model, 5) == Traffic(read + passes * state, read + state)
        assert decision_traffic(model, 5, stateful=False) == Traffic(read, read)
        assert update_traffic(model) == Traffic(10 * trained, 4 * trained)


def test_a_distance_is_measured_over_least_time() -> None:
    peaks = Peaks(memory_bytes_per_second=1e9, cache_bytes_per_second=1e10, cache_bytes=1000, flop_per_second=1e12)
    # 0.1 us of bytes in the cache, 9 us of bytes in memory, 1 us of operations
    assert ratio(27.3, peaks.limit(10_000, 1e6)) == pytest.approx(3.0)
    assert ratio(None, Limit(1.0, "memory")) is None
    assert ratio(float("nan"), Limit(1.0, "memory")) is None
    assert ratio(1.0, Limit(0.0, "memory")) is None


def _leaves(state: object) -> list[torch.Tensor]:
    if isinstance(state, torch.Tensor):
        return [state]
    parts = state.values() if isinstance(state, dict) else state
    return [leaf for part in parts for leaf in _leaves(part)]  # type: ignore[attr-defined]
