"""Action distributions: what the head of a policy returns.

All tensors carry the same leading axes `*` as the logits ((B,) when acting, (B, T) in training).
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from dsbench.errors import UsageError

Decode = Literal["argmax", "sample"]


class Places(NamedTuple):
    """Rows from `first` on among `of` that `generator` draws for at once: who is beside a row does not change its draws."""

    generator: torch.Generator
    first: int
    of: int


Draws: TypeAlias = torch.Generator | Places | None


class ActionDistribution(Protocol):
    """Distribution over actions."""

    def log_prob(self, action: Tensor) -> Tensor:
        """(*,) log-probability (density) of `action`."""

    def mode(self) -> Tensor:
        """(*,) or (*, A) the most likely action."""

    def sample(self, generator: Draws = None) -> Tensor:
        """A draw, from `generator`."""

    def loss(self, action: Tensor, mask: Tensor) -> Tensor:
        """Scalar: sum of the losses at the real entries (`mask` True) divided by their number."""

    def is_finite(self) -> bool:
        """Whether it says in every row what to do."""


class Categorical:
    """Distribution over `A` discrete actions.

    Args:
        logits: (*, A).
        action_mask: (*, A) bool, True = allowed; forbidden actions have probability 0 and receive no gradient.
    """

    def __init__(self, logits: Tensor, action_mask: Tensor | None = None) -> None:
        if action_mask is not None:
            if action_mask.shape != logits.shape:
                raise UsageError(
                    f"the action mask has shape {tuple(action_mask.shape)}; expected {tuple(logits.shape)}, a row for each "
                    "decision and a truth value for each action"
                )
            action_mask = action_mask.bool()  # gymnasium's masks are of any type
            # A row that allows nothing is padding; leaving it as it is avoids a softmax over -inf alone.
            allowed = action_mask | ~action_mask.any(-1, keepdim=True)
            logits = logits.masked_fill(~allowed, float("-inf"))
        self.logits = logits

    def log_prob(self, action: Tensor) -> Tensor:
        return self.logits.float().log_softmax(-1).gather(-1, action.unsqueeze(-1)).squeeze(-1)

    def mode(self) -> Tensor:
        return self.logits.argmax(-1)

    def sample(self, generator: Draws = None) -> Tensor:
        # As torch.multinomial draws, which knows of no places: the largest of p / q with q exponential.
        probabilities = self.logits.float().softmax(-1)
        flat = probabilities.flatten(0, -2)
        return (flat / _exponential(flat, generator)).argmax(-1).view(probabilities.shape[:-1])

    def loss(self, action: Tensor, mask: Tensor) -> Tensor:
        nll = F.cross_entropy(self.logits[mask], action[mask], reduction="sum")
        return nll / mask.sum()

    def is_finite(self) -> bool:
        return _all_finite(self.logits.amax(-1))  # forbidden ones are -inf; the largest is NaN if one is


class Deterministic:
    """A continuous action without spread: trained by mean squared error, as the Decision Transformer is.

    Args:
        mean: (*, A).
    """

    def __init__(self, mean: Tensor) -> None:
        self.mean = mean

    def log_prob(self, action: Tensor) -> Tensor:
        """Log-density of a unit-variance Gaussian around the mean, the likelihood whose maximum is the least square."""
        return torch.distributions.Normal(self.mean, 1.0).log_prob(action).sum(-1)

    def mode(self) -> Tensor:
        return self.mean

    def sample(self, generator: Draws = None) -> Tensor:
        return self.mean

    def loss(self, action: Tensor, mask: Tensor) -> Tensor:
        return F.mse_loss(self.mean[mask], action[mask].to(self.mean.dtype), reduction="sum") / (
            mask.sum() * self.mean.shape[-1]
        )

    def is_finite(self) -> bool:
        return _all_finite(self.mean)


def _all_finite(values: Tensor) -> bool:
    return not bool((values * 0).any())  # NaN is true; in torch's own isfinite are four operators, at every decision


def decode_action(distribution: ActionDistribution, decode: Decode, generator: Draws = None) -> Tensor:
    """The mode, or a draw from `generator`."""
    return distribution.mode() if decode == "argmax" else distribution.sample(generator)


def _exponential(like: Tensor, generator: Draws) -> Tensor:
    """(rows, A) draws of the exponential distribution, for the rows' own places where they have such."""
    if not isinstance(generator, Places):
        return torch.empty_like(like).exponential_(generator=generator)
    every = like.new_empty(generator.of, *like.shape[1:]).exponential_(generator=generator.generator)
    return every[generator.first : generator.first + len(like)]
