"""How far back a decision reaches, by one measure for every backbone: what the policy does when one observation is another's.

In an episode of the data the observation at step s is replaced by that of another episode at its step s; all else (actions,
returns, timesteps) stays as it is. The influence of step t - k on the decision at t is how far the action distribution at t
moves, averaged over episodes, other episodes and t:

    I(k) = mean of d(pi_t, pi_t with the observation at t - k replaced)

d is the total variation distance (0 to 1) where actions are discrete; where they are continuous it is the root mean square
over the action's entries of the difference of means, each divided by the spread of that entry in the data. An observation
that comes out the same counts as no move. The effective memory length is the smallest k beyond which the influences sum to
less than 5 % of all:

    K = min { k : sum over j > k of I(j) < 0.05 sum over j of I(j) }

0 means that the present observation is enough. The policy reads whole episodes, as in training, not windows.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dsbench.batches import Batch, whole_batch
from dsbench.decision import DecisionSequence
from dsbench.decision.heads import Categorical
from dsbench.episodes import Episodes
from dsbench.errors import UsageError
from dsbench.seeds import stream

Numbers = NDArray[np.float64]

SHARE = 0.05  # of the influence that may lie beyond the effective length
ROUNDING = 1e-12  # moves below this are rounding of double precision, not influence
TIMESTEPS = 100_000  # of episodes read again, over all pairs: what bounds the time
PAIRS, PLACES, FEWEST = 64, 64, 16  # most pairs of episodes, and most and fewest steps replaced in one
WORK = 200_000_000  # places L^2: what bounds the time of attention over one long episode
WEIGHTS = 32_000_000  # of one head of attention in one pass (rows L^2): what bounds the memory


@dataclass(frozen=True)
class MemoryLength:
    """What `memory_length` found; lags are in environment steps.

    Attributes:
        influence: (K,) I(k).
        error: (K,) standard error over the pairs of episodes, NaN where one pair alone reaches so far back.
        beyond: (K,) share of all influence at larger lags than k; NaN throughout where there is none at all.
        length: the effective memory length, None where no observation moves any decision.
        pairs: (K,) pairs of episodes that I(k) is the mean over.
        unit: of `influence`, in words.
    """

    influence: Numbers
    error: Numbers
    beyond: Numbers
    length: int | None
    pairs: NDArray[np.int64]
    unit: str

    @property
    def reaches_the_end(self) -> bool:
        """Whether the effective length is as long as episodes let it be, so that the true one may be longer."""
        return self.length is not None and self.length >= len(self.influence) - 1


def memory_length(
    policy: DecisionSequence, episodes: Episodes, *, seed: int = 0, pairs: int | None = None
) -> MemoryLength:
    """Measure it on pairs of different episodes.

    Args:
        policy: in evaluation mode, in float64 for exact zeros.
        episodes: of the task, at least two.
        seed: of the pairs and of the steps replaced.
        pairs: how many; None takes as many as `TIMESTEPS` allow, 64 at most.

    Raises:
        UsageError: fewer than two episodes.
    """
    if len(episodes) < 2:
        raise UsageError(
            "the data hold one episode; the effective memory length needs two, to replace parts of one by another"
        )
    generator = stream(seed, "memory length")
    spread = _spread(policy, episodes)
    count = pairs or _affordable(episodes)
    profiles = [_profile(policy, *_draw(episodes, generator), spread, generator) for _ in range(count)]
    longest = max(map(len, profiles))
    table = np.stack([np.pad(each, (0, longest - len(each)), constant_values=np.nan) for each in profiles])
    return summarise(table, "total variation distance" if spread is None else "spreads of the data's actions")


def summarise(profiles: Numbers, unit: str) -> MemoryLength:
    """From the influence by lag (pairs, K) of each pair, NaN where its episode is too short."""
    seen = (~np.isnan(profiles)).sum(0)
    reached = seen > 0
    profiles, seen = profiles[:, : reached.sum()], seen[reached]
    influence = np.nanmean(profiles, 0)
    error = np.full(len(seen), np.nan)
    many = seen > 1
    error[many] = np.nanstd(profiles[:, many], 0, ddof=1) / np.sqrt(seen[many])
    total = influence.sum()
    if total == 0:
        return MemoryLength(influence, error, np.full(len(seen), np.nan), None, seen, unit)
    beyond = np.append(influence[::-1].cumsum()[::-1][1:], 0.0) / total
    return MemoryLength(influence, error, beyond, int(np.argmax(beyond < SHARE)), seen, unit)


def _affordable(episodes: Episodes) -> int:
    mean = float(episodes.lengths.mean())
    return int(np.clip(TIMESTEPS / (mean * min(mean, PLACES)), 4, PAIRS))


def _draw(episodes: Episodes, generator: np.random.Generator) -> tuple[Episodes, int]:
    """Two different episodes, each cut to the length of the shorter, and that length."""
    first = int(generator.integers(len(episodes)))
    second = (first + 1 + int(generator.integers(len(episodes) - 1))) % len(episodes)
    length = int(min(episodes.lengths[first], episodes.lengths[second]))
    return episodes.select([first, second]), length


def _spread(policy: DecisionSequence, episodes: Episodes) -> Tensor | None:
    """(A,) standard deviation of each entry of the data's actions; None where actions are discrete."""
    if policy.discrete:
        return None
    spread = episodes.actions.astype(np.float64).std(0)
    return torch.from_numpy(np.where(spread < 1e-6, 1.0, spread))


@torch.no_grad()
def _profile(
    policy: DecisionSequence, both: Episodes, length: int, spread: Tensor | None, generator: np.random.Generator
) -> Numbers:
    """(length,) mean move of the decision, by lag, when one of the two episodes lends the other one observation."""
    batch = whole_batch(both)
    own, other = _columns(batch, 0, length), _columns(batch, 1, length)
    before = _decisions(policy, own)
    tokens = length * policy.tokens_per_decision
    count = min(length, int(np.clip(WORK / tokens**2, FEWEST, PLACES)))
    places = np.sort(generator.choice(length, count, replace=False))
    sums, counts = np.zeros(length), np.zeros(length)
    rows = int(np.clip(WEIGHTS / tokens**2, 1, PLACES))
    for begin in range(0, len(places), rows):
        chosen = places[begin : begin + rows]
        moved = _moves(before, _decisions(policy, _lent(own, other, chosen)), spread).numpy()
        for place, row in zip(chosen, moved, strict=True):
            sums[: length - place] += row[place:]
            counts[: length - place] += 1
    with np.errstate(invalid="ignore"):
        return sums / np.where(counts > 0, counts, np.nan)


def _columns(batch: Batch, row: int, length: int) -> Batch:
    """The first `length` timesteps of one row, as a batch of one."""
    return _mapped(batch, lambda value: value[row : row + 1, :length])


def _lent(own: Batch, other: Batch, places: NDArray[np.int64]) -> Batch:
    """(places, T): `own` in every row, with the observation of `other` at that row's place."""
    rows = _mapped(own, lambda value: value.repeat(len(places), *[1] * (value.dim() - 1)))

    def lend(mine: Tensor, theirs: Tensor) -> Tensor:
        mine[torch.arange(len(places)), torch.from_numpy(places)] = theirs[0, places]
        return mine

    if isinstance(rows.observation, dict):
        assert isinstance(other.observation, dict)
        lent: Any = {key: lend(value, other.observation[key]) for key, value in rows.observation.items()}
    else:
        assert isinstance(other.observation, Tensor)
        lent = lend(rows.observation, other.observation)
    return replace(rows, observation=lent)


def _mapped(batch: Batch, function: Any) -> Batch:
    """`function` of every tensor of a batch."""

    def apply(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: function(part) for key, part in value.items()}
        return None if value is None else function(value)

    return Batch(**{field.name: apply(getattr(batch, field.name)) for field in fields(batch)})


def _decisions(policy: DecisionSequence, batch: Batch) -> Tensor:
    """(B, T, A) probabilities of discrete actions, or the means of continuous ones, in float64."""
    distribution, _ = policy(batch)
    if isinstance(distribution, Categorical):
        return distribution.logits.double().softmax(-1)
    return distribution.mode().double()


def _moves(before: Tensor, after: Tensor, spread: Tensor | None) -> Tensor:
    """(B, T) distances d; rounding counts as none."""
    gap = after - before
    distance = gap.abs().sum(-1) / 2 if spread is None else (gap / spread).square().mean(-1).sqrt()
    return torch.where(distance < ROUNDING, 0.0, distance)
