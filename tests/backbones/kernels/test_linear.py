"""The linear scan by every route against its definition: a float64 loop, one token at a time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dsbench.backbones.kernels.linear import LINEAR_SCAN
from tests.backbones.kernels.routes import agree, close, few_examples, random_resets, routes, scan_of

FLOAT32_BOUND = 3e-6  # of the largest value, forward and backward
Scan = Callable[..., tuple[Tensor, Tensor]]


@pytest.fixture(params=routes(LINEAR_SCAN))
def scan(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Scan:
    return scan_of(LINEAR_SCAN, request.param, monkeypatch)


def _loop(decay: Tensor, x: Tensor, state: Tensor, resets: Tensor | None = None) -> tuple[Tensor, Tensor]:
    h, outputs = state, []
    for t in range(x.shape[1]):
        if resets is not None:
            h = torch.where(resets[:, t : t + 1], 0.0, h)
        h = decay[:, t] * h + x[:, t]
        outputs.append(h)
    return (torch.stack(outputs, 1) if outputs else x), h


def _arguments(rows: int, length: int, width: int, seed: int = 0) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    decay = 1 - torch.rand(rows, length, width, generator=generator, dtype=torch.float64) ** 2
    x = torch.randn(rows, length, width, generator=generator, dtype=torch.float64)
    return decay, x, torch.randn(rows, width, generator=generator, dtype=torch.float64)


def _resets(rows: int, length: int, rate: float) -> Tensor | None:
    return random_resets(torch.Generator().manual_seed(0), rows, length, rate)


@few_examples
@given(
    rows=st.integers(0, 3),
    length=st.integers(0, 90),
    width=st.sampled_from([1, 2, 7, 8, 9, 16, 31, 32, 33]),
    rate=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    seed=st.integers(0, 99),
)
def test_values_and_gradients_equal_the_loop(
    scan: Scan, rows: int, length: int, width: int, rate: float, seed: int
) -> None:
    agree(scan, _arguments(rows, length, width, seed), _loop, _resets(rows, length, rate), 1e-10)


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
@pytest.mark.parametrize("column", [0, 25])
def test_what_lies_before_a_reset_does_not_survive(scan: Scan, poison: float, column: int) -> None:
    decay, x, state = _arguments(2, 60, 3)
    state[0] = poison
    parts = [part.requires_grad_() for part in (decay, x, state)]
    h, last = scan(*parts, (torch.arange(60) == column).repeat(2, 1))
    close(h[:, column:], _loop(decay[:, column:], x[:, column:], torch.zeros_like(state))[0], 1e-10)
    gradients = torch.autograd.grad(h[:, column:].sum() + last.sum(), parts)
    assert all(gradient[:, column:].isfinite().all() for gradient in gradients[:2])
    assert not gradients[1][:, :column].any() and not gradients[2].any()


def test_a_decay_of_zero_or_above_one_is_nothing_special(scan: Scan) -> None:
    decay, x, state = _arguments(1, 70, 2)
    decay[:, ::7], decay[:, 3::11] = 0.0, 1.5
    agree(scan, (decay, x, state), _loop, None, 1e-10)


def test_denormals_and_decays_that_underflow_give_what_the_loop_gives(scan: Scan) -> None:
    """To a few of the smallest normal numbers."""
    decay, x, state = (part.float() for part in _arguments(2, 90, 17))
    single = (decay * 1e-30, x * 1e-39, state * 1e-12)
    for actual, expected in zip(scan(*single), _loop(*(part.double() for part in single)), strict=True):
        assert ((actual.double() - expected).abs() <= 2e-6 * expected.abs().max() + 1.2e-38).all()


def test_inputs_are_left_as_they_were(scan: Scan) -> None:
    arguments = _arguments(1, 50, 1)
    copies = [part.clone() for part in arguments]
    scan(*arguments, _resets(1, 50, 0.1))
    for part, copy in zip(arguments, copies, strict=True):
        assert torch.equal(part, copy)
