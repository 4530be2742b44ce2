"""The short depthwise causal convolution in front of a recurrence (Mamba, arXiv:2312.00752, and its kin).

    y_t[e] = bias[e] + sum_k weight[k, e] u_{t - K + 1 + k}[e]

As shifted multiply-adds, which beat a grouped convolution on the CPU. Shapes: B rows, L tokens, E channels, K taps, the
newest tap last; the state (B, K - 1, E) holds the last inputs, zeros before an episode.
Does not include: the nonlinearity, dilation, kernels so long that a Fourier transform pays.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def short_convolution(
    u: Tensor, weight: Tensor, bias: Tensor, state: Tensor, resets: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Convolve rows; a tap never reaches over a reset.

    Args:
        u: (B, L, E) inputs.
        weight: (K, E).
        bias: (E,).
        state: (B, K - 1, E) inputs before the first token, in the precision of the result.
        resets: (B, L) bool; where True, inputs before that token count as zero, whatever they held (NaN included).

    Returns:
        (B, L, E) and the state after the last token, both in the state's precision.
    """
    length, past = u.shape[1], len(weight) - 1
    padded = torch.cat([state, u.to(state.dtype)], 1)  # (B, K - 1 + L, E)
    episode = None
    if resets is not None:
        # Number of resets so far; what was passed in belongs to episode 0.
        episode = F.pad(resets.cumsum(1), (past, 0)).unsqueeze(-1)
    out = torch.addcmul(bias, padded[:, past:], weight[past])
    for tap in range(past):
        shifted = padded[:, tap : tap + length]
        if episode is not None:
            shifted = torch.where(episode[:, tap : tap + length] == episode[:, past:], shifted, 0.0)
        out = torch.addcmul(out, shifted, weight[tap])
    kept = padded[:, length:]
    if episode is not None and length > 0:
        kept = torch.where(episode[:, length:] == episode[:, -1:], kept, 0.0)
    return out, kept


def short_convolution_step(u_t: Tensor, weight: Tensor, bias: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """One token: (B, E), state (B, K - 1, E) -> (B, E), state."""
    taps = torch.cat([state, u_t.unsqueeze(1).to(state.dtype)], 1)  # (B, K, E), newest last
    return (taps * weight).sum(1) + bias, taps[:, 1:]
