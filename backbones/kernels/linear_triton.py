"""The real linear scan in Triton, forward and backward: `dsbench.backbones.kernels.linear` has the formula."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dsbench.backbones.kernels.triton_probe import Lanes, flags, on_device_of, prepared


class _LinearScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, decay: Tensor, x: Tensor, state: Tensor, resets: Tensor | None) -> tuple[Tensor, Tensor]:
        from dsbench.backbones.kernels.triton.linear import forward_kernel

        h, last, lanes = torch.empty_like(x), torch.empty_like(state), Lanes(state.shape[0], state.shape[1])
        if state.numel():
            with on_device_of(x):
                forward_kernel[lanes.grid](
                    *(decay, x, state, flags(resets, x), h, last, x.shape[1], lanes.count),
                    HAS_RESETS=resets is not None,
                    **lanes.sizes,
                )
        ctx.save_for_backward(decay, state, resets, h)
        return h, last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_h: Tensor, grad_last: Tensor) -> tuple[Tensor | None, ...]:
        from dsbench.backbones.kernels.triton.linear import backward_kernel

        decay, state, resets, h = ctx.saved_tensors
        grad_decay, grad_x, grad_state = torch.empty_like(h), torch.empty_like(h), torch.empty_like(state)
        lanes = Lanes(state.shape[0], state.shape[1])
        if state.numel():
            with on_device_of(h):
                backward_kernel[lanes.grid](
                    *(decay, state, flags(resets, h), h, grad_h.contiguous(), grad_last.contiguous()),
                    *(grad_decay, grad_x, grad_state, h.shape[1], lanes.count),
                    HAS_RESETS=resets is not None,
                    **lanes.sizes,
                )
        return grad_decay, grad_x, grad_state, None


def linear_scan_triton(decay: Tensor, x: Tensor, state: Tensor, resets: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """``h_t = decay_t h_{t-1} + x_t``, in float32 (float64 if an input is).

    Args:
        decay: (B, L, D) factors.
        x: (B, L, D) inputs.
        state: (B, D) before the first token.
        resets: (B, L) bool; where True the state before that token is zero, whatever it held (NaN included).

    Returns:
        (B, L, D) states and the (B, D) last one.

    Raises:
        UsageError: the tensors are not on a CUDA device.
    """
    return _LinearScan.apply(*prepared(decay, x, state), resets)
