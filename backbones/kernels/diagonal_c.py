"""The diagonal scan in C, forward and backward; arguments as `dsbench.backbones.kernels.diagonal.diagonal_scan`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dsbench.backbones.kernels.c_library import as_bytes, compute_dtype, library, tracked


def diagonal_scan_c(z: Tensor, x: Tensor, state: Tensor, resets: Tensor | None = None) -> tuple[Tensor, Tensor]:
    if x.shape[1] == 0:
        return torch.zeros_like(x), state
    dtype = compute_dtype(z, x, state)
    z, x, state = (part.to(dtype).contiguous() for part in (z, x, state))
    run = _DiagonalScan.apply if tracked(z, x, state) else _forward
    h = run(z, x, state, as_bytes(resets))
    return h, h[:, -1]


def _forward(z: Tensor, x: Tensor, state: Tensor, resets: Tensor | None) -> Tensor:
    h = torch.empty_like(x)
    library().run("diagonal_forward", len(x), (x.shape[1], len(z) // 2), [z, x, state, resets, h], work=4 * x.numel())
    return h


class _DiagonalScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, x: Tensor, state: Tensor, resets: Tensor | None) -> Tensor:
        h = _forward(z, x, state, resets)
        ctx.save_for_backward(z, state, resets, h)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_h: Tensor) -> tuple[Tensor | None, ...]:
        z, state, resets, h = ctx.saved_tensors
        grad_z, grad_x, grad_state = torch.empty_like(state), torch.empty_like(h), torch.zeros_like(state)
        arrays = [z, state, resets, h, grad_h.contiguous(), grad_z, grad_x, grad_state]
        library().run("diagonal_backward", len(h), (h.shape[1], len(z) // 2), arrays, work=8 * h.numel())
        return grad_z.sum(0), grad_x, grad_state, None
