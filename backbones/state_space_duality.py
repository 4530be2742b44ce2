"""Linear recurrences of outer products in chunks of matrix products (Dao and Gu 2024, arXiv:2405.21060, section 6).

    S_t = exp(a_t) S_{t-1} + x_t b_t^T,    y_t = S_t c_t          (a_t <= 0, one number a head)

Inside a chunk of Q tokens, with s_i = a_1 + ... + a_i counted from the token's own episode or the chunk's first token:

    y_i = sum_{j <= i} exp(s_i - s_j) (c_i . b_j) x_j  +  exp(s_i) S_in c_i

and the chunk hands on S_out = exp(s_Q) S_in + sum_j exp(s_Q - s_j) x_j b_j^T. A sum leaves out the tokens of other
episodes, and the term of S_in is left out behind a reset, so nothing of an episode is added and subtracted again later:
episodes of one row do not touch in the last digit either.

Shapes: B rows, L tokens, H heads, P = width of x, N = width of b and c, G groups of heads that share b and c,
R = H / G heads of a group, C chunks.
A matrix product cannot leave out a NaN (0 * NaN), so rows with resets that hold one run token by token.
Does not include: fused kernels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

CHUNK = 32  # tokens of a chunk: the fastest of 16, 32, 64, 128 on the CPU at N = 16


def chunked_scan(
    x: Tensor, a: Tensor, b: Tensor, c: Tensor, state: Tensor, resets: Tensor | None = None, chunk: int = CHUNK
) -> tuple[Tensor, Tensor]:
    """Run the recurrence over a batch of rows; all tensors in one precision, which autocast does not lower.

    Args:
        x: (B, L, H, P).
        a: (B, L, H) logarithms of the decay, not positive.
        b: (B, L, G, N); G divides H.
        c: (B, L, G, N).
        state: (B, H, P, N) before the first token.
        resets: (B, L) bool; where True the state before that token is zero, whatever it held (NaN included).
        chunk: tokens of a chunk; changes the rounding only.

    Returns:
        (B, L, H, P) outputs and the (B, H, P, N) state after the last token.
    """
    length = x.shape[1]
    if length == 0:
        return torch.zeros_like(x), state
    if resets is not None and not _all_finite(x, a, b, c):
        return _one_by_one(x, a, b, c, state, resets)
    size = min(chunk, length)
    with torch.autocast(x.device.type, enabled=False):
        x, a, b, c = (_chunks(part, size) for part in (x, a, b, c))
        y, state = _scan(x, a, b, c, state, None if resets is None else _chunks(resets, size))
    return y.flatten(1, 2)[:, :length], state


def recurrent_step(x: Tensor, a: Tensor, b: Tensor, c: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """One token: x (B, H, P), a (B, H), b, c (B, G, N), state (B, H, P, N) -> (B, H, P), state."""
    heads = x.shape[1] // b.shape[1]
    b, c = (part.repeat_interleave(heads, 1) if part.shape[1] > 1 else part for part in (b, c))
    with torch.autocast(x.device.type, enabled=False):
        state = torch.addcmul(x.unsqueeze(-1) * b.unsqueeze(2), a.exp().view(*a.shape, 1, 1), state)
        return (state @ c.unsqueeze(-1)).squeeze(-1), state


def _all_finite(*tensors: Tensor) -> bool:
    """One cheap pass; a sum that overflows counts as not finite, which costs time only."""
    return bool(torch.stack([x.detach().sum() for x in tensors]).sum().isfinite())


def _one_by_one(x: Tensor, a: Tensor, b: Tensor, c: Tensor, state: Tensor, resets: Tensor) -> tuple[Tensor, Tensor]:
    outputs = []
    for t in range(x.shape[1]):
        state = torch.where(resets[:, t, None, None, None], 0.0, state)
        y_t, state = recurrent_step(x[:, t], a[:, t], b[:, t], c[:, t], state)
        outputs.append(y_t)
    return torch.stack(outputs, 1), state


def _chunks(x: Tensor, size: int) -> Tensor:
    """(B, L, ...) -> (B, C, Q, ...), padded with zeros: a padded token decays nothing and adds nothing."""
    missing = -x.shape[1] % size
    if missing:
        x = F.pad(x, (0, 0) * (x.dim() - 2) + (0, missing))
    return x.unflatten(1, (-1, size))


def _scan(x: Tensor, a: Tensor, b: Tensor, c: Tensor, state: Tensor, resets: Tensor | None) -> tuple[Tensor, Tensor]:
    """As `chunked_scan`, on (B, C, Q, ...)."""
    groups = b.shape[3]
    seen = _seen(x.shape[2], resets, x.device)  # (B, C, Q, Q) or (Q, Q)
    total = seen.to(a.dtype) @ a  # (B, C, Q, H) s_i
    b, c = b.transpose(2, 3), c.transpose(2, 3)  # (B, C, G, Q, N)

    y = _within(c @ b.mT, total.mT, x.transpose(2, 3), seen).transpose(2, 3)  # (B, C, Q, H, P)

    left = torch.where(seen[..., -1, :].unsqueeze(-1), total[:, :, -1:] - total, -torch.inf).exp()
    grouped = (x * left.unsqueeze(-1)).unflatten(3, (groups, -1)).flatten(4).transpose(2, 3)  # (B, C, G, Q, R P)
    added = b.mT @ grouped  # (B, C, G, N, R P)
    incoming, state = _carry(added, total[:, :, -1], state, resets)

    far = (c @ incoming).transpose(2, 3).reshape(x.shape)  # (B, C, Q, H, P)
    if resets is not None:
        far = torch.where((resets.cumsum(2) == 0)[..., None, None], far, 0.0)
    return torch.addcmul(y, far, total.exp().unsqueeze(-1)), state


def _seen(size: int, resets: Tensor | None, device: torch.device) -> Tensor:
    """Which tokens j of its chunk a token i sees: those up to itself, of its own episode."""
    causal = torch.ones(size, size, dtype=torch.bool, device=device).tril()
    if resets is None:
        return causal
    episode = resets.cumsum(2)
    return causal & (episode.unsqueeze(-1) == episode.unsqueeze(-2))


def _within(scores: Tensor, total: Tensor, x: Tensor, seen: Tensor) -> Tensor:
    """The first sum: scores (B, C, G, Q, Q), s (B, C, H, Q), x (B, C, H, Q, P) -> (B, C, H, Q, P).

    The gap to a token that is not seen, a later one or one of another episode, may be any number: it is left out before
    exp, which would overflow and make 0 * inf. exp(-inf) = 0 stops the gradient by itself.
    """
    gap = total.unsqueeze(-1) + (-total).unsqueeze(-2)  # a difference would negate its gradient at full size
    with torch.no_grad():
        gap.masked_fill_(~seen.unsqueeze(-3), -torch.inf)
    weights = gap.exp().unflatten(2, (scores.shape[2], -1)) * scores.unsqueeze(3)
    return weights.flatten(2, 3) @ x


def _carry(added: Tensor, total: Tensor, state: Tensor, resets: Tensor | None) -> tuple[Tensor, Tensor]:
    """The recurrence between chunks.

    Args:
        added: (B, C, G, N, R P) what each chunk adds.
        total: (B, C, H) s_Q of each chunk.
        state: (B, H, P, N).
        resets: (B, C, Q) bool.

    Returns:
        (B, C, G, N, R P) the state before each chunk, and (B, H, P, N) the state after the last one.
    """
    rows, heads, width, _ = state.shape
    groups = added.shape[2]
    state = state.unflatten(1, (groups, -1)).permute(0, 1, 4, 2, 3)  # (B, G, N, R, P)
    decay = total.exp().view(rows, total.shape[1], groups, 1, heads // groups, 1)
    cut = None if resets is None else resets.any(2)[..., None, None, None, None]
    incoming = []
    for i, (added_i, decay_i) in enumerate(
        zip(added.unflatten(-1, (-1, width)).unbind(1), decay.unbind(1), strict=True)
    ):
        incoming.append(state)
        kept = state if cut is None else torch.where(cut[:, i], 0.0, state)
        state = torch.addcmul(added_i, decay_i, kept)
    return torch.stack(incoming, 1).flatten(-2), state.permute(0, 1, 3, 4, 2).flatten(1, 2)
