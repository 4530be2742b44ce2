"""The short convolution in C, forward and backward; arguments as
`dsbench.backbones.kernels.short_convolution.short_convolution`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dsbench.backbones.kernels.c_library import as_bytes, compute_dtype, library, tracked


def short_convolution_c(
    u: Tensor, weight: Tensor, bias: Tensor, state: Tensor, resets: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    if u.shape[1] == 0:
        return torch.zeros_like(u, dtype=state.dtype), state
    dtype = compute_dtype(u, weight, bias, state)
    u = _even(u.to(dtype))
    weight, bias, state = (part.to(dtype).contiguous() for part in (weight, bias, state))
    run = _ShortConvolution.apply if tracked(u, weight, bias, state) else _forward
    return run(u, weight, bias, state, as_bytes(resets))


def _even(u: Tensor) -> Tensor:
    """`u` itself where a channel is next to the other and all tokens of the batch are equally far apart, as in one part
    of a projection; a copy otherwise."""
    return u if u.stride(2) == 1 and u.stride(0) == u.shape[1] * u.stride(1) else u.contiguous()


def _sizes(u: Tensor, weight: Tensor) -> tuple[int, ...]:
    stride = u.shape[2] if u.is_contiguous() else u.stride(1)  # that of an axis of length 1 may be anything
    return u.shape[1], u.shape[2], len(weight), stride


def _forward(u: Tensor, weight: Tensor, bias: Tensor, state: Tensor, resets: Tensor | None) -> tuple[Tensor, Tensor]:
    y, last = torch.empty_like(u, memory_format=torch.contiguous_format), torch.empty_like(state)
    arrays = [u, weight, bias, state, resets, y, last]
    work = (20 + len(weight)) * u.numel()  # an exponential and a division among it
    library().run("convolution_forward", len(u), _sizes(u, weight), arrays, work=work)
    return y, last


class _ShortConvolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, u: Tensor, weight: Tensor, bias: Tensor, state: Tensor, resets: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(u, weight, bias, state, resets)
        return _forward(u, weight, bias, state, resets)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, grad_last: Tensor) -> tuple[Tensor | None, ...]:
        u, weight, bias, state, resets = ctx.saved_tensors
        grad_u, grad_state = torch.empty_like(u, memory_format=torch.contiguous_format), torch.empty_like(state)
        grad_weight, grad_bias = u.new_empty(len(u), *weight.shape), u.new_empty(len(u), *bias.shape)
        arrays = [
            u, weight, bias, state, resets, grad_y.contiguous(), grad_last.contiguous(),
            grad_u, grad_weight, grad_bias, grad_state,
        ]  # fmt: skip
        work = (20 + 4 * len(weight)) * u.numel()
        library().run("convolution_backward", len(u), _sizes(u, weight), arrays, work=work)
        return grad_u, grad_weight.sum(0), grad_bias.sum(0), grad_state, None
