"""Evaluation: many episodes at once through the policy's stepper, scored by the environment's own measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from dsbench import seeds
from dsbench.decision import Actor, DecisionSequence
from dsbench.envs.spec import EnvSpec
from dsbench.episodes import Episodes, Observations, Timestep, collect, map_observations
from dsbench.errors import UsageError

Decode = Literal["argmax", "sample"]
Split = Literal["selection", "eval"]
MAX_ROWS = 1000  # episodes stepped together; bounds memory. Sampled actions come from one stream for each such group


@dataclass(frozen=True)
class Scores:
    """Per-episode measures of one evaluation.

    Attributes:
        metrics: name -> (E,) values (``return`` always among them).
        target_return: what the policy was asked for; None without conditioning.
        decode: how actions were chosen.
    """

    metrics: Mapping[str, np.ndarray]
    target_return: float | None
    decode: Decode

    def means(self) -> dict[str, float]:
        """Mean of every measure over the episodes."""
        return {name: float(np.mean(values)) for name, values in self.metrics.items()}


def episode_seeds(root: int, split: Split, episodes: int) -> list[int]:
    """Seeds of the episodes of a split; episode i has the same seed however many there are."""
    return [seeds.seed_for(root, split, i) for i in range(episodes)]


@torch.no_grad()
def evaluate(
    model: DecisionSequence,
    spec: EnvSpec,
    *,
    split: Split,
    episodes: int,
    seed: int,
    target_return: float | None,
    decode: Decode,
    acting: Literal["stateful", "windowed"] = "stateful",
    window: int | None = None,
    on_step: Callable[[], None] = lambda: None,
) -> Scores:
    """Act in `episodes` episodes of `split` and score them.

    Args:
        target_return: return asked for at the first timestep; rewards received are subtracted as the episode goes on.
        acting: ``stateful`` carries the backbone's state, ``windowed`` re-encodes the last `window` timesteps.
        on_step: called once a timestep, for progress.

    Raises:
        UsageError: the environment returned a NaN or went on past its horizon.
    """
    was_training = model.training
    model.eval()
    parts: list[dict[str, np.ndarray]] = []
    every_seed = episode_seeds(seed, split, episodes)
    for begin in range(0, episodes, MAX_ROWS):
        chunk = every_seed[begin : begin + MAX_ROWS]
        generator = torch.Generator(device=_device(model))
        generator.manual_seed(seeds.seed_for(seed, split, "decode", begin))
        actor = Actor(model, len(chunk), acting=acting, window=window)
        recorded = _roll(actor, spec, chunk, target_return or 0.0, decode, generator, on_step)
        parts.append({name: np.asarray(values) for name, values in spec.score(recorded).items()})
    model.train(was_training)
    metrics = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Scores(metrics, target_return, decode)


def _roll(
    actor: Actor,
    spec: EnvSpec,
    episode_seeds: list[int],
    target_return: float,
    decode: Decode,
    generator: torch.Generator,
    on_step: Callable[[], None],
) -> Episodes:
    """Step all episodes together until each has ended; rows that ended keep stepping on nothing and are cut off."""
    device, rows = generator.device, len(episode_seeds)
    env = spec.vector(episode_seeds)
    observation, mask = env.observations, env.action_mask
    return_to_go = torch.full((rows,), target_return, dtype=torch.float32, device=device)
    previous: Tensor | None = None
    alive = np.ones(rows, dtype=bool)
    steps: list[Timestep] = []
    for t in range(spec.horizon):
        action = actor.act(
            _to_torch(observation, device),
            return_to_go=return_to_go,
            previous_action=previous,
            first=torch.full((rows,), t == 0, device=device),
            timestep=torch.full((rows,), t, dtype=torch.long, device=device),
            action_mask=None if mask is None else torch.from_numpy(mask).to(device),
            decode=decode,
            generator=generator,
        )
        chosen = action.cpu().numpy()
        seen, legal = observation, mask
        observation, reward, terminated, truncated = env.step(chosen)
        mask = env.action_mask
        if not np.isfinite(reward[alive]).all():
            raise UsageError(f"env {spec.id} returned a reward that is not finite at timestep {t}")
        steps.append(Timestep(seen, chosen, reward, terminated, truncated, alive, observation, legal))
        return_to_go = return_to_go - torch.from_numpy(np.where(alive, reward, 0).astype(np.float32)).to(device)
        previous = action
        alive = alive & ~(terminated | truncated)
        on_step()
        if not alive.any():
            return collect(steps)
    raise UsageError(f"env {spec.id} went on past its horizon of {spec.horizon} timesteps")


def _to_torch(observation: Observations, device: torch.device) -> Tensor | dict[str, Tensor]:
    return map_observations(lambda array: torch.from_numpy(np.ascontiguousarray(array)).to(device), observation)  # type: ignore[return-value]


def _device(model: DecisionSequence) -> torch.device:
    return next(model.parameters()).device
