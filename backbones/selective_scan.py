"""The selective scan of Mamba in plain torch, linear in length, forward and backward.

    h_t[e, n] = exp(delta_t[e] A[e, n]) h_{t-1}[e, n] + delta_t[e] B_t[n] u_t[e],    y_t[e] = sum_n C_t[n] h_t[e, n]

(Gu and Dao 2023, arXiv:2312.00752, algorithm 2; B by Euler as in the authors' code.) Two routes give the same numbers:
a loop over unbound time slices, whose backward stacks instead of writing zeros (quadratic otherwise), and for long rows the
same loop in chunks that are computed again in the backward pass, so that no (B, L, E, N) tensor is kept.

Shapes: B rows, L tokens, E = d_inner channels, N = d_state.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

CHUNK = 64  # tokens whose states are kept at once; shorter rows take one pass


def selective_scan(
    u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, state: Tensor, resets: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Run the recurrence over a batch of rows.

    Args:
        u: (B, L, E) inputs.
        delta: (B, L, E) step sizes, positive.
        a: (E, N), negative.
        b: (B, L, N).
        c: (B, L, N).
        state: (B, E, N) before the first token.
        resets: (B, L) bool; where True the state before that token is zero, whatever it held (NaN included).

    Returns:
        (B, L, E) outputs and the (B, E, N) state after the last token.
    """
    length = u.shape[1]
    if length == 0:
        return torch.zeros_like(u), state
    cuts = set() if resets is None else set(resets.any(0).nonzero().flatten().tolist())
    outputs = []
    for begin in range(0, length, CHUNK):
        part = slice(begin, begin + CHUNK)
        own = None if resets is None else resets[:, part]
        here = {cut - begin for cut in cuts if begin <= cut < begin + CHUNK}
        arguments = (u[:, part], delta[:, part], a, b[:, part], c[:, part], state, own, here)
        if length > CHUNK and torch.is_grad_enabled():
            y, state = checkpoint(_scan_chunk, *arguments, use_reentrant=False, preserve_rng_state=False)
        else:
            y, state = _scan_chunk(*arguments)
        outputs.append(y)
    return (outputs[0] if len(outputs) == 1 else torch.cat(outputs, 1)), state


def _scan_chunk(
    u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, h: Tensor, resets: Tensor | None, cuts: set[int]
) -> tuple[Tensor, Tensor]:
    decay = torch.exp(delta.unsqueeze(-1) * a)  # (B, L, E, N)
    drive = (delta * u).unsqueeze(-1) * b.unsqueeze(2)
    states = []
    for t, (decay_t, drive_t) in enumerate(zip(decay.unbind(1), drive.unbind(1), strict=True)):
        if t in cuts and resets is not None:
            h = torch.where(resets[:, t].view(-1, 1, 1), 0.0, h)
        h = torch.addcmul(drive_t, decay_t, h)
        states.append(h)
    return (torch.stack(states, 1) @ c.unsqueeze(-1)).squeeze(-1), h


def selective_step(u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """One token: u, delta (B, E), b, c (B, N), state (B, E, N) -> (B, E), state."""
    decay = torch.exp(delta.unsqueeze(-1) * a)
    state = torch.addcmul((delta * u).unsqueeze(-1) * b.unsqueeze(1), decay, state)
    return (state @ c.unsqueeze(-1)).squeeze(-1), state
