"""The diagonal complex scan in Triton, forward and backward: `dsbench.backbones.kernels.diagonal` has the formula."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dsbench.backbones.kernels.triton_probe import Lanes, flags, on_device_of, prepared


class _DiagonalScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, x: Tensor, state: Tensor, resets: Tensor | None) -> tuple[Tensor, Tensor]:
        from dsbench.backbones.kernels.triton.diagonal import forward_kernel

        h, last, lanes = torch.empty_like(x), torch.empty_like(state), Lanes(len(x), len(z) // 2)
        if state.numel():
            with on_device_of(x):
                forward_kernel[lanes.grid](
                    *(z, x, state, flags(resets, x), h, last, x.shape[1], lanes.count),
                    HAS_RESETS=resets is not None,
                    **lanes.sizes,
                )
        ctx.save_for_backward(z, state, resets, h)
        return h, last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_h: Tensor, grad_last: Tensor) -> tuple[Tensor | None, ...]:
        from dsbench.backbones.kernels.triton.diagonal import backward_kernel

        z, state, resets, h = ctx.saved_tensors
        grad_z, grad_x, grad_state = torch.empty_like(state), torch.empty_like(h), torch.empty_like(state)
        lanes = Lanes(len(h), len(z) // 2)
        if state.numel():
            with on_device_of(h):
                backward_kernel[lanes.grid](
                    *(z, state, flags(resets, h), h, grad_h.contiguous(), grad_last.contiguous()),
                    *(grad_z, grad_x, grad_state, h.shape[1], lanes.count),
                    HAS_RESETS=resets is not None,
                    **lanes.sizes,
                )
        return grad_z.sum(0), grad_x, grad_state, None


def diagonal_scan_triton(z: Tensor, x: Tensor, state: Tensor, resets: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """``h_t = z h_{t-1} + x_t`` over complex numbers, in float32 (float64 if an input is).

    Args:
        z: (2P,) factors, planar `[real | imaginary]` as everything here.
        x: (B, L, 2P) inputs.
        state: (B, 2P) before the first token.
        resets: (B, L) bool; where True the state before that token is zero, whatever it held (NaN included).

    Returns:
        (B, L, 2P) states and the (B, 2P) last one.

    Raises:
        UsageError: the tensors are not on a CUDA device.
    """
    return _DiagonalScan.apply(*prepared(z, x, state), resets)
