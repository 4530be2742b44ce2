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
    b = _away_from_zero(system.b)
    c_real, c_imaginary = complex_product(system.c, b)
    c = 2 * torch.cat([c_real, c_imaginary], -1)
    dtype = compute_dtype(u, z, c, *([] if state is None else [state]))
    u, z, c = (x.to(dtype).contiguous() for x in (u, z.mT, c.mT))
    if state is None:
        first = u.new_zeros(len(u), *z.shape)
    else:
        if resets is not None:  # what a reset discards must not meet a zero gradient: it may be NaN
            state = torch.where(resets[:, :1].unsqueeze(-1), 0.0, state)
        square = b[0].square() + b[1].square()
        first = _scaled(state.to(dtype), (b[0] / square, -b[1] / square)).mT.contiguous()
    if tracked(u, z, c, first):
        y, last = _ChannelSystem.apply(u, z, c, first, as_bytes(resets))
    else:
        y, last, _ = _forward([u, z, c, first], as_bytes(resets), keep=False)
    return y, _scaled(last.mT, b)


def _away_from_zero(b: Pair) -> Pair:
    """b, by which a state is divided; where it vanishes, a drive as small as the root of the smallest number."""
    tiny = torch.finfo(b[0].dtype).tiny ** 0.5
    return torch.where(b[0].abs() + b[1].abs() < tiny, tiny, b[0]), b[1]


def _scaled(state: Tensor, factor: Pair) -> Tensor:
    """States (B, H, N) times factors, real and imaginary part (H, n)."""
    real, imaginary = torch.cat([factor[0]] * 2, -1), torch.cat([-factor[1], factor[1]], -1)
    return torch.addcmul(state * real, state.roll(state.shape[-1] // 2, -1), imaginary)


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
    """The recurrence of csrc/channels.h on contiguous arrays; parameters (2 n, H) and states (B, 2 n, H) channels last."""

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
