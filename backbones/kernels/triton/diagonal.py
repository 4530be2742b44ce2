"""Kernels of the diagonal complex scan: one program per row and block of states, all states planar `[real | imaginary]`."""

from __future__ import annotations

import triton
import triton.language as tl

STAGES = tl.constexpr(8)  # tokens in flight


@triton.jit
def forward_kernel(z, x, state, resets, h, last, length, modes, HAS_RESETS: tl.constexpr, BLOCK: tl.constexpr):
    """All states h (B, L, 2P) and the last one."""
    row = tl.program_id(0).to(tl.int64)
    p = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    has = p < modes
    z_re, z_im = tl.load(z + p, has, 0.0), tl.load(z + modes + p, has, 0.0)
    held = row * 2 * modes + p
    h_re, h_im = tl.load(state + held, has, 0.0), tl.load(state + held + modes, has, 0.0)
    for t in tl.range(0, length, num_stages=STAGES):
        token = row * length + t
        at = token * 2 * modes + p
        x_re, x_im = tl.load(x + at, has, 0.0), tl.load(x + at + modes, has, 0.0)
        if HAS_RESETS:
            cut = tl.load(resets + token) != 0
            h_re, h_im = tl.where(cut, 0.0, h_re), tl.where(cut, 0.0, h_im)
        h_re, h_im = z_re * h_re - z_im * h_im + x_re, z_re * h_im + z_im * h_re + x_im
        tl.store(h + at, h_re, has)
        tl.store(h + at + modes, h_im, has)
    tl.store(last + held, h_re, has)
    tl.store(last + held + modes, h_im, has)


@triton.jit
def backward_kernel(
    z,
    state,
    resets,
    h,
    grad_h,
    grad_last,
    grad_z,
    grad_x,
    grad_state,
    length,
    modes,
    HAS_RESETS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Gradients from the states alone; `grad_z` (B, 2P) is per row and added up by whoever launches."""
    row = tl.program_id(0).to(tl.int64)
    p = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    has = p < modes
    z_re, z_im = tl.load(z + p, has, 0.0), tl.load(z + modes + p, has, 0.0)
    held = row * 2 * modes + p
    flow_re, flow_im = tl.load(grad_last + held, has, 0.0), tl.load(grad_last + held + modes, has, 0.0)
    total_re, total_im = tl.zeros_like(z_re), tl.zeros_like(z_re)
    for i in tl.range(0, length, num_stages=STAGES):
        t = length - 1 - i
        token = row * length + t
        at = token * 2 * modes + p
        before = tl.where(t > 0, h + at - 2 * modes, state + held)
        h_re, h_im = tl.load(before, has, 0.0), tl.load(before + modes, has, 0.0)
        flow_re += tl.load(grad_h + at, has, 0.0)
        flow_im += tl.load(grad_h + at + modes, has, 0.0)
        tl.store(grad_x + at, flow_re, has)
        tl.store(grad_x + at + modes, flow_im, has)
        next_re, next_im = z_re * flow_re + z_im * flow_im, z_re * flow_im - z_im * flow_re  # conj(z) * flow
        if HAS_RESETS:
            cut = tl.load(resets + token) != 0
            h_re, h_im = tl.where(cut, 0.0, h_re), tl.where(cut, 0.0, h_im)
            next_re, next_im = tl.where(cut, 0.0, next_re), tl.where(cut, 0.0, next_im)
        total_re += flow_re * h_re + flow_im * h_im  # flow * conj(h)
        total_im += flow_im * h_re - flow_re * h_im
        flow_re, flow_im = next_re, next_im
    tl.store(grad_z + held, total_re, has)
    tl.store(grad_z + held + modes, total_im, has)
    tl.store(grad_state + held, flow_re, has)
    tl.store(grad_state + held + modes, flow_im, has)
