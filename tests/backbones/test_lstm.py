"""LSTM against ``torch.nn.LSTM``, in one call, in steps and in rows that hold several episodes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dsbench.backbones import build
from dsbench.backbones.lstm import LSTMMixer


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_paper_stack_is_torchs_multi_layer_lstm() -> None:
    ours = build("lstm", 8, n_layers=3, block="paper").double()
    theirs = nn.LSTM(8, 8, num_layers=3, batch_first=True).double()
    with torch.no_grad():
        for i, layer in enumerate(ours.layers):
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(theirs, f"{name}_l{i}").copy_(getattr(layer.lstm, f"{name}_l0"))
    x = randn(2, 11, 8)
    y, state = ours(x)
    expected, (h, c) = theirs(x)
    assert torch.allclose(y, expected, rtol=0, atol=1e-12)
    assert torch.allclose(torch.stack([layer["c"] for layer in state]), c, rtol=0, atol=1e-12)
    assert torch.allclose(torch.stack([layer["h"] for layer in state]), h, rtol=0, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(
    rows=st.integers(1, 4), length=st.integers(1, 20), share=st.sampled_from([0.05, 0.3, 0.9]), seed=st.integers(0, 99)
)
def test_packed_rows_equal_steps_with_resets(rows: int, length: int, share: float, seed: int) -> None:
    mixer = LSTMMixer(4).double()
    x = randn(rows, length, 4, seed=seed)
    resets = torch.rand(rows, length, generator=torch.Generator().manual_seed(seed)) < share
    y, after = mixer(x, None, resets)
    state = mixer.initial_state(rows)
    for t in range(length):
        state = mixer.reset(state, resets[:, t])
        y_t, state = mixer.step(x[:, t], state)
        assert torch.allclose(y_t, y[:, t], rtol=0, atol=1e-12)
    assert torch.allclose(after["c"], state["c"], rtol=0, atol=1e-12)
    assert torch.allclose(after["h"], state["h"], rtol=0, atol=1e-12)


def test_the_forget_gate_begins_open() -> None:
    lstm = LSTMMixer(4).lstm
    assert (lstm.bias_ih_l0 + lstm.bias_hh_l0)[4:8].tolist() == [1.0] * 4


def test_under_autocast_the_state_stays_in_float32() -> None:
    backbone = build("lstm", 8)
    with torch.autocast("cpu", torch.bfloat16):
        _, state = backbone(torch.randn(2, 5, 8))
        _, state = backbone.step(torch.randn(2, 8), state)
    assert {leaf.dtype for layer in state for leaf in layer.values()} == {torch.float32}


@pytest.mark.parametrize("name", ["lstm", "mlp"])
def test_live_parameters_have_a_closed_form(name: str) -> None:
    d, layers = 64, 2
    mlp = 2 * d * 2 * d + 2 * d + d
    mixer = {"lstm": 8 * d * d + 8 * d, "mlp": mlp}[name]
    assert sum(p.numel() for p in build(name, d).parameters()) == layers * (mixer + mlp + 2 * d) + d
