"""Several episodes stepped together from their first timesteps to their last and recorded, for data and for evaluation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from dsbench.envs import checked
from dsbench.envs.spec import Behaviour, EnvSpec, VectorEpisodes
from dsbench.episodes import Episodes, Timestep, collect
from dsbench.stopping import raise_if_asked


class Player(Protocol):
    """Who acts in a group of episodes."""

    def act(self, env: VectorEpisodes, timestep: int) -> np.ndarray:
        """(rows, ...) actions; those of rows that have ended are ignored."""

    def receive(self, rewards: np.ndarray, alive: np.ndarray) -> None:
        """(rows,) float32 rewards of the timestep, 0 where the episode was over; (rows,) bool, where it was not."""


class Scripted:
    """A scripted policy. Each row has its own place in the stream, whatever rows are beside it.

    Args:
        generator: of the draws of every timestep; a PCG64, which can pass over draws.
        episode_draw: (rows,) one draw an episode.
        largest: rows that the stream has draws for at every timestep.
        per_timestep: `EnvSpec.draws_per_timestep`.
        begin: place of the first row among them.
    """

    def __init__(
        self,
        behaviour: Behaviour,
        generator: np.random.Generator,
        episode_draw: np.ndarray,
        largest: int,
        per_timestep: int = 2,
        begin: int = 0,
    ) -> None:
        self.behaviour, self.generator, self.episode_draw = behaviour, generator, episode_draw
        self.draws = (len(episode_draw), per_timestep)
        self.others = (largest - len(episode_draw)) * per_timestep
        self._pass(begin * per_timestep)

    def act(self, env: VectorEpisodes, timestep: int) -> np.ndarray:
        draws = self.generator.random(self.draws)
        self._pass(self.others)
        return self.behaviour(env, timestep, draws, self.episode_draw)

    def receive(self, rewards: np.ndarray, alive: np.ndarray) -> None:
        """Scripted policies look at the episode itself."""

    def _pass(self, draws: int) -> None:
        """Leave out so many draws; each takes one number of the stream."""
        bits = self.generator.bit_generator
        assert isinstance(bits, np.random.PCG64)
        bits.advance(draws)


def roll(spec: EnvSpec, env: VectorEpisodes, player: Player, rows: int, on_step: Callable[[], None]) -> Episodes:
    """Step all episodes until each has ended, at the latest at the horizon, where what goes on is cut.

    Rows that ended keep stepping on nothing and are left out.

    Raises:
        EnvironmentFault: as `dsbench.envs.checked.step`.
        Interrupted: a signal asked for an end.
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
        raise_if_asked()
        if not alive.any():
            break
    return collect(steps)
