"""What surrounds a Triton launch and needs no Triton: memory planned, devices checked, absence explained."""

from __future__ import annotations

import pytest
import torch

from dsbench.backbones.kernels.linear_triton import linear_scan_triton
from dsbench.backbones.kernels.selective_triton import BACKWARD_TILE, Plan
from dsbench.backbones.kernels.triton_probe import interpreted, unavailable
from dsbench.errors import UsageError


@pytest.mark.parametrize("length", [64, 128, 256, 1024, 4096])
def test_the_selective_scan_holds_less_than_a_third_of_its_states(length: int) -> None:
    plan = Plan(16, length, 128, 16)
    held = sum(torch.Size(shape).numel() for shape in (plan.kept, plan.scratch, plan.partial, plan.partial))
    assert held <= 0.3 * 16 * length * 128 * 16
    assert plan.blocks(BACKWARD_TILE) * plan.block(BACKWARD_TILE) == 128


@pytest.mark.skipif(interpreted(), reason="the interpreter takes tensors of the CPU")
def test_tensors_on_the_wrong_device_are_named() -> None:
    with pytest.raises(UsageError, match="'cpu', expected 'cuda'"):
        linear_scan_triton(torch.ones(1, 2, 3), torch.ones(1, 2, 3), torch.zeros(1, 3))


@pytest.mark.skipif(interpreted() or torch.cuda.is_available(), reason="Triton can run here")
def test_why_it_cannot_run_comes_with_the_way_out() -> None:
    reason = unavailable()
    assert reason is not None and ("pip install triton" in reason or "TRITON_INTERPRET=1" in reason)
