"""The selective scan by every route against the paper's recurrence in float64, forward and backward."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dsbench.backbones.kernels.selective import SELECTIVE_SCAN, selective_step
from tests.backbones.kernels.routes import agree, close, few_examples, gradients, random_resets, routes, scan_of

FLOAT32_BOUND = 2e-6  # of the largest value, forward and backward, at dt up to 5
CASES = st.fixed_dictionaries(
    {
        "rows": st.integers(1, 3),
        "length": st.sampled_from([1, 2, 15, 16, 17, 33, 70]),
        "channels": st.sampled_from([1, 3, 16, 21]),
        "modes": st.sampled_from([1, 4, 5]),
        "dt_max": st.sampled_from([1e-8, 0.1, 5.0]),
        "share": st.sampled_from([0.0, 0.1, 0.9]),
        "seed": st.integers(0, 99),
    }
)


@pytest.fixture(params=routes(SELECTIVE_SCAN))
def scan(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    return scan_of(SELECTIVE_SCAN, request.param, monkeypatch)


def sequential(
    u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, h: Tensor, resets: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Algorithm 2 of the paper, token by token, as it is printed."""
    outputs = []
    for t in range(u.shape[1]):
        if resets is not None:
            h = torch.where(resets[:, t, None, None], torch.zeros_like(h), h)
        step = delta[:, t, :, None]
        h = torch.exp(step * a) * h + step * b[:, t, None, :] * u[:, t, :, None]
        outputs.append((c[:, t, None, :] * h).sum(-1))
    return torch.stack(outputs, 1), h


def inputs_of(
    rows: int, length: int, channels: int = 3, modes: int = 4, dt_max: float = 0.1, share: float = 0.0, seed: int = 0
) -> tuple[list[Tensor], Tensor | None]:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    delta = torch.rand(rows, length, channels, generator=generator, dtype=torch.float64) * dt_max
    a = -torch.arange(1, modes + 1, dtype=torch.float64).repeat(channels, 1)
    tensors = [
        normal(rows, length, channels), delta, a, normal(rows, length, modes), normal(rows, length, modes),
        normal(rows, channels, modes),
    ]  # fmt: skip
    return tensors, random_resets(generator, rows, length, share)


@few_examples
@given(case=CASES)
def test_in_float64_it_is_the_papers_recurrence_and_so_are_its_gradients(
    scan: Callable[..., Any], case: dict[str, Any]
) -> None:
    tensors, resets = inputs_of(**case)
    agree(scan, tensors, sequential, resets, 1e-10)


@pytest.mark.parametrize("dt_max", [0.1, 1.0, 5.0])
def test_in_float32_the_error_stays_within_a_stated_bound(scan: Callable[..., Any], dt_max: float) -> None:
    tensors, resets = inputs_of(2, 300, 16, 8, dt_max, share=0.02)
    agree(scan, [x.float() for x in tensors], sequential, resets, FLOAT32_BOUND)


def test_gradients_with_resets_pass_gradcheck(scan: Callable[..., Any]) -> None:
    tensors, _ = inputs_of(2, 5)
    resets = torch.tensor([[False, True, False, False, True], [True, False, False, True, False]])
    assert torch.autograd.gradcheck(lambda *x: scan(*x, resets), [x.requires_grad_() for x in tensors])


def test_a_nan_before_a_reset_is_forgotten(scan: Callable[..., Any]) -> None:
    (*tensors, state), _ = inputs_of(1, 4)
    resets = torch.tensor([[False, False, True, False]])
    y, last = scan(*tensors, torch.full_like(state, math.nan), resets)
    assert y[:, :2].isnan().all()
    assert y[:, 2:].isfinite().all()
    assert last.isfinite().all()


@pytest.mark.parametrize("dt_max", [1e-8, 5.0, 100.0])
def test_tiny_numbers_neither_vanish_nor_explode(scan: Callable[..., Any], dt_max: float) -> None:
    """Denormal inputs and states, decays that underflow (exp(-400)) or round to one: the recurrence's results and gradients,
    to one smallest normal number."""
    (u, delta, a, b, c, state), _ = inputs_of(2, 40, dt_max=dt_max)
    tensors = [x.float() for x in (u * 1e-38, delta, a, b, c, state * 1e-39)]
    exact = [x.double() for x in tensors]
    found = [*scan(*tensors, None), *gradients(scan, tensors, None)]
    expected = [*sequential(*exact, None), *gradients(sequential, exact, None)]
    for one, other in zip(found, expected, strict=True):
        assert ((one.double() - other).abs() <= 2e-6 * other.abs().max() + 1.2e-38).all()


def test_nothing_in_is_nothing_out(scan: Callable[..., Any]) -> None:
    tensors, _ = inputs_of(2, 0)
    y, last = scan(*tensors, None)
    assert y.shape == (2, 0, 3)
    assert torch.equal(last, tensors[-1])
    tensors = [x.requires_grad_() for x in inputs_of(0, 5)[0]]
    y, last = scan(*tensors, torch.zeros(0, 5, dtype=torch.bool))
    assert y.shape == (0, 5, 3)
    assert torch.autograd.grad(y.sum() + last.sum(), tensors[2])[0].eq(0).all()


def test_inputs_laid_out_in_any_way_give_the_same_numbers(scan: Callable[..., Any]) -> None:
    tensors, resets = inputs_of(3, 20, share=0.1)
    strided = [x.mT.contiguous().mT for x in tensors]
    assert torch.equal(scan(*strided, resets)[0], scan(*tensors, resets)[0])


def test_it_continues_from_the_state_that_it_returned(scan: Callable[..., Any]) -> None:
    (u, delta, a, b, c, state), _ = inputs_of(2, 50)
    y, last = scan(u, delta, a, b, c, state)
    middle = state
    for begin, end in ((0, 17), (17, 18), (18, 50)):
        part = slice(begin, end)
        own, middle = scan(u[:, part], delta[:, part], a, b[:, part], c[:, part], middle)
        close(own, y[:, part], 1e-12)
    close(middle, last, 1e-12)
    for t in range(7):
        y_t, state = selective_step(u[:, t], delta[:, t], a, b[:, t], c[:, t], state)
        close(y_t, y[:, t], 1e-12)
