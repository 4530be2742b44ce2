"""The selective scan in C, forward and backward; arguments as `dsbench.backbones.kernels.selective.selective_scan`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dsbench.backbones.kernels.c_library import as_bytes, compute_dtype, library, tracked


def selective_scan_c(
    u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, state: Tensor, resets: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    if u.shape[1] == 0:
        return torch.zeros_like(u), state
    dtype = compute_dtype(u, delta, a, b, c, state)
    arrays = [x.to(dtype).contiguous() for x in (u, delta, a.mT, b, c, state.mT)]
    if tracked(*arrays):
        y, last = _SelectiveScan.apply(*arrays, as_bytes(resets))
    else:
        y, last, _ = _forward(arrays, as_bytes(resets), keep=False)
    return y, last.mT


def _forward(arrays: list[Tensor], resets: Tensor | None, keep: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    u, _, a, _, _, state = arrays
    rows, length, channels = u.shape
    scans = library()
    y, last = torch.empty_like(u), torch.empty_like(state)
    kept = u.new_empty(rows, -(-length // scans.chunk), *a.shape) if keep else None
    sizes = (length, channels, len(a))
    scans.run("selective_forward", rows, sizes, [*arrays, resets, y, last, kept], work=20 * u.numel() * len(a))
    return y, last, kept


class _SelectiveScan(torch.autograd.Function):
    """On contiguous arrays; a (N, E) and the states (B, N, E) channels last."""

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, state: Tensor, resets: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        y, last, kept = _forward([u, delta, a, b, c, state], resets, keep=True)
        ctx.save_for_backward(u, delta, a, b, c, resets, kept)
        return y, last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, grad_last: Tensor) -> tuple[Tensor | None, ...]:
        u, delta, a, b, c, resets, kept = ctx.saved_tensors
        grad_u, grad_delta, grad_b, grad_c = (torch.empty_like(x) for x in (u, delta, b, c))
        grad_a = u.new_empty(len(u), *a.shape)
        grad_state = grad_last.clone(memory_format=torch.contiguous_format)
        arrays = [
            u, delta, a, b, c, resets, kept, grad_y.contiguous(),
            grad_u, grad_delta, grad_a, grad_b, grad_c, grad_state,
        ]  # fmt: skip
        sizes = (u.shape[1], u.shape[2], len(a))
        library().run("selective_backward", len(u), sizes, arrays, work=40 * u.numel() * len(a))
        return grad_u, grad_delta, grad_a.sum(0), grad_b, grad_c, grad_state, None
