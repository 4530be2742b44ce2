"""Mamba against the paper's recurrence in float64 and against transformers with the same weights."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from dsbench.backbones import build
from dsbench.backbones.selective_scan import CHUNK, selective_scan, selective_step
from dsbench.errors import UsageError


def sequential_scan(u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """Algorithm 2 of the paper, one scalar recurrence at a time, in the order in which it is printed."""
    outputs = torch.zeros_like(u)
    for row in range(u.shape[0]):
        for e in range(u.shape[2]):
            for n in range(a.shape[1]):
                value = h[row, e, n]
                for t in range(u.shape[1]):
                    step = delta[row, t, e]
                    value = torch.exp(step * a[e, n]) * value + step * b[row, t, n] * u[row, t, e]
                    outputs[row, t, e] += c[row, t, n] * value
                h[row, e, n] = value
    return outputs, h


def scan_inputs(rows: int, length: int, seed: int = 0, dt_max: float = 0.1) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    e, n = 3, 4
    delta = torch.rand(rows, length, e, generator=generator, dtype=torch.float64) * dt_max
    a = -torch.arange(1, n + 1, dtype=torch.float64).repeat(e, 1)
    return normal(rows, length, e), delta, a, normal(rows, length, n), normal(rows, length, n), normal(rows, e, n)


@settings(max_examples=15, deadline=None)
@given(
    rows=st.integers(1, 3), length=st.integers(1, 9), dt_max=st.sampled_from([1e-8, 0.1, 5.0]), seed=st.integers(0, 99)
)
def test_the_scan_is_the_papers_recurrence(rows: int, length: int, dt_max: float, seed: int) -> None:
    inputs = scan_inputs(rows, length, seed, dt_max)
    y, state = selective_scan(*inputs)
    expected, expected_state = sequential_scan(*(x.clone() for x in inputs))
    assert torch.allclose(y, expected, rtol=0, atol=1e-10 * max(1.0, expected.abs().max().item()))
    assert torch.allclose(state, expected_state, rtol=0, atol=1e-10)


def test_long_rows_in_chunks_equal_steps_and_their_gradients_equal_autograd_in_one_pass(monkeypatch) -> None:
    inputs = [x.requires_grad_() for x in scan_inputs(2, 3 * CHUNK + 5)]
    y, _ = selective_scan(*inputs)
    chunked = torch.autograd.grad(y.square().sum(), inputs)
    monkeypatch.setattr("dsbench.backbones.selective_scan.CHUNK", 10**6)
    whole, _ = selective_scan(*inputs)
    assert torch.allclose(y, whole, rtol=0, atol=1e-12)
    for got, expected in zip(chunked, torch.autograd.grad(whole.square().sum(), inputs), strict=True):
        assert torch.allclose(got, expected, rtol=1e-10, atol=1e-10)
    state = inputs[-1]
    for t in range(7):
        y_t, state = selective_step(*(x[:, t] for x in inputs[:2]), inputs[2], *(x[:, t] for x in inputs[3:5]), state)
        assert torch.allclose(y_t, y[:, t], rtol=0, atol=1e-12)


def test_gradients_of_the_scan_with_resets_pass_gradcheck() -> None:
    inputs = [x.requires_grad_() for x in scan_inputs(2, 5)]
    resets = torch.tensor([[False, True, False, False, True], [True, False, False, True, False]])
    assert torch.autograd.gradcheck(lambda *x: selective_scan(*x, resets), inputs)


def test_a_nan_before_a_reset_is_forgotten() -> None:
    *inputs, state = scan_inputs(1, 4)
    state = torch.full_like(state, math.nan)
    resets = torch.tensor([[False, False, True, False]])
    y, after = selective_scan(*inputs, state, resets)
    assert y[:, :2].isnan().all()
    assert y[:, 2:].isfinite().all()
    assert after.isfinite().all()


def test_the_mixer_equals_transformers_with_the_same_weights() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.MambaConfig(
        vocab_size=8, hidden_size=32, state_size=16, num_hidden_layers=1, expand=2, conv_kernel=4, use_bias=False,
        time_step_rank=2, layer_norm_epsilon=1e-5, residual_in_fp32=False,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = transformers.MambaModel(config).eval()
        ours = build("mamba", 32, n_layers=1, block="paper", dt_rank=2).eval()
        x = torch.randn(2, 21, 32)
    copy_weights(ours, theirs)
    with torch.no_grad():
        expected = theirs(inputs_embeds=x, use_cache=False).last_hidden_state
        y, _ = ours(x)
    assert (y - expected).abs().max() <= 1e-5 * expected.abs().max()


def copy_weights(ours: torch.nn.Module, theirs: torch.nn.Module) -> None:
    mixer, source = ours.layers[0].mixer, theirs.layers[0].mixer
    with torch.no_grad():
        for target, value in [
            (mixer.in_proj.weight, source.in_proj.weight),
            (mixer.conv_weight, source.conv1d.weight.squeeze(1).T),
            (mixer.conv_bias, source.conv1d.bias),
            (mixer.x_proj.weight, source.x_proj.weight),
            (mixer.dt_weight, source.dt_proj.weight),
            (mixer.dt_bias, source.dt_proj.bias),
            (mixer.a_log, source.A_log),
            (mixer.d, source.D),
            (mixer.out_proj.weight, source.out_proj.weight),
            (ours.layers[0].norm.weight, theirs.layers[0].norm.weight),
            (ours.norm.weight, theirs.norm_f.weight),
        ]:
            target.copy_(value)


def test_step_sizes_start_in_their_range_and_a_is_1_to_n_after_all_initialisation() -> None:
    mixer = build("mamba", 64, dt_min=1e-3, dt_max=0.1).layers[0].mixer
    dt = F.softplus(mixer.dt_bias)
    assert dt.min() >= 1e-3 * 0.999
    assert dt.max() <= 0.1 * 1.001
    assert torch.allclose(mixer.a_log.exp(), torch.arange(1.0, 17.0).expand(128, 16))


def test_live_parameters_have_a_closed_form() -> None:
    d, n, k, layers = 64, 16, 4, 2
    e, r = 2 * d, math.ceil(d / 16)
    mixer = d * 2 * e + k * e + e + e * (r + 2 * n) + r * e + e + e * n + e + e * d
    mlp = 2 * d * 2 * d + 2 * d + d
    assert sum(p.numel() for p in build("mamba", d).parameters()) == layers * (mixer + mlp + 2 * d) + d


def test_under_autocast_the_state_stays_in_float32() -> None:
    backbone = build("mamba", 8)
    with torch.autocast("cpu", torch.bfloat16):
        y, state = backbone(torch.randn(2, 5, 8))
    assert y.isfinite().all()
    assert {leaf.dtype for layer in state for leaf in layer.values()} == {torch.float32}


@pytest.mark.parametrize(("option", "value"), [("d_state", 0), ("d_conv", -1), ("expand", 1.5), ("dt_min", 0.0)])
def test_a_bad_option_is_named_with_its_value(option: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"{option} is {value}"):
        build("mamba", 8, **{option: value})
