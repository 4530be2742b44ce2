"""Kernels of the real, time-varying linear scan: one program per row and block of channels."""

from __future__ import annotations

import triton
import triton.language as tl

STAGES = tl.constexpr(8)  # tokens in flight


@triton.jit
def forward_kernel(decay, x, state, resets, h, last, length, channels, HAS_RESETS: tl.constexpr, BLOCK: tl.constexpr):
    """All states h (B, L, D) and the last one."""
    row = tl.program_id(0).to(tl.int64)
    d = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    has = d < channels
    held = row * channels + d
    h_t = tl.load(state + held, has, 0.0)
    for t in tl.range(0, length, num_stages=STAGES):
        token = row * length + t
        at = token * channels + d
        decay_t, x_t = tl.load(decay + at, has, 0.0), tl.load(x + at, has, 0.0)
        if HAS_RESETS:
            h_t = tl.where(tl.load(resets + token) != 0, 0.0, h_t)
        h_t = decay_t * h_t + x_t
        tl.store(h + at, h_t, has)
    tl.store(last + held, h_t, has)


@triton.jit
def backward_kernel(
    decay,
    state,
    resets,
    h,
    grad_h,
    grad_last,
    grad_decay,
    grad_x,
    grad_state,
    length,
    channels,
    HAS_RESETS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Gradients from the decays and the states."""
    row = tl.program_id(0).to(tl.int64)
    d = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    has = d < channels
    held = row * channels + d
    flow = tl.load(grad_last + held, has, 0.0)
    for i in tl.range(0, length, num_stages=STAGES):
        t = length - 1 - i
        token = row * length + t
        at = token * channels + d
        before = tl.load(tl.where(t > 0, h + at - channels, state + held), has, 0.0)
        flow += tl.load(grad_h + at, has, 0.0)
        tl.store(grad_x + at, flow, has)
        decayed = tl.load(decay + at, has, 0.0) * flow
        if HAS_RESETS:
            cut = tl.load(resets + token) != 0
            before, decayed = tl.where(cut, 0.0, before), tl.where(cut, 0.0, decayed)
        tl.store(grad_decay + at, flow * before, has)
        flow = decayed
    tl.store(grad_state + held, flow, has)
