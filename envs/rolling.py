"""Several episodes stepped together from their first timesteps to their last and recorded, for data and for evaluation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from dsbench.envs import checked
from dsbench.envs.spec import Behaviour, EnvSpec, VectorEpisodes
from dsbench.episodes import Episodes, Timestep, collect


class Player(Protocol):
    """Who acts in a group of episodes."""

    def act(self, env: VectorEpisodes, timestep: int) -> np.ndarray:
        """(rows, ...) actions; those of rows that have ended are ignored."""

    def receive(self, rewards: np.ndarray, alive: np.ndarray) -> None:
        """(rows,) float32 rewards of the timestep, 0 where the episode was over; (rows,) bool, where it was not."""


class Scripted:
    """A scripted policy. As many draws are taken as the largest group has rows, so row i is the same in a smaller one.

    Args:
        generator: of the draws of every timestep.
        episode_draw: (rows,) one draw an episode.
        largest: rows of the largest group.
        per_timestep: `EnvSpec.draws_per_timestep`.
    """

    def __init__(
        self,
        behaviour: Behaviour,
        generator: np.random.Generator,
        episode_draw: np.ndarray,
        largest: int,
        per_timestep: int = 2,
    ) -> None:
        self.behaviour, self.generator, self.episode_draw = behaviour, generator, episode_draw
        self.draws = (largest, per_timestep)

    def act(self, env: VectorEpisodes, timestep: int) -> np.ndarray:
        draws = self.generator.random(self.draws)[: len(self.episode_draw)]
        return self.behaviour(env, timestep, draws, self.episode_draw)

    def receive(self, rewards: np.ndarray, alive: np.ndarray) -> None:
        """Scripted policies look at the episode itself."""


def roll(spec: EnvSpec, env: VectorEpisodes, player: Player, rows: int, on_step: Callable[[], None]) -> Episodes:
    """Step all episodes until each has ended, at the latest at the horizon, where what goes on is cut.

    Rows that ended keep stepping on nothing and are left out.

    Raises:
        EnvironmentFault: as `dsbench.envs.checked.step`.
    """
    alive = np.ones(rows, bool)
    steps: list[Timestep] = []
    for timestep in range(spec.horizon):
        seen, mask = env.observations, env.action_mask
        actions = player.act(env, timestep)
        after, rewards, terminated, truncated = checked.step(spec, env, actions, timestep, alive)
        if timestep == spec.horizon - 1:
            truncated = truncated | ~terminated
        steps.append(Timestep(seen, actions, rewards, terminated, truncated, alive, after, mask))
        player.receive(np.where(alive, rewards, 0).astype(np.float32), alive)
        alive = alive & ~(terminated | truncated)
        on_step()
        if not alive.any():
            break
    return collect(steps)
