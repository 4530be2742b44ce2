"""The selective scan through mamba-ssm's CUDA kernel (Gu and Dao 2023, arXiv:2312.00752).

It takes neither an initial state nor resets, computes in float32, gives no gradient to the state that it returns, and adds the
gradients of A, B and C by atomic operations, so that two runs differ in the last bits. Where it cannot do what is asked,
the Triton scan runs.
"""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dsbench.backbones.kernels.selective_triton import selective_scan_triton
from dsbench.errors import UsageError

INSTALL = "pip install --no-build-isolation 'causal-conv1d>=1.4' 'mamba-ssm>=2.2'"  # requirements-cuda.txt


def unavailable() -> str | None:
    """Why the CUDA scan of mamba-ssm cannot run here and the way out, or None.

    Importing mamba_ssm proves little: it can be built without the scan. So the scan itself is imported and run once.
    """
    if not torch.cuda.is_available():
        return "no CUDA device is visible"
    try:
        importlib.import_module("selective_scan_cuda")
        tokens, rates = torch.ones(1, 4, 2, device="cuda"), torch.zeros(2, 2, device="cuda")
        y, _ = selective_scan_mamba_ssm(tokens, tokens, rates, tokens, tokens)
        torch.cuda.synchronize()
    except Exception as error:  # whatever a binary of another torch or card raises
        return f"mamba-ssm's CUDA scan does not run ({error}); {INSTALL}, with MAMBA_KEEP_CUDA_BUILD=TRUE set"
    if y[0, :, 0].tolist() != [2.0, 4.0, 6.0, 8.0]:
        return f"mamba-ssm's CUDA scan gives wrong numbers here; {INSTALL} again, against the torch in use"
    return None


def supports(u: Tensor, delta: Tensor, a: Tensor, state: Tensor, resets: Tensor | None) -> bool:
    """Whether this route computes what is asked: from a zero state, without resets, not in float64.

    Looking into the state waits for the device: part of the price of asking for this route.
    """
    if resets is not None or u.numel() == 0 or torch.float64 in (u.dtype, delta.dtype, a.dtype, state.dtype):
        return False
    return not state.requires_grad and not state.any().item()


def selective_scan_or_triton(
    u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, state: Tensor, resets: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """mamba-ssm's scan where it `supports` what is asked, else the Triton one; arguments as there."""
    if supports(u, delta, a, state, resets):
        return selective_scan_mamba_ssm(u, delta, a, b, c)
    return selective_scan_triton(u, delta, a, b, c, state, resets)


class _WithoutGradient(torch.autograd.Function):
    """A state whose backward pass refuses, where it would otherwise be silently zero; `tied` puts it into the graph."""

    @staticmethod
    def forward(ctx: Any, state: Tensor, tied: Tensor) -> Tensor:
        return state.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None]:
        raise UsageError(
            "a gradient was asked for through the state of implementation 'mamba_ssm', which gives none; "
            "use implementation='triton' or detach the state"
        )


def selective_scan_mamba_ssm(u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Run the recurrence from a zero state.

    Args:
        u: (B, L, E) inputs.
        delta: (B, L, E) step sizes, positive.
        a: (E, N), negative.
        b: (B, L, N).
        c: (B, L, N).

    Returns:
        (B, L, E) outputs and the (B, E, N) state after the last token, through which no gradient can be taken.

    Raises:
        UsageError: in the backward pass, if a gradient through the state is asked for.
    """
    scan = importlib.import_module("mamba_ssm.ops.selective_scan_interface").selective_scan_fn
    u, delta, b, c = (tensor.float().transpose(1, 2).contiguous() for tensor in (u, delta, b, c))
    y, state = scan(u, delta, a.float().contiguous(), b, c, delta_softplus=False, return_last_state=True)
    return y.transpose(1, 2), _WithoutGradient.apply(state.detach(), y)
