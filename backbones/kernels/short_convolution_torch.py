"""The short convolution in plain torch, as shifted multiply-adds, which beat a grouped convolution on the CPU; arguments
as `dsbench.backbones.kernels.short_convolution.short_convolution`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def short_convolution_torch(
    u: Tensor, weight: Tensor, bias: Tensor, state: Tensor, resets: Tensor | None = None
) -> tuple[Tensor, Tensor]:
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
    return F.silu(out), kept
