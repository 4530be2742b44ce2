"""The diagonal system of channels by every route against its definition: a complex128 loop, one token at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dsbench.backbones.kernels.channels import CHANNEL_SYSTEM
from dsbench.backbones.s4d import DiagonalSystem
from tests.backbones.kernels.routes import agree, close, few_examples, gradients, random_resets, routes, scan_of

FLOAT32_BOUND = 1e-4  # of the largest value, forward and backward: a phase of 900 radians (300 tokens) rounds by 3e-5
CASES = st.fixed_dictionaries(
    {
        "rows": st.integers(1, 3),
        "length": st.sampled_from([1, 2, 63, 64, 65, 130]),
        "channels": st.sampled_from([1, 3, 8, 16, 21]),
        "modes": st.sampled_from([1, 2, 5]),
        "decay": st.sampled_from([1e-9, 0.1, 60.0]),
        "share": st.sampled_from([0.0, 0.03, 0.9]),
        "seed": st.integers(0, 99),
    }
)


@pytest.fixture(params=routes(CHANNEL_SYSTEM))
def scan(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A function of plain tensors, in the order of `inputs_of`."""
    run = scan_of(CHANNEL_SYSTEM, request.param, monkeypatch)

    def respond(
        log_size: Tensor, angle: Tensor, b_re: Tensor, b_im: Tensor, c_re: Tensor, c_im: Tensor, u: Tensor,
        state: Tensor | None, resets: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        return run(DiagonalSystem(log_size, angle, (b_re, b_im), (c_re, c_im)), u, state, resets)

    return respond


def sequential(
    log_size: Tensor, angle: Tensor, b_re: Tensor, b_im: Tensor, c_re: Tensor, c_im: Tensor, u: Tensor,
    state: Tensor, resets: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    z, b, c = torch.polar(torch.exp(log_size), angle), torch.complex(b_re, b_im), torch.complex(c_re, c_im)
    s, outputs = torch.complex(*state.chunk(2, -1)), []
    for t in range(u.shape[1]):
        if resets is not None:
            s = torch.where(resets[:, t, None, None], torch.zeros_like(s), s)
        s = z * s + b * u[:, t, :, None]
        outputs.append(2 * (c * s).real.sum(-1))
    return torch.stack(outputs, 1), torch.cat([s.real, s.imag], -1)


def inputs_of(
    rows: int, length: int, channels: int = 3, modes: int = 2, decay: float = 0.1, share: float = 0.0, seed: int = 0
) -> tuple[list[Tensor], Tensor | None]:
    """Parameters (H, n), then inputs (B, L, H) and a state (B, H, 2 n); |z| from exp(-decay) to 1."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    size, angle = (torch.rand(channels, modes, generator=generator, dtype=torch.float64) for _ in range(2))
    parameters = [-decay * size, 6.3 * angle - 3, *(normal(channels, modes) for _ in range(4))]
    tensors = [*parameters, normal(rows, length, channels), normal(rows, channels, 2 * modes)]
    return tensors, random_resets(generator, rows, length, share)


@few_examples
@given(case=CASES)
def test_in_float64_it_is_the_loop_and_so_are_its_gradients(scan: Callable[..., Any], case: dict[str, Any]) -> None:
    tensors, resets = inputs_of(**case)
    agree(scan, tensors, sequential, resets, 1e-10)


@pytest.mark.parametrize("decay", [1e-6, 0.1, 20.0])
def test_in_float32_the_error_stays_within_a_stated_bound(scan: Callable[..., Any], decay: float) -> None:
    tensors, resets = inputs_of(2, 300, 17, 5, decay, share=0.02)
    agree(scan, [x.float() for x in tensors], sequential, resets, FLOAT32_BOUND)
    agree(scan, [x.float() for x in tensors], sequential, None, FLOAT32_BOUND)


@pytest.mark.parametrize("length", [5, 67])
def test_gradients_with_resets_pass_gradcheck(scan: Callable[..., Any], length: int) -> None:
    tensors, _ = inputs_of(2, length, channels=1)
    resets = torch.zeros(2, length, dtype=torch.bool)
    resets[0, 1] = resets[0, 4] = resets[1, 0] = resets[1, 3] = resets[1, -1] = True
    assert torch.autograd.gradcheck(lambda *x: scan(*x, resets), [x.requires_grad_() for x in tensors])


@pytest.mark.parametrize("column", [0, 25, 64])
def test_neither_a_nan_nor_a_gradient_crosses_a_reset(scan: Callable[..., Any], column: int) -> None:
    (*parameters, u, state), _ = inputs_of(2, 70)
    resets = torch.zeros(2, 70, dtype=torch.bool)
    resets[:, column] = True
    expected, end = sequential(*parameters, u[:, column:], torch.zeros_like(state))
    u[0, :column], state[1] = math.nan, math.nan
    u, state = u.requires_grad_(), state.requires_grad_()
    y, last = scan(*parameters, u, state, resets)
    assert y[:, :column].isnan().all()
    close(y[:, column:], expected, 1e-10)
    close(last, end, 1e-10)
    grad_u, grad_state = torch.autograd.grad(y[:, column:].sum() + last.sum(), (u, state))
    assert grad_u[:, column:].isfinite().all() and grad_u[:, column:].any()
    assert not grad_u[:, :column].any() and not grad_state.any()


def test_a_poisoned_state_that_is_reset_at_once_leaves_the_parameters_clean(scan: Callable[..., Any]) -> None:
    (*parameters, u, state), _ = inputs_of(2, 70)
    resets = torch.zeros(2, 70, dtype=torch.bool)
    resets[:, 0] = True
    parameters = [x.requires_grad_() for x in parameters]
    y, last = scan(*parameters, u, torch.full_like(state, math.nan), resets)
    assert all(x.isfinite().all() for x in torch.autograd.grad(y.sum() + last.sum(), parameters))


def test_tiny_numbers_neither_vanish_nor_explode(scan: Callable[..., Any]) -> None:
    """Denormal states, and powers that underflow: results and gradients are the loop's to a few smallest normal numbers."""
    (*parameters, u, state), _ = inputs_of(2, 90, decay=60.0)
    tensors = [x.float() for x in (*parameters, u * 1e-30, state * 1e-39)]
    exact = [x.double() for x in tensors]
    found = [*scan(*tensors), *gradients(scan, tensors, None)]
    expected = [*sequential(*exact), *gradients(sequential, exact, None)]
    for one, other in zip(found, expected, strict=True):
        assert ((one.double() - other).abs() <= 1e-5 * other.abs().max() + 1e-37).all()


def small_drive(drive: float) -> tuple[list[Tensor], Tensor | None]:
    """A state that comes from elsewhere: its size says nothing about that of b."""
    tensors, resets = inputs_of(2, 70, share=0.03)
    tensors[2][0], tensors[3][0] = tensors[2][0] * drive, tensors[3][0] * drive
    return tensors, resets


@pytest.mark.parametrize("drive", [0.0, 1e-30, 1e-6, 1e-3])
def test_a_small_drive_leaves_results_exact(scan: Callable[..., Any], drive: float) -> None:
    tensors, resets = small_drive(drive)
    single = [x.float() for x in tensors]
    for inputs, bound in ((tensors, 1e-10), (single, FLOAT32_BOUND)):
        expected = sequential(*(x.double() for x in inputs), resets)
        for actual, one in zip(scan(*inputs, resets), expected, strict=True):
            close(actual.double(), one, bound)


@pytest.mark.parametrize("drive", [0.0, 1e-6, 1e-3])
def test_a_small_drive_leaves_gradients_exact(scan: Callable[..., Any], drive: float) -> None:
    tensors, resets = small_drive(drive)
    agree(scan, tensors, sequential, resets, 1e-10)
    agree(scan, [x.float() for x in tensors], sequential, resets, FLOAT32_BOUND)


def test_no_state_is_a_state_of_zero(scan: Callable[..., Any]) -> None:
    (*inputs, state), resets = inputs_of(2, 70, share=0.05)
    for one in (None, resets):
        for actual, expected in zip(scan(*inputs, None, one), scan(*inputs, 0 * state, one), strict=True):
            close(actual, expected, 1e-14)


@pytest.mark.parametrize("with_resets", [False, True])
def test_no_rows_are_no_outputs_and_no_gradient(scan: Callable[..., Any], with_resets: bool) -> None:
    tensors = [x.requires_grad_() for x in inputs_of(0, 5)[0]]
    y, last = scan(*tensors, torch.zeros(0, 5, dtype=torch.bool) if with_resets else None)
    assert y.shape == (0, 5, 3)
    assert last.shape == (0, 3, 4)
    gradients = torch.autograd.grad(y.sum() + last.sum(), tensors, materialize_grads=True)
    assert all(x.eq(0).all() for x in gradients)


def test_inputs_laid_out_in_any_way_give_the_same_numbers(scan: Callable[..., Any]) -> None:
    tensors, resets = inputs_of(3, 70, share=0.1)
    strided = [x.mT.contiguous().mT for x in tensors]
    assert torch.equal(scan(*strided, resets)[0], scan(*tensors, resets)[0])


def test_it_continues_from_the_state_that_it_returned(scan: Callable[..., Any]) -> None:
    (*parameters, u, state), resets = inputs_of(2, 150, share=0.03)
    assert resets is not None
    y, last = scan(*parameters, u, state, resets)
    middle = state
    for begin, end in ((0, 17), (17, 18), (18, 82), (82, 150)):
        part = slice(begin, end)
        own, middle = scan(*parameters, u[:, part], middle, resets[:, part])
        close(own, y[:, part], 1e-12)
    close(middle, last, 1e-12)


def test_it_is_the_step_repeated(scan: Callable[..., Any]) -> None:
    (*parameters, u, state), _ = inputs_of(2, 7)
    log_size, angle, b_re, b_im, c_re, c_im = parameters
    system = DiagonalSystem(log_size, angle, (b_re, b_im), (c_re, c_im))
    y, last = scan(*parameters, u, state)
    for t in range(7):
        y_t, state = system.step(u[:, t], state)
        close(y_t, y[:, t], 1e-12)
    close(state, last, 1e-12)
