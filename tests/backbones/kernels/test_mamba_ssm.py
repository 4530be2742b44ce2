"""The route through mamba-ssm: its layout and its limits, with a stand-in where the real one cannot run."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from dsbench.backbones.kernels import selective_mamba_ssm as route
from dsbench.backbones.kernels.selective_torch import selective_scan_torch
from dsbench.errors import UsageError

MISSING = route.unavailable()
CALLS: list[tuple[torch.Size, ...]] = []


def stand_in(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, delta_softplus: bool, return_last_state: bool
) -> tuple[Tensor, Tensor]:
    """What mamba-ssm documents: (B, D, L), (B, D, L), (D, N), (B, N, L), (B, N, L), from zero."""
    assert return_last_state and not delta_softplus
    CALLS.append((u.shape, A.shape, B.shape))
    state, outputs = u.new_zeros(*u.shape[:2], A.shape[1]), []
    for t in range(u.shape[2]):
        drive = torch.einsum("bd,bn->bdn", delta[..., t] * u[..., t], B[..., t])
        state = torch.exp(delta[..., t, None] * A) * state + drive
        outputs.append(torch.einsum("bdn,bn->bd", state, C[..., t]))
    return torch.stack(outputs, -1), state.detach()


@pytest.fixture
def _mamba_ssm(monkeypatch: pytest.MonkeyPatch) -> None:
    CALLS.clear()
    module: Any = SimpleNamespace(selective_scan_fn=stand_in)
    monkeypatch.setitem(sys.modules, "mamba_ssm.ops.selective_scan_interface", module)
    monkeypatch.setattr(route, "selective_scan_triton", selective_scan_torch)


def inputs(device: str = "cpu", length: int = 7) -> list[Tensor]:
    torch.manual_seed(0)
    shapes = [(2, length, 5)] * 2 + [(5, 3)] + [(2, length, 3)] * 2
    u, delta, a, b, c = (torch.randn(shape, device=device) for shape in shapes)
    leaves = [u, torch.sigmoid(delta), -a.exp(), b, c]
    return [leaf.requires_grad_() for leaf in leaves]


@pytest.mark.usefixtures("_mamba_ssm")
def test_arguments_go_over_in_its_layout_and_come_back_in_ours() -> None:
    leaves, state = inputs(), torch.zeros(2, 5, 3)
    y, last = route.selective_scan_or_triton(*leaves, state)
    expected_y, expected_last = selective_scan_torch(*leaves, state)
    assert list(CALLS[0]) == [(2, 5, 7), (5, 3), (2, 3, 7)]
    torch.testing.assert_close((y, last), (expected_y, expected_last))
    found, expected = (torch.autograd.grad(out.square().sum(), leaves) for out in (y, expected_y))
    torch.testing.assert_close(found, expected)


@pytest.mark.usefixtures("_mamba_ssm")
def test_a_gradient_through_its_state_is_refused_not_zero() -> None:
    _, last = route.selective_scan_or_triton(*inputs(), torch.zeros(2, 5, 3))
    with pytest.raises(UsageError, match="implementation='triton'"):
        last.sum().backward()


@pytest.mark.usefixtures("_mamba_ssm")
@pytest.mark.parametrize("case", ["state", "nan", "resets", "gradient of the state", "float64", "no tokens"])
def test_what_it_cannot_do_goes_another_way(case: str) -> None:
    leaves, state, resets = inputs(length=0 if case == "no tokens" else 7), torch.zeros(2, 5, 3), None
    if case in ("state", "nan"):
        state[1, 2, 1] = 1.0 if case == "state" else float("nan")
    if case == "resets":
        resets = torch.zeros(2, 7, dtype=torch.bool)
    if case == "gradient of the state":
        state.requires_grad_()
    if case == "float64":
        leaves, state = [leaf.detach().double() for leaf in leaves], state.double()
    y, _ = route.selective_scan_or_triton(*leaves, state, resets)
    assert not CALLS
    torch.testing.assert_close(y, selective_scan_torch(*leaves, state, resets)[0], equal_nan=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_it_says_so() -> None:
    assert MISSING == "no CUDA device is visible"


@pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
def test_on_a_gpu_it_agrees_with_float64() -> None:
    leaves, state = inputs("cuda", 300), torch.zeros(2, 5, 3, device="cuda")
    y, last = route.selective_scan_mamba_ssm(*leaves)
    doubles = [leaf.detach().double().requires_grad_() for leaf in leaves]
    expected_y, expected_last = selective_scan_torch(*doubles, state.double())
    torch.testing.assert_close((y.double(), last.double()), (expected_y, expected_last), rtol=1e-4, atol=1e-4)
    found = torch.autograd.grad(y.sum(), leaves)
    expected = torch.autograd.grad(expected_y.sum(), doubles)
    for ours, reference in zip(found, expected, strict=True):
        assert (ours - reference).abs().max() <= 2e-4 * reference.abs().max()
