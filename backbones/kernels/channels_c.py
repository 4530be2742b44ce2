"""The diagonal system of channels as a fused recurrence in C; see `dsbench.backbones.kernels.channels`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dsbench.backbones.kernels.c_library import as_bytes, compute_dtype, library, tracked

if TYPE_CHECKING:
    from dsbench.backbones.s4d import DiagonalSystem


def channel_system_c(
    system: DiagonalSystem, u: Tensor, state: Tensor | None, resets: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    size = torch.exp(system.log_size)
    z = torch.cat([size * torch.cos(system.angle), size * torch.sin(system.angle)], -1)
    b, c = torch.cat(system.b, -1), 2 * torch.cat(system.c, -1)
    if state is None:
        state = z.new_zeros(len(u), *z.shape)
    dtype = compute_dtype(u, z, b, c, state)
    arrays = [x.to(dtype).contiguous() for x in (u, z.mT, b.mT, c.mT, state.mT)]
    if tracked(*arrays):
        y, last = _ChannelSystem.apply(*arrays, as_bytes(resets))
    else:
        y, last, _ = _forward(arrays, as_bytes(resets), keep=False)
    return y, last.mT


def _forward(arrays: list[Tensor], resets: Tensor | None, keep: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    u, z, _, _, state = arrays
    rows, length, channels = u.shape
    scans = library()
    y, last = torch.empty_like(u), torch.empty_like(state)
    kept = u.new_empty(rows, -(-length // scans.tile), *z.shape) if keep else None
    sizes = (length, channels, len(z) // 2)
    scans.run("channels_forward", rows, sizes, [*arrays, resets, y, last, kept], work=4 * u.numel() * len(z))
    return y, last, kept


class _ChannelSystem(torch.autograd.Function):
    """On contiguous arrays; parameters (2 N, H) and states (B, 2 N, H) channels last."""

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, z: Tensor, b: Tensor, c: Tensor, state: Tensor, resets: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        y, last, kept = _forward([u, z, b, c, state], resets, keep=True)
        ctx.save_for_backward(u, z, b, c, resets, kept)
        return y, last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, grad_last: Tensor) -> tuple[Tensor | None, ...]:
        u, z, b, c, resets, kept = ctx.saved_tensors
        grad_u = torch.empty_like(u)
        grad_z, grad_b, grad_c = (u.new_empty(len(u), *z.shape) for _ in range(3))
        grad_state = grad_last.clone(memory_format=torch.contiguous_format)
        arrays = [u, z, b, c, resets, kept, grad_y.contiguous(), grad_u, grad_z, grad_b, grad_c, grad_state]
        sizes = (u.shape[1], u.shape[2], len(z) // 2)
        library().run("channels_backward", len(u), sizes, arrays, work=12 * u.numel() * len(z))
        return grad_u, grad_z.sum(0), grad_b.sum(0), grad_c.sum(0), grad_state, None
