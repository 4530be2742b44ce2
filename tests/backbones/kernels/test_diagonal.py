"""The diagonal scan against its definition: a complex128 loop, one token at a time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dsbench.backbones.kernels.diagonal_torch import diagonal_scan_torch


def _loop(z: Tensor, x: Tensor, state: Tensor, resets: Tensor | None) -> tuple[Tensor, Tensor]:
    z, x, h = (torch.complex(*part.double().chunk(2, -1)) for part in (z, x, state))
    outputs = []
    for t in range(x.shape[1]):
        if resets is not None:
            h = torch.where(resets[:, t : t + 1], torch.zeros((), dtype=h.dtype), h)
        h = z * h + x[:, t]
        outputs.append(h)
    stacked = torch.stack(outputs, 1) if outputs else x
    return torch.cat([stacked.real, stacked.imag], -1), torch.cat([h.real, h.imag], -1)


def _arguments(
    rows: int, length: int, modes: int, seed: int = 0, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    size = 1 - torch.rand(modes, generator=generator, dtype=torch.float64) ** 3
    z = torch.polar(size, 6.3 * torch.rand(modes, generator=generator, dtype=torch.float64))
    x = torch.randn(rows, length, 2 * modes, generator=generator, dtype=torch.float64)
    state = torch.randn(rows, 2 * modes, generator=generator, dtype=torch.float64)
    return tuple(part.to(dtype) for part in (torch.cat([z.real, z.imag]), x, state))


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
    modes=st.integers(1, 3),
    rate=st.sampled_from([None, 0.0, 0.05, 0.5, 1.0]),
    seed=st.integers(0, 99),
)
def test_values_and_gradients_equal_the_loop(rows: int, length: int, modes: int, rate: float | None, seed: int) -> None:
    arguments = _arguments(rows, length, modes, seed)
    resets = None if rate is None else _resets(rows, length, rate, seed)
    for ours, expected in zip(
        _gradients(diagonal_scan_torch, arguments, resets), _gradients(_loop, arguments, resets), strict=True
    ):
        scale = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-10 * scale)


@pytest.mark.parametrize("length", [1, 5, 40])
@pytest.mark.parametrize("with_resets", [False, True])
def test_gradcheck(length: int, with_resets: bool) -> None:
    arguments = [part.requires_grad_() for part in _arguments(2, length, 2)]
    resets = _resets(2, length, 0.2) if with_resets else None
    assert torch.autograd.gradcheck(lambda *parts: diagonal_scan_torch(*parts, resets), arguments)


@pytest.mark.parametrize("used", ["states", "last"])
def test_either_result_may_be_left_unused(used: str) -> None:
    z, x, state = (part.requires_grad_() for part in _arguments(2, 30, 2))
    h, last = diagonal_scan_torch(z, x, state)
    ours = torch.autograd.grad((h if used == "states" else last).sum(), (z, x, state))
    h, last = _loop(z, x, state, None)
    expected = torch.autograd.grad((h if used == "states" else last).sum(), (z, x, state))
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


@pytest.mark.parametrize("length", [1, 16, 17, 300])
def test_float32_stays_near_float64(length: int) -> None:
    exact = _arguments(3, length, 8)
    single = tuple(part.float() for part in exact)
    resets = _resets(3, length, 0.02)
    for ours, expected in zip(
        _gradients(diagonal_scan_torch, single, resets),
        _gradients(_loop, tuple(part.double() for part in single), resets),
        strict=True,
    ):
        assert (ours - expected).abs().max() <= 3e-6 * expected.abs().max()


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
@pytest.mark.parametrize("where", ["state", "input"])
def test_what_lies_before_a_reset_does_not_survive(poison: float, where: str) -> None:
    z, x, state = _arguments(2, 60, 3)
    resets = torch.zeros(2, 60, dtype=torch.bool)
    resets[:, 25] = True
    (state if where == "state" else x[:, 11])[0] = poison
    z, x, state = (part.requires_grad_() for part in (z, x, state))
    h, last = diagonal_scan_torch(z, x, state, resets)
    expected, _ = _loop(z, x[:, 25:], torch.zeros_like(state), None)
    torch.testing.assert_close(h[:, 25:], expected, rtol=0, atol=1e-10)
    gradients = torch.autograd.grad(h[:, 25:].sum() + last.sum(), (z, x, state))
    assert all(gradient.isfinite().all() for gradient in gradients[1:])
    assert not gradients[1][:, :25].any() and not gradients[2].any()


def test_a_poisoned_state_that_is_reset_at_once_leaves_the_decay_gradient_clean() -> None:
    z, x, state = _arguments(2, 40, 3)
    state[0] = float("nan")
    resets = torch.zeros(2, 40, dtype=torch.bool)
    resets[0, 0] = True
    z.requires_grad_()
    h, _ = diagonal_scan_torch(z, x, state, resets)
    (gradient,) = torch.autograd.grad(h.sum(), z)
    assert gradient.isfinite().all()


def test_strong_decay_and_denormals_stay_finite() -> None:
    z = torch.tensor([1e-30, 1e-3, 0.0, 0.0])
    x = torch.full((2, 200, 4), 1e-40)
    parts = [part.requires_grad_() for part in (z, x, torch.full((2, 4), 1e30))]
    h, _ = diagonal_scan_torch(*parts)
    gradients = torch.autograd.grad(h.sum(), parts)
    assert h.isfinite().all() and all(gradient.isfinite().all() for gradient in gradients)


def test_inputs_are_left_as_they_were() -> None:
    z, x, state = _arguments(1, 50, 1)
    copies = [part.clone() for part in (z, x, state)]
    diagonal_scan_torch(z, x, state, _resets(1, 50, 0.1))
    for part, copy in zip((z, x, state), copies, strict=True):
        assert torch.equal(part, copy)
