"""The real, time-varying linear scan in plain torch: two levels, with a backward pass of its own.

    h_t = a_t h_{t-1} + x_t,    backwards: g_t = dL/dh_t + a_{t+1} g_{t+1},    dL/dx_t = g_t,    dL/da_t = g_t h_{t-1}

See `dsbench.backbones.kernels.two_level`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dsbench.backbones.kernels.two_level import Advance, Cuts, Grid, scan_blocks


def linear_scan_torch(decay: Tensor, x: Tensor, state: Tensor, resets: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Run the recurrence over a batch of rows; linear in L in time and memory.

    Args:
        decay: (B, L, D) what is kept of the state at each token.
        x: (B, L, D) inputs.
        state: (B, D) before the first token.
        resets: (B, L) bool; where True, the state before that token is zero, whatever it held (NaN included).

    Returns:
        (B, L, D) states and the (B, D) state after the last token. Differentiable once in decay, x and state.
    """
    if x.shape[1] == 0:
        return torch.zeros_like(x), state
    h, last = _LinearScan.apply(decay, x, state, resets)
    return h, last


class _LinearScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, decay: Tensor, x: Tensor, state: Tensor, resets: Tensor | None) -> tuple[Tensor, Tensor]:
        grid = Grid.of(x, planes=1)
        blocks, kept = grid.cut(x), grid.cut(decay)
        carry = _multiply(grid.by_block(kept.prod(0)))
        advance = _multiply(kept.unbind(0))
        scan_blocks(grid, blocks.unbind(0), grid.pack(state), advance, carry, Cuts(grid, resets), reverse=False)
        h, last = grid.join(blocks), grid.unpack(grid.last(blocks))
        ctx.save_for_backward(decay, h, state, resets)
        ctx.set_materialize_grads(False)
        return h, last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_h: Tensor | None, grad_last: Tensor | None) -> tuple[Tensor | None, ...]:
        decay, h, state, resets = ctx.saved_tensors
        if grad_h is None and grad_last is None:
            return None, None, None, None
        grid = Grid.of(h, planes=1)
        blocks, kept = grid.cut(torch.zeros_like(h) if grad_h is None else grad_h), grid.cut(decay)
        if grad_last is not None:
            grid.last(blocks).add_(grid.pack(grad_last))
        next_block = grid.after(kept)
        carry = _multiply(grid.by_block(kept[1:].prod(0) * next_block)[::-1])
        advance = _multiply((next_block, *kept.unbind(0)[:0:-1]))
        entry = torch.zeros_like(grid.pack(state))
        scan_blocks(grid, blocks.unbind(0)[::-1], entry, advance, carry, Cuts(grid, resets, reverse=True), reverse=True)
        g = grid.join(blocks)
        seen = torch.cat([state.unsqueeze(1), h[:, :-1]], 1)
        grad_state = decay[:, 0] * g[:, 0]
        if resets is not None:
            seen = seen.masked_fill(resets.unsqueeze(-1), 0.0)
            grad_state = grad_state.masked_fill(resets[:, :1], 0.0)
        return g * seen, g, grad_state, None


def _multiply(decays: Sequence[Tensor]) -> Advance:
    """``out = a_i h + x``."""

    def advance(i: int, x: Tensor, h: Tensor, out: Tensor) -> None:
        torch.addcmul(x, decays[i], h, out=out)

    return advance
