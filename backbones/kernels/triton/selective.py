"""Kernels of the selective scan: one program per row and block of channels, its (block, N) tile of states in registers.

Tiles are masked where channels or states do not fill a power of two; masked states stay zero. Tokens are read through
Triton's software pipeline (``tl.range(num_stages=...)``), which keeps some tokens ahead in flight while the recurrence,
sequential in time, advances.
"""

from __future__ import annotations

import triton
import triton.language as tl

STAGES = tl.constexpr(4)  # tokens in flight


@triton.jit
def _advance(h, u, delta, a, b):
    return tl.exp(delta[:, None] * a) * h + (delta * u)[:, None] * b[None, :]


@triton.jit
def _cut(h, resets, token, HAS_RESETS: tl.constexpr):
    if HAS_RESETS:
        h = tl.where(tl.load(resets + token) != 0, tl.zeros_like(h), h)
    return h


@triton.jit
def forward_kernel(
    u,
    delta,
    a,
    b,
    c,
    state,
    resets,
    y,
    last,
    checkpoints,
    length,
    channels,
    chunks,
    HAS_RESETS: tl.constexpr,
    STATES: tl.constexpr,
    CHUNK: tl.constexpr,
    BLOCK_E: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """Outputs, last state, and the state before every chunk but the first: checkpoints (B, chunks - 1, E, N)."""
    row = tl.program_id(0).to(tl.int64)
    e = tl.program_id(1) * BLOCK_E + tl.arange(0, BLOCK_E)
    n = tl.arange(0, BLOCK_N)
    has_e, has_n = e < channels, n < STATES
    tile, has = e[:, None] * STATES + n[None, :], has_e[:, None] & has_n[None, :]
    rates = tl.load(a + tile, has, 0.0)
    h = tl.load(state + row * channels * STATES + tile, has, 0.0)
    for chunk in range(chunks):
        begin = chunk * CHUNK
        if chunk > 0:
            tl.store(checkpoints + (row * (chunks - 1) + chunk - 1) * channels * STATES + tile, h, has)
        for t in tl.range(begin, tl.minimum(begin + CHUNK, length), num_stages=STAGES):
            token = row * length + t
            u_t = tl.load(u + token * channels + e, has_e, 0.0)
            delta_t = tl.load(delta + token * channels + e, has_e, 0.0)
            b_t = tl.load(b + token * STATES + n, has_n, 0.0)
            c_t = tl.load(c + token * STATES + n, has_n, 0.0)
            h = _advance(_cut(h, resets, token, HAS_RESETS), u_t, delta_t, rates, b_t)
            tl.store(y + token * channels + e, tl.sum(h * c_t[None, :], 1), has_e)
    tl.store(last + row * channels * STATES + tile, h, has)


@triton.jit
def backward_kernel(
    u,
    delta,
    a,
    b,
    c,
    state,
    resets,
    checkpoints,
    grad_y,
    grad_last,
    scratch,
    grad_u,
    grad_delta,
    grad_a,
    grad_b,
    grad_c,
    grad_state,
    length,
    channels,
    chunks,
    HAS_RESETS: tl.constexpr,
    STATES: tl.constexpr,
    CHUNK: tl.constexpr,
    BLOCK_E: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """Gradients, chunk by chunk from the last; each chunk's states are computed again into the program's own scratch.

    `grad_a` (B, E, N) is per row; `grad_b` and `grad_c` (B, blocks, L, N) are per block of channels. Whoever launches
    adds them up, so that no two programs write to one place and the result is the same every time.
    """
    row, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    e = block * BLOCK_E + tl.arange(0, BLOCK_E)
    n = tl.arange(0, BLOCK_N)
    has_e, has_n = e < channels, n < STATES
    tile, has = e[:, None] * STATES + n[None, :], has_e[:, None] & has_n[None, :]
    program = row * tl.num_programs(1) + block
    own = scratch + program * CHUNK * BLOCK_E * BLOCK_N
    own += tl.arange(0, BLOCK_E)[:, None] * BLOCK_N + n[None, :]
    rates = tl.load(a + tile, has, 0.0)
    flow = tl.load(grad_last + row * channels * STATES + tile, has, 0.0)  # gradient of the state after the token
    total_a = tl.zeros_like(rates)
    for back in range(chunks):
        chunk = chunks - 1 - back
        begin = chunk * CHUNK
        count = tl.minimum(CHUNK, length - begin)
        if chunk == 0:
            h = tl.load(state + row * channels * STATES + tile, has, 0.0)
        else:
            h = tl.load(checkpoints + (row * (chunks - 1) + chunk - 1) * channels * STATES + tile, has, 0.0)
        for i in tl.range(0, count, num_stages=STAGES):
            token = row * length + begin + i
            u_t = tl.load(u + token * channels + e, has_e, 0.0)
            delta_t = tl.load(delta + token * channels + e, has_e, 0.0)
            b_t = tl.load(b + token * STATES + n, has_n, 0.0)
            h = _cut(h, resets, token, HAS_RESETS)
            tl.store(own + i * BLOCK_E * BLOCK_N, h)
            h = _advance(h, u_t, delta_t, rates, b_t)
        tl.debug_barrier()  # a thread may read what another one wrote
        for i in tl.range(0, count, num_stages=STAGES):
            inside = count - 1 - i
            token = row * length + begin + inside
            u_t = tl.load(u + token * channels + e, has_e, 0.0)
            delta_t = tl.load(delta + token * channels + e, has_e, 0.0)
            b_t = tl.load(b + token * STATES + n, has_n, 0.0)
            c_t = tl.load(c + token * STATES + n, has_n, 0.0)
            grad_y_t = tl.load(grad_y + token * channels + e, has_e, 0.0)
            before = tl.load(own + inside * BLOCK_E * BLOCK_N)
            decayed = tl.exp(delta_t[:, None] * rates) * before
            h = decayed + (delta_t * u_t)[:, None] * b_t[None, :]
            partial = (program * length + begin + inside) * STATES + n
            tl.store(grad_c + partial, tl.sum(grad_y_t[:, None] * h, 0), has_n)
            flow += grad_y_t[:, None] * c_t[None, :]
            tl.store(grad_b + partial, tl.sum(flow * (delta_t * u_t)[:, None], 0), has_n)
            through_b = tl.sum(flow * b_t[None, :], 1)
            exponent = flow * decayed
            tl.store(grad_u + token * channels + e, delta_t * through_b, has_e)
            grad_delta_t = u_t * through_b + tl.sum(exponent * rates, 1)
            tl.store(grad_delta + token * channels + e, grad_delta_t, has_e)
            total_a += exponent * delta_t[:, None]
            flow = _cut(flow * tl.exp(delta_t[:, None] * rates), resets, token, HAS_RESETS)
        tl.debug_barrier()  # before the next chunk overwrites the scratch
    tl.store(grad_a + row * channels * STATES + tile, total_a, has)
    tl.store(grad_state + row * channels * STATES + tile, flow, has)
