"""The linear scan against its definition: a float64 loop, one token at a time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dsbench.backbones.kernels.linear_torch import linear_scan_torch


def _loop(decay: Tensor, x: Tensor, state: Tensor, resets: Tensor | None) -> tuple[Tensor, Tensor]:
    h, outputs = state, []
    for t in range(x.shape[1]):
        if resets is not None:
            h = torch.where(resets[:, t : t + 1], 0.0, h)
        h = decay[:, t] * h + x[:, t]
        outputs.append(h)
    return (torch.stack(outputs, 1) if outputs else x), h


def _arguments(rows: int, length: int, width: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    decay = 1 - torch.rand(rows, length, width, generator=generator, dtype=torch.float64) ** 2
    x = torch.randn(rows, length, width, generator=generator, dtype=torch.float64)
    return decay, x, torch.randn(rows, width, generator=generator, dtype=torch.float64)


def _resets(rows: int, length: int, rate: float, seed: int = 0) -> Tensor:
    return torch.rand(rows, length, generator=torch.Generator().manual_seed(seed)) < rate


def _gradients(scan: object, arguments: tuple[Tensor, ...], resets: Tensor | None) -> list[Tensor]:
    parts = [part.clone().requires_grad_() for part in arguments]
    h, last = scan(*parts, resets)  # type: ignore[operator]
    weight = torch.linspace(-1, 2, h.numel(), dtype=h.dtype).view_as(h)
    loss = (h * weight).sum() + (last * last).sum()
    return [h.detach(), last.detach(), *torch.autograd.grad(loss, parts, materialize_grads=True)]


@settings(max_examples=20, deadline=None)
@given(
    rows=st.integers(0, 3),
    length=st.integers(0, 90),
    width=st.integers(1, 3),
    rate=st.sampled_from([None, 0.0, 0.05, 0.5, 1.0]),
    seed=st.integers(0, 99),
)
def test_values_and_gradients_equal_the_loop(rows: int, length: int, width: int, rate: float | None, seed: int) -> None:
    arguments = _arguments(rows, length, width, seed)
    resets = None if rate is None else _resets(rows, length, rate, seed)
    for ours, expected in zip(
        _gradients(linear_scan_torch, arguments, resets), _gradients(_loop, arguments, resets), strict=True
    ):
        scale = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-10 * scale)


@pytest.mark.parametrize("length", [1, 5, 40])
@pytest.mark.parametrize("with_resets", [False, True])
def test_gradcheck(length: int, with_resets: bool) -> None:
    arguments = [part.requires_grad_() for part in _arguments(2, length, 2)]
    resets = _resets(2, length, 0.2) if with_resets else None
    assert torch.autograd.gradcheck(lambda *parts: linear_scan_torch(*parts, resets), arguments)


@pytest.mark.parametrize("length", [1, 16, 17, 300])
def test_float32_stays_near_float64(length: int) -> None:
    single = tuple(part.float() for part in _arguments(3, length, 8))
    resets = _resets(3, length, 0.02)
    for ours, expected in zip(
        _gradients(linear_scan_torch, single, resets),
        _gradients(_loop, tuple(part.double() for part in single), resets),
        strict=True,
    ):
        assert (ours - expected).abs().max() <= 3e-6 * expected.abs().max()


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
@pytest.mark.parametrize("column", [0, 25])
def test_what_lies_before_a_reset_does_not_survive(poison: float, column: int) -> None:
    decay, x, state = _arguments(2, 60, 3)
    resets = torch.zeros(2, 60, dtype=torch.bool)
    resets[:, column] = True
    state[0] = poison
    parts = [part.requires_grad_() for part in (decay, x, state)]
    h, last = linear_scan_torch(*parts, resets)
    expected, _ = _loop(decay[:, column:], x[:, column:], torch.zeros_like(state), None)
    torch.testing.assert_close(h[:, column:], expected, rtol=0, atol=1e-10)
    gradients = torch.autograd.grad(h[:, column:].sum() + last.sum(), parts)
    assert all(gradient[:, column:].isfinite().all() for gradient in gradients[:2])
    assert not gradients[1][:, :column].any() and not gradients[2].any()


def test_a_decay_of_zero_or_above_one_is_nothing_special() -> None:
    decay, x, state = _arguments(1, 70, 2)
    decay[:, ::7], decay[:, 3::11] = 0.0, 1.5
    h, _ = linear_scan_torch(decay, x, state)
    torch.testing.assert_close(h, _loop(decay, x, state, None)[0], rtol=0, atol=1e-10)


def test_inputs_are_left_as_they_were() -> None:
    arguments = _arguments(1, 50, 1)
    copies = [part.clone() for part in arguments]
    linear_scan_torch(*arguments, _resets(1, 50, 0.1))
    for part, copy in zip(arguments, copies, strict=True):
        assert torch.equal(part, copy)
