"""The diagonal system of channels as a fused recurrence in C; see `dsbench.backbones.kernels.channels`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dsbench.backbones.kernels.c_library import as_bytes, compute_dtype, library, tracked
from dsbench.backbones.vandermonde import complex_product

if TYPE_CHECKING:
    from dsbench.backbones.s4d import DiagonalSystem

MOST_ROWS = 8  # short ones whose parameter gradients are added up before they are written


def channel_system_c(
    system: DiagonalSystem, u: Tensor, state: Tensor | None, resets: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    size = torch.exp(system.log_size)
    z = torch.cat([size * torch.cos(system.angle), size * torch.sin(system.angle)], -1)
    b, c = torch.cat(system.b, -1), 2 * torch.cat(system.c, -1)
    driven = 2 * torch.cat(complex_product(system.c, system.b), -1)
    dtype = compute_dtype(u, z, driven, *([] if state is None else [state]))
    u, z, b, c, driven = (x.to(dtype).contiguous() for x in (u, z.mT, b.mT, c.mT, driven.mT))
    flags = as_bytes(resets)
    y, last = _run(u, z, driven, b, None, flags)
    if state is not None:  # its own run: divided by a small b it would drown what b's gradient owes to the inputs
        y_free, last_free = _run(torch.zeros_like(u), z, c, None, state.mT.to(dtype).contiguous(), flags)
        y, last = y + y_free, last + last_free
    return y, last.mT


def _run(
    u: Tensor, z: Tensor, c: Tensor, b: Tensor | None, first: Tensor | None, resets: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The recurrence of csrc/channels.h on contiguous arrays; no first state is one of zeros."""
    if tracked(*(x for x in (u, z, c, b, first) if x is not None)):
        y, last = _ChannelSystem.apply(u, z, c, b, first, resets)
    else:
        y, last, _ = _forward(u, z, c, b, first, resets, keep=False)
    return y, last


def _forward(
    u: Tensor, z: Tensor, c: Tensor, b: Tensor | None, first: Tensor | None, resets: Tensor | None, keep: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    rows, length, channels = u.shape
    scans = library()
    y, last = torch.empty_like(u), u.new_empty(rows, *z.shape)
    kept = u.new_empty(rows, -(-length // scans.tile) - 1, *z.shape) if keep else None
    sizes = (length, channels, len(z) // 2)
    arrays = [u, z, c, b, first, resets, y, last, kept]
    scans.run("channels_forward", rows, sizes, arrays, work=3 * u.numel() * len(z))
    return y, last, kept


class _ChannelSystem(torch.autograd.Function):
    """Parameters (2 n, H) and states (B, 2 n, H), channels last."""

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, z: Tensor, c: Tensor, b: Tensor | None, first: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        y, last, kept = _forward(u, z, c, b, first, resets, keep=True)
        ctx.save_for_backward(u, z, c, b, first, resets, kept)
        ctx.set_materialize_grads(False)  # the final state is seldom used, and large beside short rows
        return y, last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor | None, grad_last: Tensor | None) -> tuple[Tensor | None, ...]:
        u, z, c, b, first, resets, kept = ctx.saved_tensors
        grad_b = None
        if grad_last is not None:
            grad_last = grad_last.contiguous()
            if b is not None:
                _, undriven, _ = _forward(u, z, c, None, first, resets, keep=False)
                grad_b = _conjugate_product(undriven, grad_last).sum(0)
                grad_last = _conjugate_product(b, grad_last)
        rows, length, channels = u.shape
        grad_y = torch.zeros_like(u) if grad_y is None else grad_y.contiguous()
        group = max(1, min(MOST_ROWS, library().tile // length))
        groups = -(-rows // group)
        grad_u, grad_first = torch.empty_like(u), None if first is None else torch.empty_like(first)
        grad_z, grad_c = (u.new_empty(groups, *z.shape) for _ in range(2))
        sizes = (rows, group, length, channels, len(z) // 2)
        arrays = [u, z, c, first, resets, kept, grad_y, grad_last, grad_u, grad_z, grad_c, grad_first]
        library().run("channels_backward", groups, sizes, arrays, work=9 * u.numel() * len(z))
        return grad_u, grad_z.sum(0), grad_c.sum(0), grad_b, grad_first, None


def _conjugate_product(a: Tensor, b: Tensor) -> Tensor:
    """conj(a) b of complex numbers (*, 2 n, H), real parts first."""
    (real, imaginary), (x, y) = a.chunk(2, -2), b.chunk(2, -2)
    return torch.cat([real * x + imaginary * y, real * y - imaginary * x], -2)
