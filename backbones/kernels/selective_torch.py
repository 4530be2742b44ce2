"""The selective scan in plain torch, linear in length; arguments as `dsbench.backbones.kernels.selective.selective_scan`.

Tokens go by chunks: the state is kept once a chunk, and the backward pass, written by hand, computes the rest again.
Inside, tensors lie as (time, rows, states, channels): with the long axis last every broadcast is a vector instruction, and
a chunk stays in the cache.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

LOG2_E = 1 / math.log(2)
CHUNK = 32  # most tokens whose states are held at once
CHUNK_STATES = 2**18  # most entries of the tensor that holds them: 1 MiB in float32, what a core's cache takes


def selective_scan_torch(
    u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, state: Tensor, resets: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    if u.shape[1] == 0:
        return torch.zeros_like(u), state
    with torch.autocast(u.device.type, enabled=False):
        by_time = [x.transpose(0, 1).contiguous() for x in (u, delta, b, c)]
        y, last = _Scan.apply(_Resets.of(resets), *by_time, a.mT.contiguous(), state.mT.contiguous())
    return y.transpose(0, 1), last.mT


class _Resets(NamedTuple):
    """Resets by time, and which of them concern any row (read once: each look waits for the device)."""

    rows: Tensor | None = None  # (L, B)
    any: list[bool] = []  # noqa: RUF012  an immutable default would need a copy of every list

    @classmethod
    def of(cls, resets: Tensor | None) -> _Resets:
        return cls() if resets is None else cls(resets.T.contiguous(), resets.any(0).tolist())

    def forget(self, h: Tensor, t: int) -> Tensor:
        """The state (B, N, E) that token t sees."""
        if self.rows is None or not self.any[t]:
            return h
        return torch.where(self.rows[t].view(-1, 1, 1), 0.0, h)


class _Scan(torch.autograd.Function):
    """Time first: u, delta (L, B, E), b, c (L, B, N), a (N, E), h (B, N, E)."""

    @staticmethod
    def forward(
        ctx: Any, resets: _Resets, u: Tensor, delta: Tensor, b: Tensor, c: Tensor, a: Tensor, h: Tensor
    ) -> tuple[Tensor, Tensor]:
        size = max(1, min(CHUNK, CHUNK_STATES // max(1, h.numel())))
        ctx.chunks = [range(begin, min(begin + size, len(u))) for begin in range(0, len(u), size)]
        ctx.resets = resets
        y, kept = torch.empty_like(u), []
        for chunk in ctx.chunks:
            kept.append(h)
            part = slice(chunk.start, chunk.stop)
            decay, states = _discretise(u[part], delta[part], a, b[part])
            for t, decay_t, h_t in zip(chunk, decay, states, strict=True):
                h = h_t.addcmul_(decay_t, resets.forget(h, t))
            y[part] = (c[part].unsqueeze(2) @ states).squeeze(2)
            h = h.clone()  # a view would keep the whole chunk alive
        ctx.save_for_backward(u, delta, b, c, a, *kept)
        return y, h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, grad_h: Tensor) -> tuple[Tensor | None, ...]:
        u, delta, b, c, a, *kept = ctx.saved_tensors
        grads = [torch.empty_like(x) for x in (u, delta, b, c)]
        grad_a = torch.zeros_like(a)
        for chunk, h in reversed(list(zip(ctx.chunks, kept, strict=True))):
            part = slice(chunk.start, chunk.stop)
            *own, more, grad_h = _chunk_backward(
                u[part], delta[part], b[part], c[part], a, h, ctx.resets, chunk, grad_y[part], grad_h
            )
            for whole, piece in zip(grads, own, strict=True):
                whole[part] = piece
            grad_a += more
        return None, *grads, grad_a, grad_h


def _chunk_backward(
    u: Tensor,
    delta: Tensor,
    b: Tensor,
    c: Tensor,
    a: Tensor,
    h: Tensor,
    resets: _Resets,
    chunk: range,
    grad_y: Tensor,
    grad_h: Tensor,
) -> tuple[Tensor, ...]:
    """Gradients of u, delta, b, c, a and of the state before the chunk, given those of y and of the state after it."""
    decay, states = _discretise(u, delta, a, b)
    before = torch.empty_like(states)  # h_{t-1} as token t saw it: zero where an episode starts
    for i, (t, decay_t, h_t) in enumerate(zip(chunk, decay, states, strict=True)):
        before[i] = resets.forget(h, t)
        h = h_t.addcmul_(decay_t, before[i])
    grad_c = (grad_y.unsqueeze(2) @ states.mT).squeeze(2)  # a row times a matrix: seven times as fast as its transpose
    if resets.rows is not None:
        gone = resets.rows[chunk.start : chunk.stop]
        decay.masked_fill_(gone[:, :, None, None], 0.0)  # no gradient crosses the start of an episode
    grad = torch.mul(c.unsqueeze(-1), grad_y.unsqueeze(2), out=states)  # of h_t; what later tokens add comes below
    for grad_t, decay_t in zip(reversed(grad.unbind()), reversed(decay.unbind()), strict=True):
        grad_t += grad_h
        grad_h = decay_t * grad_t
    grad_b = ((delta * u).unsqueeze(2) @ grad.mT).squeeze(2)
    grad_drive = (b.unsqueeze(2) @ grad).squeeze(2)  # of delta u
    grad.mul_(decay).mul_(before)  # of delta A
    grad_delta = torch.mul(grad, a, out=decay).sum(2)
    grad_a = torch.mul(grad, delta.unsqueeze(2), out=decay).sum((0, 1))
    return grad_drive * delta, grad_delta + grad_drive * u, grad_b, grad_c, grad_a, grad_h


def _discretise(u: Tensor, delta: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """exp(delta A), by powers of two, which torch computes three times as fast, and delta B u, both (L, B, N, E)."""
    return (delta.unsqueeze(2) * (LOG2_E * a)).exp2_(), b.unsqueeze(-1) * (delta * u).unsqueeze(2)
