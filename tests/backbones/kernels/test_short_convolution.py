"""The short convolution by every route against a float64 loop over tokens and taps, and against torch's grouped one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from dsbench.backbones.kernels.short_convolution import SHORT_CONVOLUTION, short_convolution_step
from tests.backbones.kernels.routes import agree, close, few_examples, random_resets, routes, scan_of

FLOAT32_BOUND = 3e-6  # of the largest value, forward and backward
Scan = Callable[..., tuple[Tensor, Tensor]]


@pytest.fixture(params=routes(SHORT_CONVOLUTION))
def scan(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Scan:
    return scan_of(SHORT_CONVOLUTION, request.param, monkeypatch)


def _loop(
    u: Tensor, weight: Tensor, bias: Tensor, state: Tensor, resets: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The last inputs as a list that a reset fills with zeros."""
    last, outputs = list(state.unbind(1)), []
    for t in range(u.shape[1]):
        if resets is not None:
            last = [torch.where(resets[:, t : t + 1], 0.0, entry) for entry in last]
        seen = [*last, u[:, t]]
        s = bias + sum(weight[tap] * entry for tap, entry in enumerate(seen))
        outputs.append(s / (1 + torch.exp(-s)))
        last = seen[1:]
    return (torch.stack(outputs, 1) if outputs else u), (torch.stack(last, 1) if last else state)


def _arguments(rows: int, length: int, width: int, taps: int = 4, seed: int = 0) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(rows, length, width), (taps, width), (width,), (rows, taps - 1, width)]
    u, weight, bias, state = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
    return u, weight, bias, state


def _resets(rows: int, length: int, rate: float) -> Tensor | None:
    return random_resets(torch.Generator().manual_seed(0), rows, length, rate)


@few_examples
@given(
    rows=st.integers(0, 3),
    length=st.one_of(st.integers(0, 6), st.integers(7, 40)),
    width=st.sampled_from([1, 2, 7, 8, 9, 16, 31, 32, 33]),
    taps=st.integers(1, 6),
    rate=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    seed=st.integers(0, 99),
)
def test_values_and_gradients_equal_the_loop(
    scan: Scan, rows: int, length: int, width: int, taps: int, rate: float, seed: int
) -> None:
    agree(scan, _arguments(rows, length, width, taps, seed), _loop, _resets(rows, length, rate), 1e-12)


@pytest.mark.parametrize("length", [1, 2, 3, 9])
@pytest.mark.parametrize("taps", [1, 4])
@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_gradcheck(scan: Scan, length: int, taps: int, rate: float) -> None:
    arguments = [part.requires_grad_() for part in _arguments(2, length, 2, taps)]
    resets = _resets(2, length, rate)
    assert torch.autograd.gradcheck(lambda *parts: scan(*parts, resets), arguments)


@few_examples
@given(length=st.integers(1, 9), taps=st.integers(1, 5), seed=st.integers(0, 99))
def test_it_is_torchs_grouped_convolution_of_state_and_input(scan: Scan, length: int, taps: int, seed: int) -> None:
    u, weight, bias, state = _arguments(2, length, 5, taps, seed)
    y, last = scan(u, weight, bias, state)
    joined = torch.cat([state, u], 1)
    close(y, F.silu(F.conv1d(joined.mT, weight.T.unsqueeze(1), bias, groups=5).mT), 1e-12)
    assert torch.equal(last, joined[:, length:])


@few_examples
@given(length=st.integers(0, 9), taps=st.integers(1, 5), seed=st.integers(0, 99))
def test_steps_with_a_zeroed_state_at_resets_equal_the_row(scan: Scan, length: int, taps: int, seed: int) -> None:
    u, weight, bias, state = _arguments(3, length, 5, taps, seed)
    resets = torch.rand(3, length, generator=torch.Generator().manual_seed(seed)) < 0.3
    y, last = scan(u, weight, bias, state, resets)
    for t in range(length):
        state = torch.where(resets[:, t].view(-1, 1, 1), 0.0, state)
        y_t, state = short_convolution_step(u[:, t], weight, bias, state)
        close(y[:, t], y_t, 1e-12)
    assert torch.equal(last, state)


@pytest.mark.parametrize("used", ["outputs", "last"])
@pytest.mark.parametrize("length", [2, 30])
def test_either_result_may_be_left_unused(scan: Scan, used: str, length: int) -> None:
    parts = [part.requires_grad_() for part in _arguments(2, length, 2)]
    ours, expected = (
        torch.autograd.grad(results[used == "last"].sum(), parts, materialize_grads=True)
        for results in (scan(*parts), _loop(*parts))
    )
    for one, other in zip(ours, expected, strict=True):
        close(one, other, 1e-12)


@pytest.mark.parametrize("length", [1, 16, 300])
def test_float32_stays_near_float64(scan: Scan, length: int) -> None:
    single = tuple(part.float() for part in _arguments(3, length, 37))
    agree(scan, single, _loop, _resets(3, length, 0.02), FLOAT32_BOUND)


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
@pytest.mark.parametrize("column", [0, 2, 25])
def test_what_lies_before_a_reset_does_not_survive(scan: Scan, poison: float, column: int) -> None:
    u, weight, bias, state = _arguments(2, 60, 3)
    state[0], u[1, :column] = poison, poison
    parts = [part.requires_grad_() for part in (u, weight, bias, state)]
    y, last = scan(*parts, (torch.arange(60) == column).repeat(2, 1))
    close(y[:, column:], _loop(u[:, column:], weight, bias, torch.zeros_like(state))[0], 1e-12)
    grad_u, *others = torch.autograd.grad(y[:, column:].sum() + last.sum(), parts)
    assert grad_u[:, column:].isfinite().all()
    assert column > 0 or (all(gradient.isfinite().all() for gradient in others) and not others[-1].any())


@pytest.mark.parametrize("column", [1, 3, 7])
def test_no_gradient_reaches_over_a_reset(scan: Scan, column: int) -> None:
    u, weight, bias, state = (part.requires_grad_() for part in _arguments(2, 8, 3))
    y, last = scan(u, weight, bias, state, (torch.arange(8) == column).repeat(2, 1))
    grad_u, grad_state = torch.autograd.grad(y[:, column:].sum() + last.sum(), [u, state])
    assert not grad_u[:, :column].any() and not grad_state.any()
    assert grad_u[:, column:].all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_silu_is_accurate_for_sums_of_any_size(scan: Scan, dtype: torch.dtype) -> None:
    """To some units in the last place of values, and of the slopes' largest."""
    far = torch.tensor([-1e30, -1e4, -1e3, 1e3, 1e4, 1e30], dtype=dtype)
    sums = torch.cat([torch.linspace(-100, 100, 2001, dtype=dtype), far]).view(1, -1, 1).requires_grad_()
    y, _ = scan(sums, sums.new_ones(1, 1), sums.new_zeros(1), sums.new_zeros(1, 0, 1))
    (slope,) = torch.autograd.grad(y.sum(), sums)
    exact = sums.detach().double().requires_grad_()
    expected = F.silu(exact)
    (expected_slope,) = torch.autograd.grad(expected.sum(), exact)
    eps = torch.finfo(dtype).eps
    assert torch.allclose(y.double(), expected, rtol=16 * eps, atol=1e-7 * eps)
    assert torch.allclose(slope.double(), expected_slope, rtol=16 * eps, atol=2 * eps)


PARTS: dict[str, Callable[[Tensor], Tensor]] = {
    "half of the channels": lambda wide: wide[:2, :, 20:],
    "every other channel": lambda wide: wide[:2, :, ::2],
    "every other row": lambda wide: wide[::2, :, :20],
    "rows and tokens swapped": lambda wide: wide.transpose(0, 1)[:2, :, :20],
    "one row": lambda wide: wide[1:2, :, :20],
    "one token": lambda wide: wide[:2, 3:4, :20],
    "one token, rows and tokens swapped": lambda wide: wide[:1, :2, :20].contiguous().transpose(0, 1),
    "one input for all": lambda wide: wide[:2, :1, :20].expand(2, 9, 20),
}


@pytest.mark.parametrize("part", PARTS)
def test_parts_of_wider_arrays_are_read_where_they_lie(scan: Scan, part: str) -> None:
    _, weight, bias, state = _arguments(2, 9, 20)
    wide = torch.randn(4, 9, 40, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()
    u = PARTS[part](wide)
    found = []
    for one in (u, u.clone(memory_format=torch.contiguous_format)):
        y, last = scan(one, weight, bias, state[: len(u)])
        found.append((y, last, *torch.autograd.grad(y.square().sum(), wide, retain_graph=True)))
    assert all(torch.equal(ours, expected) for ours, expected in zip(*found, strict=True))


def test_results_take_the_states_precision(scan: Scan) -> None:
    u, weight, bias, state = (part.float() for part in _arguments(2, 4, 5))
    for length in (0, 4):
        y, last = scan(u[:, :length].bfloat16(), weight, bias, state)
        assert {y.dtype, last.dtype} == {torch.float32}
    assert {part.dtype for part in short_convolution_step(u[:, 0].bfloat16(), weight, bias, state)} == {torch.float32}


def test_inputs_are_left_as_they_were(scan: Scan) -> None:
    arguments = _arguments(1, 50, 1)
    copies = [part.clone() for part in arguments]
    scan(*arguments, _resets(1, 50, 0.1))
    for part, copy in zip(arguments, copies, strict=True):
        assert torch.equal(part, copy)
