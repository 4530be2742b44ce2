"""Evaluation: many episodes at once, by a trained policy or a scripted one, scored by the environment's own measures.

An episode's environment has a seed of its own and its sampled actions have a place of their own in their stream, so episode i
is the same however many are played beside it. Nothing that crosses the line between policy and environment is trusted: actions
are checked before they are taken, observations and rewards after.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from dsbench import seeds
from dsbench.decision import Actor, DecisionSequence
from dsbench.decision.actions import for_environment
from dsbench.decision.capacity import rows_at_once
from dsbench.decision.heads import Places
from dsbench.envs.checked import Checked
from dsbench.envs.data.contract import judged
from dsbench.envs.rolling import MAX_ROWS, Player, Scripted, groups, roll, rows_together
from dsbench.envs.scoring import joined, scores
from dsbench.envs.spec import Behaviour, EnvSpec
from dsbench.envs.targets import Target
from dsbench.episodes import Observations, map_observations

Decode = Literal["argmax", "sample"]
Split = Literal["selection", "eval"]


@dataclass(frozen=True)
class Scores:
    """Per-episode measures of one evaluation.

    Attributes:
        metrics: name -> (E,) values; ``return`` is always among them, and with continuous actions ``clipped_actions``, the
            timesteps whose action lay outside the space and was clipped to it.
    """

    metrics: Mapping[str, np.ndarray]

    def means(self) -> dict[str, float]:
        """Mean of every measure over the episodes."""
        return {name: float(np.mean(values)) for name, values in self.metrics.items()}

    def errors(self) -> dict[str, float | None]:
        """Standard error of each mean: how far it may be off because these episodes were played and no others.

        None with a single episode, which says nothing of others.
        """
        return {name: _standard_error(values) for name, values in self.metrics.items()}


def episode_seeds(root: int, split: Split, episodes: int, first: int = 0) -> list[int]:
    """Seeds of the episodes of a split from the `first` on; episode i has the same seed however many there are.

    Args:
        root: of a task, see `dsbench.config.varying.seed_of`.
    """
    return [seeds.env_seed(root, split, first + i) for i in range(episodes)]


@torch.no_grad()
def evaluate(
    model: DecisionSequence,
    spec: EnvSpec,
    *,
    split: Split,
    episodes: int,
    seed: int,
    target: Target | None,
    decode: Decode,
    acting: Literal["stateful", "windowed"] = "stateful",
    window: int | None = None,
    on_step: Callable[[], None] = lambda: None,
) -> Scores:
    """Act in `episodes` episodes of `split` and score them, so many at once as `dsbench.decision.capacity` says.

    Args:
        seed: of a task's evaluation, see `dsbench.config.varying.seed_of`.
        target: return asked for at the first timestep; rewards received are subtracted as the episode goes on.
        acting: ``stateful`` carries the backbone's state, ``windowed`` re-encodes the last `window` timesteps.
        on_step: called once a timestep, for progress.

    Raises:
        EnvironmentFault: the environment raised, or showed or paid something that is not finite.
        NoDecision: the policy's output is not finite.
    """
    was_training = model.training
    model.eval()

    clipped: list[np.ndarray] = []  # all that is kept of a player: the next one needs its memory

    def player(env: Checked, rows: int, begin: int) -> Player:
        generator = torch.Generator(device=_device(model))
        place = begin % MAX_ROWS
        generator.manual_seed(seeds.seed_for(seed, split, "decode", begin - place))
        actor = Actor(model, rows, acting=acting, window=window)
        wanted = np.zeros(rows) if target is None else target.of(env.observations, rows)
        learned = _Learned(actor, wanted, decode, Places(generator, place, MAX_ROWS))
        clipped.append(learned.clipped)
        return learned

    together = min(rows_together(spec), rows_at_once(model, acting, window))
    metrics = _play(player, spec, partial(episode_seeds, seed, split), episodes, together, on_step)
    model.train(was_training)
    if not model.discrete:
        metrics["clipped_actions"] = np.concatenate(clipped)
    return Scores(metrics)


def evaluate_scripted(
    behaviour: Behaviour,
    spec: EnvSpec,
    *,
    split: Split,
    episodes: int,
    seed: int,
    on_step: Callable[[], None] = lambda: None,
) -> Scores:
    """The same episodes played by a scripted policy."""

    def player(env: Checked, rows: int, begin: int) -> Player:
        place = begin % MAX_ROWS  # in the stream, which does not depend on how many are stepped together
        generator = seeds.stream(seed, split, "scripted", begin - place)
        episode_draw = generator.random(MAX_ROWS)[place : place + rows]
        return Scripted(behaviour, generator, episode_draw, MAX_ROWS, spec.draws_per_timestep, place)

    return Scores(_play(player, spec, partial(episode_seeds, seed, split), episodes, rows_together(spec), on_step))


class _Learned:
    """A trained policy in a group of episodes: feeds back what it did and, in float64, what is still asked for."""

    def __init__(self, actor: Actor, wanted: np.ndarray, decode: Decode, draws: Places) -> None:
        self.actor, self.decode, self.draws = actor, decode, draws
        self.return_to_go = torch.from_numpy(wanted).to(draws.generator.device)
        self.previous: Tensor | None = None
        self.clipped = np.zeros(len(wanted), np.int64)  # timesteps of each episode with an action outside the space

    def act(self, env: Checked, timestep: int) -> np.ndarray:
        device, rows, mask = self.return_to_go.device, len(self.return_to_go), env.action_mask
        self.previous = self.actor.act(
            _to_torch(env.observations, device),
            return_to_go=self.return_to_go,
            previous_action=self.previous,
            first=torch.full((rows,), timestep == 0, device=device),
            timestep=torch.full((rows,), timestep, dtype=torch.long, device=device),
            action_mask=None if mask is None else torch.from_numpy(mask).to(device),
            decode=self.decode,
            generator=self.draws,
        )
        return for_environment(self.previous, self.actor.policy.action_space)

    def receive(self, rewards: np.ndarray, alive: np.ndarray) -> None:
        self.clipped += self.actor.clipped.cpu().numpy() & alive
        self.return_to_go = self.return_to_go - torch.from_numpy(rewards).to(self.return_to_go)


def _play(
    player: Callable[[Checked, int, int], Player],
    spec: EnvSpec,
    seeds_of: Callable[[int, int], list[int]],
    episodes: int,
    together: int,
    on_step: Callable[[], None],
) -> dict[str, np.ndarray]:
    """Measure -> (E,) values, played `together` at most; `player` makes one from a group's episodes, their number and the
    index of the first.

    Seeds, of so many episodes from a first one on, are drawn group by group: those of a million take long.
    """
    parts: list[dict[str, np.ndarray]] = []
    who = f"env {spec.id}, played"
    for begin, rows in groups(episodes, together):
        with Checked(spec, spec.vector, seeds_of(rows, begin), who, begin) as env:
            recorded = roll(spec, env, player(env, rows, begin), on_step)
        parts.append(scores(spec, judged(spec, recorded, who, begin)))
    return joined(spec, parts)


def _standard_error(values: np.ndarray) -> float | None:
    return float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None


def _to_torch(observation: Observations, device: torch.device) -> Tensor | dict[str, Tensor]:
    return map_observations(lambda array: torch.from_numpy(np.ascontiguousarray(array)).to(device), observation)  # type: ignore[return-value]


def _device(model: DecisionSequence) -> torch.device:
    return next(model.parameters()).device
