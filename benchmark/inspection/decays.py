"""How fast the state of a selective state space decays: a distribution over the data, for each token sets its own speed.

    lambda = exp(delta A),    delta = softplus(W x + b)

per token, channel (Mamba: and state; Mamba-2: one for a head).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from dsbench.backbones.mamba import MambaMixer
from dsbench.backbones.mamba2 import Mamba2Mixer
from dsbench.batches import whole_batch
from dsbench.decision import DecisionSequence
from dsbench.episodes import Episodes
from dsbench.inspection.hooks import outputs_of

TOKENS = 500  # of the data that the distribution is over
Selective = MambaMixer | Mamba2Mixer


def selective_mixers(backbone: nn.Module) -> dict[str, Selective]:
    """The selective mixers of a backbone, by the path of the module, in order."""
    return {name: part for name, part in backbone.named_modules() if isinstance(part, Selective)}


@torch.no_grad()
def decays(policy: DecisionSequence, episodes: Episodes) -> dict[str, NDArray[np.float64]]:
    """Layer -> all factors lambda by which its states are multiplied at the tokens of the first few episodes."""
    mixers = selective_mixers(policy.backbone)
    count = int(np.searchsorted(episodes.starts[1:], TOKENS)) + 1
    batch = whole_batch(episodes.select(range(min(count, len(episodes)))))
    seen = outputs_of({name: _speed_of(mixer) for name, mixer in mixers.items()}, policy, batch)
    real = batch.mask.repeat_interleave(policy.tokens_per_decision, 1)
    return {name: _factors(mixer, seen[name][real]).double().flatten().numpy() for name, mixer in mixers.items()}


def _speed_of(mixer: Selective) -> nn.Module:
    """The map whose output holds the step size before the softplus."""
    return mixer.x_proj if isinstance(mixer, MambaMixer) else mixer.in_proj


def _factors(mixer: Selective, projected: Tensor) -> Tensor:
    """(tokens, E, N) or (tokens, heads) from the output of `_speed_of`."""
    if isinstance(mixer, MambaMixer):
        low = F.linear(projected[:, : mixer.dt_rank], mixer.dt_weight)
        return torch.exp(-F.softplus(low + mixer.dt_bias).unsqueeze(-1) * mixer.a_log.exp())
    return torch.exp(-F.softplus(projected[:, -mixer.n_heads :] + mixer.dt_bias) * mixer.a_log.exp())
