"""The diagonal scan by every route against its definition: a complex128 loop, one token at a time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dsbench.backbones.kernels.diagonal import DIAGONAL_SCAN
from tests.backbones.kernels.routes import agree, close, few_examples, random_resets, routes, scan_of

FLOAT32_BOUND = 3e-6  # of the largest value, forward and backward
Scan = Callable[..., tuple[Tensor, Tensor]]


@pytest.fixture(params=routes(DIAGONAL_SCAN))
def scan(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Scan:
    return scan_of(DIAGONAL_SCAN, request.param, monkeypatch)


def _loop(z: Tensor, x: Tensor, state: Tensor, resets: Tensor | None = None) -> tuple[Tensor, Tensor]:
    z, x, h = (torch.complex(*part.double().chunk(2, -1)) for part in (z, x, state))
    outputs = []
    for t in range(x.shape[1]):
        if resets is not None:
            h = torch.where(resets[:, t : t + 1], torch.zeros((), dtype=h.dtype), h)
        h = z * h + x[:, t]
        outputs.append(h)
    stacked = torch.stack(outputs, 1) if outputs else x
    return torch.cat([stacked.real, stacked.imag], -1), torch.cat([h.real, h.imag], -1)


def _arguments(rows: int, length: int, modes: int, seed: int = 0) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    size = 1 - torch.rand(modes, generator=generator, dtype=torch.float64) ** 3
    z = torch.polar(size, 6.3 * torch.rand(modes, generator=generator, dtype=torch.float64))
    x = torch.randn(rows, length, 2 * modes, generator=generator, dtype=torch.float64)
    state = torch.randn(rows, 2 * modes, generator=generator, dtype=torch.float64)
    return torch.cat([z.real, z.imag]), x, state


def _resets(rows: int, length: int, rate: float) -> Tensor | None:
    return random_resets(torch.Generator().manual_seed(0), rows, length, rate)


def _reset_at(column: int, rows: int, length: int) -> Tensor:
    return (torch.arange(length) == column).repeat(rows, 1)


@few_examples
@given(
    rows=st.integers(0, 3),
    length=st.integers(0, 90),
    modes=st.sampled_from([1, 2, 7, 8, 9, 16, 31, 32, 33]),
    rate=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    seed=st.integers(0, 99),
)
def test_values_and_gradients_equal_the_loop(
    scan: Scan, rows: int, length: int, modes: int, rate: float, seed: int
) -> None:
    agree(scan, _arguments(rows, length, modes, seed), _loop, _resets(rows, length, rate), 1e-10)


@pytest.mark.parametrize("length", [1, 5, 40])
@pytest.mark.parametrize("rate", [0.0, 0.2])
def test_gradcheck(scan: Scan, length: int, rate: float) -> None:
    arguments = [part.requires_grad_() for part in _arguments(2, length, 2)]
    resets = _resets(2, length, rate)
    assert torch.autograd.gradcheck(lambda *parts: scan(*parts, resets), arguments)


@pytest.mark.parametrize("used", ["states", "last"])
def test_either_result_may_be_left_unused(scan: Scan, used: str) -> None:
    parts = [part.requires_grad_() for part in _arguments(2, 30, 2)]
    ours, expected = (
        torch.autograd.grad(results[used == "last"].sum(), parts) for results in (scan(*parts), _loop(*parts))
    )
    for one, other in zip(ours, expected, strict=True):
        close(one, other, 1e-10)


@pytest.mark.parametrize("length", [1, 16, 17, 300])
def test_float32_stays_near_float64(scan: Scan, length: int) -> None:
    single = tuple(part.float() for part in _arguments(3, length, 37))
    agree(scan, single, _loop, _resets(3, length, 0.02), FLOAT32_BOUND)


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
@pytest.mark.parametrize("where", ["state", "input"])
def test_what_lies_before_a_reset_does_not_survive(scan: Scan, poison: float, where: str) -> None:
    z, x, state = _arguments(2, 60, 3)
    (state if where == "state" else x[:, 11])[0] = poison
    parts = [part.requires_grad_() for part in (z, x, state)]
    h, last = scan(*parts, _reset_at(25, 2, 60))
    close(h[:, 25:], _loop(z, x[:, 25:], torch.zeros_like(state))[0], 1e-10)
    gradients = torch.autograd.grad(h[:, 25:].sum() + last.sum(), parts)
    assert all(gradient.isfinite().all() for gradient in gradients[1:])
    assert not gradients[1][:, :25].any() and not gradients[2].any()


def test_a_poisoned_state_that_is_reset_at_once_leaves_the_decay_gradient_clean(scan: Scan) -> None:
    z, x, state = _arguments(2, 40, 3)
    z.requires_grad_()
    h, _ = scan(z, x, torch.full_like(state, torch.nan), _reset_at(0, 2, 40))
    (gradient,) = torch.autograd.grad(h.sum(), z)
    assert gradient.isfinite().all()


def test_strong_decay_and_denormals_stay_finite(scan: Scan) -> None:
    z = torch.tensor([1e-30, 1e-3, 0.0, 0.0])
    x = torch.full((2, 200, 4), 1e-40)
    parts = [part.requires_grad_() for part in (z, x, torch.full((2, 4), 1e30))]
    h, _ = scan(*parts)
    gradients = torch.autograd.grad(h.sum(), parts)
    assert h.isfinite().all() and all(gradient.isfinite().all() for gradient in gradients)


def test_inputs_are_left_as_they_were(scan: Scan) -> None:
    arguments = _arguments(1, 50, 1)
    copies = [part.clone() for part in arguments]
    scan(*arguments, _resets(1, 50, 0.1))
    for part, copy in zip(arguments, copies, strict=True):
        assert torch.equal(part, copy)
