"""LSTM, GRU and RNN against torch.nn, in one call, in steps and in rows that hold several episodes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from dsbench.backbones import build
from dsbench.backbones.gru import GRUMixer
from dsbench.backbones.lstm import LSTMMixer
from dsbench.backbones.recurrent import FEW_CUTS, RecurrentMixer
from dsbench.backbones.rnn import RNNMixer
from dsbench.backbones.state import leaves

NETWORKS: dict[str, Any] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
CELLS: dict[str, Any] = {"lstm": nn.LSTMCell, "gru": nn.GRUCell, "rnn": nn.RNNCell}
MIXERS: dict[str, type[RecurrentMixer]] = {"lstm": LSTMMixer, "gru": GRUMixer, "rnn": RNNMixer}
WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
each_network = pytest.mark.parametrize("name", list(NETWORKS))


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@each_network
def test_the_paper_stack_is_torchs_multi_layer_network(name: str) -> None:
    ours = build(name, 8, n_layers=3, block="paper").double()
    theirs = NETWORKS[name](8, 8, num_layers=3, batch_first=True).double()
    with torch.no_grad():
        for i, layer in enumerate(ours.layers):
            for weight in WEIGHTS:
                getattr(theirs, f"{weight}_l{i}").copy_(getattr(layer.layer, f"{weight}_l0"))
    x = randn(2, 11, 8)
    y, state = ours(x)
    expected, last = theirs(x)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
    for part, of_torch in zip(MIXERS[name].parts, last if name == "lstm" else (last,), strict=True):
        torch.testing.assert_close(torch.stack([layer[part] for layer in state]), of_torch, rtol=0, atol=1e-12)


@each_network
def test_a_step_is_torchs_cell(name: str) -> None:
    mixer, cell = MIXERS[name](8).double(), CELLS[name](8, 8).double()
    with torch.no_grad():
        for weight in WEIGHTS:
            getattr(cell, weight).copy_(getattr(mixer.layer, f"{weight}_l0"))
    parts = [randn(3, 8, seed=i + 1) for i in range(len(mixer.parts))]
    x_t = randn(3, 8)
    y_t, after = mixer.step(x_t, dict(zip(mixer.parts, parts, strict=True)))
    expected = cell(x_t, tuple(parts)) if name == "lstm" else (cell(x_t, parts[0]),)
    torch.testing.assert_close(y_t, expected[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(tuple(leaves(after)), tuple(expected), rtol=0, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(
    name=st.sampled_from(list(NETWORKS)),
    rows=st.integers(1, 4),
    length=st.integers(1, 20),
    share=st.sampled_from([0.05, 0.3, 0.9]),
    passed_in=st.booleans(),
    seed=st.integers(0, 99),
)
def test_packed_rows_equal_steps_with_resets(
    name: str, rows: int, length: int, share: float, passed_in: bool, seed: int
) -> None:
    mixer = MIXERS[name](4).double()
    x = randn(rows, length, 4, seed=seed)
    resets = torch.rand(rows, length, generator=torch.Generator().manual_seed(seed)) < share
    state = {part: randn(rows, 4, seed=i) if passed_in else torch.zeros(rows, 4).double()
             for i, part in enumerate(mixer.parts)}  # fmt: skip
    y, after = mixer(x, state if passed_in else None, resets)
    for t in range(length):
        state = mixer.reset(state, resets[:, t])
        y_t, state = mixer.step(x[:, t], state)
        torch.testing.assert_close(y_t, y[:, t], rtol=0, atol=1e-12)
    torch.testing.assert_close(after, state, rtol=0, atol=1e-12)


@each_network
def test_many_short_episodes_cost_few_calls_of_the_network(name: str) -> None:
    mixer = MIXERS[name](4)
    resets = torch.arange(64).remainder(8).eq(torch.arange(4).unsqueeze(1))  # every column a cut, every eighth a row's
    assert int(resets.any(0).sum()) > FEW_CUTS
    calls: list[int] = []
    mixer.layer.register_forward_hook(lambda *_: calls.append(1))
    mixer(torch.randn(4, 64, 4), None, resets)
    assert len(calls) < 16


def test_the_forget_gate_begins_open() -> None:
    lstm = LSTMMixer(4).lstm
    assert (lstm.bias_ih_l0 + lstm.bias_hh_l0)[4:8].tolist() == [1.0] * 4


@each_network
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_under_autocast_the_state_stays_in_float32(name: str, dtype: torch.dtype) -> None:
    mixer = MIXERS[name](8)
    with torch.autocast("cpu", torch.bfloat16):
        _, state = mixer(torch.randn(2, 5, 8, dtype=dtype))
        _, state = mixer.step(torch.randn(2, 8, dtype=dtype), state)
    assert {leaf.dtype for leaf in leaves(state)} == {torch.float32}


@each_network
def test_live_parameters_have_a_closed_form(name: str) -> None:
    d, layers, gates = 64, 2, {"lstm": 4, "gru": 3, "rnn": 1}[name]
    mlp = 2 * d * 2 * d + 2 * d + d
    mixer = gates * (2 * d * d + 2 * d)
    assert sum(p.numel() for p in build(name, d).parameters()) == layers * (mixer + mlp + 2 * d) + d


@pytest.mark.filterwarnings("ignore:TF32 acceleration")  # from torch's own switch of oneDNN
@each_network
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("enabled", [True, False])
def test_the_kernel_named_is_the_one_that_torchs_profiler_sees(
    name: str, dtype: torch.dtype, grad: bool, enabled: bool
) -> None:
    backbone = build(name, 8).to(dtype)
    x = torch.randn(2, 9, 8, dtype=dtype)
    with torch.backends.mkldnn.flags(enabled=enabled), torch.set_grad_enabled(grad):
        kernel = backbone.kernel()
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            y, _ = backbone(x)
            if grad:
                y.sum().backward()
    seen = {event.key for event in profiled.key_averages()}
    assert {"onednn": True, "torch": False}[kernel.name] == ("aten::mkldnn_rnn_layer" in seen)
    assert ("aten::mkldnn_rnn_layer_backward" in seen) == (grad and kernel.name == "onednn")


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")
def test_only_lstm_in_float32_is_onednns() -> None:
    assert build("lstm", 8).kernel().name == "onednn"
    assert "float64" in build("lstm", 8).double().kernel().reason
    assert "torch.nn.GRU" in build("gru", 8).kernel().reason
    assert "torch.nn.RNN" in build("rnn", 8).kernel().reason
