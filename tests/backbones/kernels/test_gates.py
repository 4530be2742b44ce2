"""The gates of a scan by every route against torch in float64, and the digits of small results against closed forms."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from dsbench.backbones.kernels.gates import GATE, SOFTPLUS_BIAS
from tests.backbones.kernels.routes import close, few_examples, routes, scan_of

FLOAT32_BOUND = 3e-6  # of the largest value, forward and backward
SHAPES = {"rows": st.integers(0, 3), "length": st.integers(0, 40), "seed": st.integers(0, 99)}
WIDTHS = st.sampled_from([0, 1, 2, 7, 8, 9, 16, 31, 32, 33])
SIZES = st.sampled_from([0.1, 3.0, 30.0])  # of the numbers: softplus changes its formula at 20
Operator = Callable[..., Tensor]


@pytest.fixture(params=routes(SOFTPLUS_BIAS))
def softplus_bias(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Operator:
    return scan_of(SOFTPLUS_BIAS, request.param, monkeypatch)


@pytest.fixture(params=routes(GATE))
def gate(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Operator:
    return scan_of(GATE, request.param, monkeypatch)


def _softplus(x: Tensor, bias: Tensor) -> Tensor:
    return F.softplus(x + bias)


def _gated(y: Tensor, u: Tensor, d: Tensor, z: Tensor) -> Tensor:
    return (y + d * u) * F.silu(z)


def _draw(seed: int, size: float, *shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [size * torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def _scattered(x: Tensor, axis: int) -> Tensor:
    """A copy whose memory goes along tokens first, or along the other axis first."""
    return x.transpose(1, axis).contiguous().transpose(1, axis)


def _operands(rows: int, length: int, width: int, seed: int = 0, size: float = 1.0) -> list[Tensor]:
    tokens = (rows, length, width)
    return _draw(seed, size, tokens, tokens, (width,), tokens)


def _agree(found: Operator, oracle: Operator, operands: list[Tensor], bound: float) -> None:
    """Result and gradients, of a sum in which every entry weighs differently, are those of the oracle in float64."""
    sides = []
    for function, dtype in ((found, operands[0].dtype), (oracle, torch.float64)):
        leaves = [part.to(dtype, copy=True).requires_grad_() for part in operands]
        out = function(*leaves)
        weights = torch.linspace(-0.5, 1.5, out.numel(), dtype=dtype).view(out.shape)
        sides.append([out.detach(), *torch.autograd.grad(out, leaves, weights)])
        with torch.no_grad():
            assert torch.equal(function(*leaves), out)
    for one, other in zip(*sides, strict=True):
        close(one.double(), other, bound)


@few_examples
@given(width=WIDTHS, size=SIZES, **SHAPES)
def test_softplus_and_its_gradients_are_torchs(
    softplus_bias: Operator, rows: int, length: int, width: int, size: float, seed: int
) -> None:
    _agree(softplus_bias, _softplus, _draw(seed, size, (rows, length, width), (width,)), 1e-13)


@few_examples
@given(width=WIDTHS, size=SIZES, **SHAPES)
def test_the_gate_and_its_gradients_are_torchs(
    gate: Operator, rows: int, length: int, width: int, size: float, seed: int
) -> None:
    _agree(gate, _gated, _operands(rows, length, width, seed, size), 1e-13)


@pytest.mark.parametrize("length", [1, 16, 300])
def test_float32_stays_near_float64(softplus_bias: Operator, gate: Operator, length: int) -> None:
    x, bias = _draw(1, 5.0, (3, length, 37), (37,))
    _agree(softplus_bias, _softplus, [x.float(), bias.float()], FLOAT32_BOUND)
    _agree(gate, _gated, [part.float() for part in _operands(3, length, 37, size=3.0)], FLOAT32_BOUND)


def test_gradcheck(softplus_bias: Operator, gate: Operator) -> None:
    parts = [part.requires_grad_() for part in (*_draw(0, 3.0, (2, 3, 5), (5,)), *_operands(2, 3, 5))]
    assert torch.autograd.gradcheck(softplus_bias, parts[:2])
    assert torch.autograd.gradcheck(gate, parts[2:])


@pytest.mark.parametrize(
    ("dtype", "lowest", "bound"), [(torch.float64, -700.0, 1e-14), (torch.float32, -87.0, 1e-6)], ids=str
)
def test_small_softplus_keeps_its_digits(
    softplus_bias: Operator, dtype: torch.dtype, lowest: float, bound: float
) -> None:
    """Of log1p(exp(x)) and of its slope, the logistic function, however far down the exponential they are."""
    x = torch.linspace(lowest, 20, 4001, dtype=dtype).view(1, 1, -1).requires_grad_()
    out = softplus_bias(x, torch.zeros(4001, dtype=dtype))
    (slope,) = torch.autograd.grad(out.sum(), x)
    exact = x.detach().double()
    for found, expected in ((out, exact.exp().log1p()), (slope, exact.sigmoid())):
        assert (found.double() / expected - 1).abs().max() <= bound


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_extremes_nan_and_infinities_give_what_torch_gives(
    softplus_bias: Operator, gate: Operator, dtype: torch.dtype
) -> None:
    """Forward and backward; results that torch has below the smallest normal number may be zero."""
    inf, nan, tiny = float("inf"), float("nan"), torch.finfo(dtype).tiny
    extremes = [-inf, -1e4, -800.0, -95.0, -0.0, tiny / 8, 20.0, 20.0001, 95.0, 800.0, 1e4, inf, nan]
    x = torch.tensor(extremes * 3, dtype=dtype).view(3, 1, -1)
    zero, one = torch.zeros(len(extremes), dtype=dtype), torch.ones_like(x)
    sides: list[list[Tensor]] = []
    for ours, gated in ((softplus_bias, gate), (_softplus, _gated)):
        leaf = x.clone().requires_grad_()
        results = [ours(leaf, zero), gated(one, one, zero, leaf), gated(leaf, one, zero + 1, one)]
        slopes = [torch.autograd.grad(result.sum(), leaf)[0] for result in results]
        sides.append([*(result.detach() for result in results), *slopes])
    for found, expected in zip(*sides, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=2 * tiny, equal_nan=True)


PLACES: dict[str, Callable[[Tensor], tuple[Tensor, ...]]] = {
    "halves of channels": lambda wide: wide.chunk(2, -1),
    "transposed": lambda wide: (_scattered(wide[..., :9], -1), _scattered(wide[..., 9:], 0)),
    "expanded": lambda wide: (wide[:1, :, :9].expand(2, -1, -1), wide[:, :1, 9:].expand(-1, 6, -1)),
}


@pytest.mark.parametrize("place", PLACES)
def test_u_and_z_may_be_parts_of_something_else(gate: Operator, place: str) -> None:
    (wide,) = _draw(5, 1.0, (2, 6, 18))
    y, _, d, _ = _operands(2, 6, 9)
    sides = []
    for function in (gate, _gated):
        leaf = wide.clone().requires_grad_()
        u, z = PLACES[place](leaf)
        out = function(y, u, d, z)
        sides.append((out.detach(), torch.autograd.grad(out.square().sum(), leaf)[0]))
    for found, expected in zip(*sides, strict=True):
        close(found, expected, 1e-13)


def test_precisions_mixed_as_under_autocast_give_that_of_the_scan(softplus_bias: Operator, gate: Operator) -> None:
    y, u, d, z = (part.float() for part in _operands(2, 5, 8))
    mixed = gate(y, u.bfloat16(), d, z.bfloat16())
    assert mixed.dtype == torch.float32
    close(mixed, _gated(y, u.bfloat16().float(), d, z.bfloat16().float()), 2e-2)
    low = softplus_bias(y.bfloat16(), d.bfloat16())
    assert low.dtype == torch.bfloat16
    close(low.float(), _softplus(y, d), 3e-2)


def test_operands_are_left_as_they_were(softplus_bias: Operator, gate: Operator) -> None:
    operands = _operands(2, 6, 9)
    copies = [part.clone() for part in operands]
    softplus_bias(operands[0], operands[2])
    gate(*operands)
    assert all(torch.equal(part, copy) for part, copy in zip(operands, copies, strict=True))


def test_the_stride_of_an_axis_of_one_token_means_nothing(gate: Operator) -> None:
    y, u, d, z = _operands(3, 1, 8)
    moved = [part.clone().as_strided((3, 1, 8), (8, 5, 1)) for part in (u, z)]
    assert moved[0].is_contiguous() and moved[0].stride(1) != 8
    close(gate(y, moved[0], d, moved[1]), _gated(y, u, d, z), 1e-13)
