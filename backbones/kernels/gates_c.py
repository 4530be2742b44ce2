"""The softplus of step sizes and the gate of a scan in C; arguments as `dsbench.backbones.kernels.gates`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dsbench.backbones.kernels.c_library import compute_dtype, library, tracked

_EXPONENTIAL = 10  # multiplications that take as long as an exponential and a quotient


def softplus_bias_c(x: Tensor, bias: Tensor) -> Tensor:
    dtype, asked = compute_dtype(x, bias), torch.promote_types(x.dtype, bias.dtype)
    x, bias = x.to(dtype).contiguous(), bias.to(dtype).contiguous()
    run = _SoftplusBias.apply if tracked(x, bias) else _softplus_forward
    return run(x, bias).to(asked)


def _softplus_forward(x: Tensor, bias: Tensor) -> Tensor:
    out = torch.empty_like(x)
    work = 2 * _EXPONENTIAL * x.numel()
    library().run("softplus_forward", len(x), x.shape[1:], [x, bias, out], work)
    return out


class _SoftplusBias(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, bias)
        return _softplus_forward(x, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor, Tensor]:
        x, bias = ctx.saved_tensors
        grad_x, grad_bias = torch.empty_like(x), x.new_empty(len(x), len(bias))
        arrays = [x, bias, grad_out.contiguous(), grad_x, grad_bias]
        library().run("softplus_backward", len(x), x.shape[1:], arrays, 2 * _EXPONENTIAL * x.numel())
        return grad_x, grad_bias.sum(0)


def gate_c(y: Tensor, u: Tensor, d: Tensor, z: Tensor) -> Tensor:
    dtype, asked = compute_dtype(y, u, d, z), y.dtype
    y, d = y.to(dtype).contiguous(), d.to(dtype).contiguous()
    u, z = _token_by_token(u.to(dtype)), _token_by_token(z.to(dtype))
    run = _Gate.apply if tracked(y, u, d, z) else _gate_forward
    return run(y, u, d, z).to(asked)


def _gate_forward(y: Tensor, u: Tensor, d: Tensor, z: Tensor) -> Tensor:
    out = torch.empty_like(y)
    sizes = (*y.shape[1:], _stride(u), _stride(z))
    library().run("gate_forward", len(y), sizes, [y, u, d, z, out], work=2 * _EXPONENTIAL * y.numel())
    return out


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, u: Tensor, d: Tensor, z: Tensor) -> Tensor:
        ctx.save_for_backward(y, u, d, z)
        return _gate_forward(y, u, d, z)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        y, u, d, z = ctx.saved_tensors
        grad_y, grad_u, grad_z = (torch.empty_like(y) for _ in range(3))
        grad_d = y.new_empty(len(y), len(d))
        arrays = [y, u, d, z, grad_out.contiguous(), grad_y, grad_u, grad_d, grad_z]
        sizes = (*y.shape[1:], _stride(u), _stride(z))
        library().run("gate_backward", len(y), sizes, arrays, work=3 * _EXPONENTIAL * y.numel())
        return grad_y, grad_u, grad_d.sum(0), grad_z


def _token_by_token(x: Tensor) -> Tensor:
    """`x` (B, L, E) itself if its tokens lie at one distance, its channels side by side; a contiguous copy otherwise."""
    rows, between, inside = x.stride()
    return x if inside == 1 and rows == between * x.shape[1] else x.contiguous()


def _stride(x: Tensor) -> int:
    """From token to token; an axis of length 1 may claim any."""
    return x.shape[2] if x.is_contiguous() else x.stride(1)
