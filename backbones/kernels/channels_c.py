"""The diagonal system of channels as a fused recurrence in C; see `dsbench.backbones.kernels.channels`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dsbench.backbones.kernels.c_library import as_bytes, compute_dtype, library, tracked
from dsbench.backbones.vandermonde import Pair, complex_product

if TYPE_CHECKING:
    from dsbench.backbones.s4d import DiagonalSystem


def channel_system_c(
    system: DiagonalSystem, u: Tensor, state: Tensor | None, resets: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    size = torch.exp(system.log_size)
    z = torch.cat([size * torch.cos(system.angle), size * torch.sin(system.angle)], -1)
    driven = torch.cat(complex_product(system.c, system.b), -1)
    dtype = compute_dtype(u, z, driven, *([] if state is None else [state]))
    u, z, driven = (x.to(dtype).contiguous() for x in (u, z.mT, 2 * driven.mT))
    flags = as_bytes(resets)
    y, last = _run(u, z, driven, u.new_zeros(len(u), *z.shape), flags)
    last = _scaled(last, system.b)
    if state is not None:  # its own run: divided by a small b it would drown what b's gradient owes to the inputs
        free = (2 * torch.cat(system.c, -1).mT).to(dtype).contiguous()
        y_free, last_free = _run(torch.zeros_like(u), z, free, state.mT.to(dtype).contiguous(), flags)
        y, last = y + y_free, last + last_free
    return y, last.mT


def _scaled(state: Tensor, factor: Pair) -> Tensor:
    """States (B, N, H) times factors, real and imaginary part (H, n)."""
    real, imaginary = factor[0].mT, factor[1].mT
    swapped = state.roll(len(real), 1)
    return torch.addcmul(state * torch.cat([real, real]), swapped, torch.cat([-imaginary, imaginary]))


def _run(u: Tensor, z: Tensor, c: Tensor, first: Tensor, resets: Tensor | None) -> tuple[Tensor, Tensor]:
    """The recurrence of csrc/channels.h on contiguous arrays."""
    if tracked(u, z, c, first):
        y, last = _ChannelSystem.apply(u, z, c, first, resets)
    else:
        y, last, _ = _forward([u, z, c, first], resets, keep=False)
    return y, last


def _forward(arrays: list[Tensor], resets: Tensor | None, keep: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    u, z, _, first = arrays
    rows, length, channels = u.shape
    scans = library()
    y, last = torch.empty_like(u), torch.empty_like(first)
    kept = u.new_empty(rows, -(-length // scans.tile), *z.shape) if keep else None
    sizes = (length, channels, len(z) // 2)
    scans.run("channels_forward", rows, sizes, [*arrays, resets, y, last, kept], work=3 * u.numel() * len(z))
    return y, last, kept


class _ChannelSystem(torch.autograd.Function):
    """Parameters (2 n, H) and states (B, 2 n, H), channels last."""

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, z: Tensor, c: Tensor, first: Tensor, resets: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        y, last, kept = _forward([u, z, c, first], resets, keep=True)
        ctx.save_for_backward(u, z, c, resets, kept)
        return y, last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, grad_last: Tensor) -> tuple[Tensor | None, ...]:
        u, z, c, resets, kept = ctx.saved_tensors
        grad_u = torch.empty_like(u)
        grad_z, grad_c = (u.new_empty(len(u), *z.shape) for _ in range(2))
        grad_first = grad_last.clone(memory_format=torch.contiguous_format)
        arrays = [u, z, c, resets, kept, grad_y.contiguous(), grad_u, grad_z, grad_c, grad_first]
        sizes = (u.shape[1], u.shape[2], len(z) // 2)
        library().run("channels_backward", len(u), sizes, arrays, work=9 * u.numel() * len(z))
        return grad_u, grad_z.sum(0), grad_c.sum(0), grad_first, None
