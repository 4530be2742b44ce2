"""The linear scan in C, forward and backward; arguments as `dsbench.backbones.kernels.linear.linear_scan`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dsbench.backbones.kernels.c_library import as_bytes, compute_dtype, library, tracked


def linear_scan_c(decay: Tensor, x: Tensor, state: Tensor, resets: Tensor | None = None) -> tuple[Tensor, Tensor]:
    if x.shape[1] == 0:
        return torch.zeros_like(x), state
    dtype = compute_dtype(decay, x, state)
    decay, x, state = (part.to(dtype).contiguous() for part in (decay, x, state))
    run = _LinearScan.apply if tracked(decay, x, state) else _forward
    h = run(decay, x, state, as_bytes(resets))
    return h, h[:, -1]


def _forward(decay: Tensor, x: Tensor, state: Tensor, resets: Tensor | None) -> Tensor:
    h = torch.empty_like(x)
    library().run("linear_forward", len(x), x.shape[1:], [decay, x, state, resets, h], work=2 * x.numel())
    return h


class _LinearScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, decay: Tensor, x: Tensor, state: Tensor, resets: Tensor | None) -> Tensor:
        h = _forward(decay, x, state, resets)
        ctx.save_for_backward(decay, state, resets, h)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_h: Tensor) -> tuple[Tensor | None, ...]:
        decay, state, resets, h = ctx.saved_tensors
        grad_decay, grad_x, grad_state = torch.empty_like(h), torch.empty_like(h), torch.zeros_like(state)
        arrays = [decay, state, resets, h, grad_h.contiguous(), grad_decay, grad_x, grad_state]
        library().run("linear_backward", len(h), h.shape[1:], arrays, work=4 * h.numel())
        return grad_decay, grad_x, grad_state, None
