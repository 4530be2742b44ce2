"""All numbers that a look inside a run gives, before anything is drawn or written."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dsbench.inspection.ablation import Ablation, ablation
from dsbench.inspection.attention import AttentionMap, attention_maps
from dsbench.inspection.decays import decays
from dsbench.inspection.memory_length import MemoryLength, memory_length
from dsbench.inspection.run import OpenedRun
from dsbench.inspection.systems import Dynamics, dynamics_of, half_lives, time_invariant_mixers, why_none

SHORTEST = 100  # tokens that kernels are shown over, where episodes are shorter
QUANTILES = np.linspace(0.005, 0.995, 100)


@dataclass(frozen=True)
class LayerDynamics:
    """The time-invariant system of one layer, before the first update and after the last."""

    layer: str
    before: Dynamics
    after: Dynamics

    @property
    def moved(self) -> float | None:
        """The longest way that an eigenvalue went; None where Abar is not diagonal, for those have no order."""
        if self.before.condition.max() > 1:
            return None
        return float(np.abs(self.after.eigenvalues - self.before.eigenvalues).max())


@dataclass(frozen=True)
class HalfLives:
    """Tokens after which a state has lost half of what it held, as `QUANTILES` over the states of one layer.

    Where the decay is a function of the token, over the tokens of the data too.
    """

    layer: str
    before: NDArray[np.float64]
    after: NDArray[np.float64]


@dataclass(frozen=True)
class Findings:
    """Of one run.

    Attributes:
        name, backbone, env: of the run.
        seed: of the run.
        tokens: of the longest episode in the data.
        dynamics: a layer each; empty where the backbone is not time-invariant, and then
        reason: says why.
        half_lives: a layer each, also where the decay is a function of the token; empty for others.
        attention: a layer each; empty for what does not attend.
        data_note: says so where it looked at a part of the run's data only, or at what is not the run's; None where at all.
        memory, memory_before: effective memory length of the trained policy and of the one before its first update.
        previous_actions: the score with previous actions drawn at random, beside the policy's own.
    """

    name: str
    backbone: str
    env: str
    seed: int
    tokens: int
    dynamics: list[LayerDynamics]
    reason: str | None
    half_lives: list[HalfLives]
    attention: list[AttentionMap]
    memory: MemoryLength
    memory_before: MemoryLength
    previous_actions: Ablation
    data_note: str | None = None


def look_inside(run: OpenedRun) -> Findings:
    """Every number, from the run's policy, the weights it began with and its data."""
    episodes, config = run.episodes, run.config
    tokens = int(episodes.lengths.max()) * run.policy.tokens_per_decision
    dynamics = _dynamics(run, max(tokens, SHORTEST))
    return Findings(
        name=run.name,
        backbone=config.backbone.name,
        env=config.env.name,
        seed=config.seed,
        tokens=tokens,
        dynamics=dynamics,
        reason=None if dynamics else why_none(config.backbone.name),
        half_lives=[_of_layer(each.layer, each.before.radii, each.after.radii) for each in dynamics] or _selective(run),
        attention=attention_maps(run.policy, episodes),
        memory=memory_length(run.policy, episodes, seed=config.seed),
        memory_before=memory_length(run.untrained, episodes, seed=config.seed),
        previous_actions=ablation(run),
        data_note=run.data_note,
    )


def _dynamics(run: OpenedRun, length: int) -> list[LayerDynamics]:
    before, after = (
        {name: dynamics_of(mixer, length) for name, mixer in time_invariant_mixers(policy.backbone).items()}
        for policy in (run.untrained, run.policy)
    )
    return [LayerDynamics(name, before[name], after[name]) for name in after]


def _selective(run: OpenedRun) -> list[HalfLives]:
    before, after = decays(run.untrained, run.episodes), decays(run.policy, run.episodes)
    return [_of_layer(name, before[name], after[name]) for name in after]


def _of_layer(name: str, before: NDArray[np.float64], after: NDArray[np.float64]) -> HalfLives:
    first, last = (np.quantile(half_lives(each), QUANTILES, method="inverted_cdf") for each in (before, after))
    return HalfLives(name, first, last)
