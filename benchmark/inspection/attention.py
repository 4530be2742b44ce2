"""What an attention backbone looks at: its weights on one episode.

    A_ij = softmax over j of (q_i . k_j / sqrt(E)),    j in (i - W, i]

from the queries and keys that the layer really computed, in float64. Tokens are the backbone's positions: several a step
where the wrapper has separate tokens. Glossary: E width of a head, W = context_len.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dsbench.backbones.gpt import AttentionMixer
from dsbench.batches import whole_batch
from dsbench.decision import DecisionSequence
from dsbench.episodes import Episodes
from dsbench.inspection.hooks import outputs_of

LONGEST = 2048  # tokens of a map, which has their square


@dataclass(frozen=True)
class AttentionMap:
    """Weights (heads, L, L) of one layer: row i is what token i looks at."""

    layer: str
    weights: NDArray[np.float64]


def attention_mixers(backbone: nn.Module) -> dict[str, AttentionMixer]:
    """The attention mixers of a backbone, by the path of the module, in order."""
    return {name: part for name, part in backbone.named_modules() if isinstance(part, AttentionMixer)}


@torch.no_grad()
def attention_maps(policy: DecisionSequence, episodes: Episodes, episode: int = 0) -> list[AttentionMap]:
    """The maps of every layer on one episode, whole or its first `LONGEST` tokens, read as in training.

    Args:
        policy: in evaluation mode.
        episodes: of the task.
        episode: which of them.
    """
    mixers = attention_mixers(policy.backbone)
    projections = {name: mixer.qkv for name, mixer in mixers.items()}
    begin = episodes.select([episode]).heads(max(1, LONGEST // policy.tokens_per_decision))
    seen = outputs_of(projections, policy, whole_batch(begin))
    return [AttentionMap(name, weights(mixer, seen[name][0]).numpy()) for name, mixer in mixers.items()]


def weights(mixer: AttentionMixer, qkv: Tensor) -> Tensor:
    """(heads, L, L) float64 from the (L, 3 D) projections of one episode."""
    q, k, _ = (part.unflatten(-1, (mixer.n_heads, -1)).transpose(0, 1) for part in qkv.double().chunk(3, -1))
    place = torch.arange(len(qkv))
    near = (place <= place.unsqueeze(1)) & (place > place.unsqueeze(1) - mixer.context_len)
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    return scores.masked_fill(~near, -math.inf).softmax(-1)


def mean_lag(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(heads,) mean distance, in tokens, of what is looked at, over all tokens."""
    place = np.arange(weights.shape[-1])
    lags: NDArray[np.float64] = (weights * (place[:, None] - place)).sum(-1).mean(-1)
    return lags
