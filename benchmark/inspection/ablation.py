"""Does a policy live on its own previous actions? The same episodes, with that input drawn at random while it acts.

Who remembers what was seen keeps the score; who copies what was done falls.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dsbench import seeds
from dsbench.config.varying import seed_of
from dsbench.decision import DecisionSequence
from dsbench.decision.actions import Bounds
from dsbench.decision.encoders import ActionEncoder
from dsbench.envs.targets import Target
from dsbench.inspection.run import OpenedRun
from dsbench.running.evaluating import Evaluation

TIMESTEPS = 500_000  # at most, that are played: of long episodes the first ones
WIDEST = 1e6  # bounds further apart are those of the type: uniform draws would be like nothing that was ever done


@dataclass(frozen=True)
class Ablation:
    """Scores with the policy's own previous actions and with random ones.

    Attributes:
        metric: the task's success measure.
        decode: how actions were chosen.
        own: (E,) scores of the run's evaluation episodes, or of the first of them.
        drawn: (E,) scores of the same episodes, asked for the same return, with random previous actions; None where the
            policy sees none.
        reason: why nothing was played; None where something was.
    """

    metric: str = ""
    decode: str = ""
    own: NDArray[np.float64] | None = None
    drawn: NDArray[np.float64] | None = None
    reason: str | None = None


def ablation(run: OpenedRun) -> Ablation:
    """Plays the run's evaluation episodes, as the run was evaluated, once or twice."""
    policy = copy.deepcopy(run.policy).float().eval()  # as the run was scored
    target, decode = _target(run), run.config.eval.decode[0]
    if target is None and policy.condition == "return":
        return Ablation(
            reason="The run does not say which return it was asked for, so its episodes cannot be played again."
        )

    episodes = max(1, min(run.config.eval.episodes, TIMESTEPS // run.env.horizon))
    config = run.config.model_copy(update={"eval": run.config.eval.model_copy(update={"episodes": episodes})})

    def scores(acting: DecisionSequence) -> NDArray[np.float64]:
        found = Evaluation(config, run.env, acting).reported(target, decode, lambda: None)
        return np.asarray(found.metrics[run.env.success_metric], np.float64)

    own = scores(policy)
    drawn = None
    if policy.action_encoder is not None:
        policy.action_encoder = RandomActions(  # type: ignore[assignment]
            policy.action_encoder, policy.action_space, seed_of(run.config, "eval", run.env.task)
        )
        drawn = scores(policy)
    return Ablation(run.env.success_metric, decode, own, drawn)


class RandomActions(nn.Module):
    """Embeds, in the place of each action, one drawn uniformly from the space, anew at every call.

    Where a number of the space has no bounds, or wider ones than `WIDEST`, it is drawn from the standard normal distribution
    and put within them.
    """

    def __init__(self, encoder: ActionEncoder, space: gym.Space[Any], root: int) -> None:
        super().__init__()
        self.encoder, self.space = encoder, space
        self.bounds = Bounds(space) if isinstance(space, gym.spaces.Box) else None
        self.generator = torch.Generator().manual_seed(seeds.seed_for(root, "random previous actions"))

    def forward(self, action: Tensor, present: Tensor) -> Tensor:
        drawn: Tensor = self.encoder(self._drawn_like(action), present)
        return drawn

    def _drawn_like(self, action: Tensor) -> Tensor:
        if self.bounds is None:
            assert isinstance(self.space, gym.spaces.Discrete)
            return torch.randint(int(self.space.n), action.shape, generator=self.generator)
        # In float64, in which whole numbers can be drawn too and no width of bounds overflows that is drawn from.
        work = action.dtype if action.dtype.is_floating_point else torch.float64
        low, high = self.bounds.low.double(), self.bounds.high.double()
        width = high / 2 - low / 2  # half of it, which is finite whatever the bounds are
        bounded = width <= WIDEST / 2
        low, high = (torch.where(bounded, bound, 0).to(work) for bound in (low, high))
        uniform = torch.rand(action.shape, generator=self.generator, dtype=work)
        normal = torch.randn(action.shape, generator=self.generator, dtype=work)
        inside = low + uniform * (high - low)
        if self.bounds.is_whole:
            inside = low + (uniform * (high - low + 1)).floor()  # each whole number alike, those at the ends too
        return self.bounds(torch.where(bounded, inside, normal))


def _target(run: OpenedRun) -> Target | None:
    """The return that the run was asked for, as its last checkpoint keeps it; None where there is none."""
    asked = run.targets.get("target")
    if isinstance(asked, list):
        start_of = getattr(run.env.target, "start_of", None)
        if start_of is None:
            return None
        return Target(float(np.mean(asked)), np.asarray(asked, np.float64), start_of)
    return None if asked is None else Target(float(asked))
