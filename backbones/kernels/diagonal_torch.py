"""The diagonal complex scan in plain torch: two levels, with a backward pass of its own.

    h_t = z h_{t-1} + x_t,    backwards: g_t = dL/dh_t + conj(z) g_{t+1},    dL/dx_t = g_t,    dL/dz = sum g_t conj(h_{t-1})

Complex numbers are planar, ``[real | imaginary]`` in the last axis. See `dsbench.backbones.kernels.two_level`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dsbench.backbones.kernels.two_level import Advance, Cuts, Grid, scan_blocks


def diagonal_scan_torch(z: Tensor, x: Tensor, state: Tensor, resets: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Run the recurrence over a batch of rows; linear in L in time and memory.

    Args:
        z: (2P,) decay of each mode, ``[real | imaginary]`` as everything here.
        x: (B, L, 2P) inputs.
        state: (B, 2P) before the first token.
        resets: (B, L) bool; where True, the state before that token is zero, whatever it held (NaN included).

    Returns:
        (B, L, 2P) states and the (B, 2P) state after the last token. Differentiable once in z, x and state.
    """
    if x.shape[1] == 0:
        return torch.zeros_like(x), state
    h, last = _DiagonalScan.apply(z, x, state, resets)
    return h, last


class _DiagonalScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, x: Tensor, state: Tensor, resets: Tensor | None) -> tuple[Tensor, Tensor]:
        grid = Grid.of(x, planes=2)
        blocks, cuts = grid.cut(x), Cuts(grid, resets)
        _scan(grid, blocks, grid.pack(state), z, cuts)
        h, last = grid.join(blocks), grid.unpack(grid.last(blocks))
        ctx.save_for_backward(z, h, state, resets)
        ctx.set_materialize_grads(False)
        return h, last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_h: Tensor | None, grad_last: Tensor | None) -> tuple[Tensor | None, ...]:
        z, h, state, resets = ctx.saved_tensors
        if grad_h is None and grad_last is None:
            return None, None, None, None
        grid = Grid.of(h, planes=2)
        g = grid.cut(torch.zeros_like(h) if grad_h is None else grad_h)
        if grad_last is not None:
            grid.last(g).add_(grid.pack(grad_last))
        conjugate = torch.cat([z[: len(z) // 2], -z[len(z) // 2 :]])
        _scan(grid, g, torch.zeros_like(grid.pack(state)), conjugate, Cuts(grid, resets, reverse=True), reverse=True)
        grad_z = _decay_gradient(grid, g, h, state, resets) if ctx.needs_input_grad[0] else None
        grad_state = _state_gradient(grid, g, conjugate, resets) if ctx.needs_input_grad[2] else None
        return grad_z, grid.join(g), grad_state, None


def _scan(grid: Grid, blocks: Tensor, entry: Tensor, z: Tensor, cuts: Cuts, reverse: bool = False) -> None:
    steps = blocks.unbind(0)
    block = _power(z, grid.steps)
    carry = _multiply(block)
    scan_blocks(grid, steps[::-1] if reverse else steps, entry, _multiply(z), carry, cuts, reverse)


def _multiply(z: Tensor) -> Advance:
    """``out = z h + x`` on planes (2, R, P)."""
    real, imaginary = z.chunk(2)

    def advance(_: int, x: Tensor, h: Tensor, out: Tensor) -> None:
        torch.addcmul(x, real, h, out=out)
        out[0].addcmul_(imaginary, h[1], value=-1)
        out[1].addcmul_(imaginary, h[0])

    return advance


def _power(z: Tensor, exponent: int) -> Tensor:
    """z ** exponent by repeated squaring."""
    base, power = torch.complex(*z.chunk(2)), None
    while exponent:
        if exponent % 2:
            power = base if power is None else power * base
        base, exponent = base * base, exponent // 2
    assert power is not None
    return torch.cat([power.real, power.imag])


def _decay_gradient(grid: Grid, g: Tensor, h: Tensor, state: Tensor, resets: Tensor | None) -> Tensor:
    """dL/dz (2P,): every token's gradient times the conjugate of the state before it, where that was seen."""
    blocks, cuts = grid.cut(h), Cuts(grid, resets)
    same, crossed = torch.zeros_like(g[0]), torch.zeros_like(g[0, 0])
    before = grid.before(blocks, grid.pack(state))
    for i, (gradient, after) in enumerate(zip(g.unbind(0), blocks.unbind(0), strict=True)):
        if cuts.rows:
            before.index_fill_(1, cuts.rows[i], 0.0)
        same.addcmul_(gradient, before)
        crossed.addcmul_(gradient[1], before[0]).addcmul_(gradient[0], before[1], value=-1)
        before = after
    return torch.cat([same.sum((0, 1)), crossed.sum(0)])


def _state_gradient(grid: Grid, g: Tensor, conjugate: Tensor, resets: Tensor | None) -> Tensor:
    first = g[0, :, : grid.rows]
    gradient = torch.zeros_like(first)
    _multiply(conjugate)(0, gradient, first, gradient)
    flat = grid.unpack(gradient)
    return flat if resets is None else torch.where(resets[:, :1], 0.0, flat)
