"""The short convolution against torch's grouped one, and its resets against episodes run alone."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from dsbench.backbones.short_convolution import short_convolution, short_convolution_step


def inputs(rows: int, length: int, taps: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    return normal(rows, length, 5), normal(taps, 5), normal(5), normal(rows, taps - 1, 5)


@settings(max_examples=15, deadline=None)
@given(length=st.integers(0, 9), taps=st.integers(1, 5), seed=st.integers(0, 99))
def test_it_is_torchs_grouped_convolution_of_state_and_input(length: int, taps: int, seed: int) -> None:
    u, weight, bias, state = inputs(2, length, taps, seed)
    y, after = short_convolution(u, weight, bias, state)
    joined = torch.cat([state, u], 1)
    if length:
        expected = F.conv1d(joined.mT, weight.T.unsqueeze(1), bias, groups=5).mT
        assert torch.allclose(y, expected, rtol=0, atol=1e-12)
    assert y.shape == u.shape
    assert torch.equal(after, joined[:, length:])


@settings(max_examples=15, deadline=None)
@given(length=st.integers(0, 9), taps=st.integers(1, 5), seed=st.integers(0, 99))
def test_steps_with_a_zeroed_state_at_resets_equal_the_row(length: int, taps: int, seed: int) -> None:
    u, weight, bias, state = inputs(3, length, taps, seed)
    resets = torch.rand(3, length, generator=torch.Generator().manual_seed(seed)) < 0.3
    y, after = short_convolution(u, weight, bias, state, resets)
    for t in range(length):
        state = torch.where(resets[:, t].view(-1, 1, 1), 0.0, state)
        y_t, state = short_convolution_step(u[:, t], weight, bias, state)
        assert torch.allclose(y[:, t], y_t, rtol=0, atol=1e-12)
    assert torch.equal(after, state)


def test_a_nan_before_a_reset_is_forgotten_in_values_and_gradients() -> None:
    u, weight, bias, state = inputs(1, 5, 4)
    u[:, 1], state = math.nan, torch.full_like(state, math.nan)
    u.requires_grad_()
    y, after = short_convolution(u, weight, bias, state, torch.tensor([[False, False, True, False, False]]))
    assert y[:, :2].isnan().all()
    assert y[:, 2:].isfinite().all()
    assert after.isfinite().all()
    (gradient,) = torch.autograd.grad(y[:, 2:].square().sum() + after.square().sum(), u)
    assert torch.equal(gradient[:, :2], torch.zeros_like(gradient[:, :2]))
    assert gradient.isfinite().all()


def test_results_take_the_states_precision() -> None:
    u, weight, bias, state = (x.float() for x in inputs(2, 4, 4))
    y, after = short_convolution(u.bfloat16(), weight, bias, state)
    y_t, after_t = short_convolution_step(u[:, 0].bfloat16(), weight, bias, state)
    assert {y.dtype, after.dtype, y_t.dtype, after_t.dtype} == {torch.float32}
