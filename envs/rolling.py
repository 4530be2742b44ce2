"""Several episodes stepped together from their first timesteps to their last and recorded, for data and for evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from dsbench.envs.catalogue import ENVS
from dsbench.envs.checked import Checked
from dsbench.envs.spec import Behaviour, EnvSpec
from dsbench.episodes import Episodes, Timestep, collect
from dsbench.errors import DsbenchError, EnvironmentFault
from dsbench.outside.blame import told
from dsbench.stopping import raise_if_asked

MAX_ROWS = 1000  # episodes whose draws come from one stream, and the most that are stepped together
OPEN_TOGETHER = 64  # environments from elsewhere that are open at once


class Player(Protocol):
    """Who acts in a group of episodes."""

    def act(self, env: Checked, timestep: int) -> np.ndarray:
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

    def act(self, env: Checked, timestep: int) -> np.ndarray:
        draws = self.generator.random(self.draws)
        self._pass(self.others)
        try:
            return self.behaviour(env.behind, timestep, draws, self.episode_draw)
        except (DsbenchError, MemoryError):
            raise
        except (Exception, SystemExit) as error:
            raise EnvironmentFault(f"{env.who}: who acts raised {told(error, f'at timestep {timestep}')}") from error

    def receive(self, rewards: np.ndarray, alive: np.ndarray) -> None:
        """Scripted policies look at the episode itself."""

    def _pass(self, draws: int) -> None:
        """Leave out so many draws; each takes one number of the stream."""
        bits = self.generator.bit_generator
        assert isinstance(bits, np.random.PCG64)
        bits.advance(draws)


def roll(spec: EnvSpec, env: Checked, player: Player, on_step: Callable[[], None]) -> Episodes:
    """Step all episodes until each has ended, at the latest at the horizon, where what goes on is cut.

    Rows that ended keep stepping on nothing and are left out.

    Raises:
        EnvironmentFault: as `dsbench.envs.checked.Checked`.
        Interrupted: a signal asked for an end.
    """
    steps: list[Timestep] = []
    for timestep in range(spec.horizon):
        seen, mask, alive = env.observations, env.action_mask, env.alive
        actions = np.array(player.act(env, timestep))
        after, rewards, terminated, truncated = env.step(actions)
        if timestep == spec.horizon - 1:
            truncated = truncated | ~terminated
        steps.append(Timestep(seen, actions, rewards, terminated, truncated, alive, after, mask))
        player.receive(np.where(alive, rewards, 0).astype(np.float32), alive)
        on_step()
        raise_if_asked()
        if not env.alive.any():
            break
    return collect(steps)


def rows_together(spec: EnvSpec) -> int:
    """Episodes of this environment that may be stepped together.

    Our own are batched. Of code from elsewhere each row may be an environment with files, sockets and memory of its own:
    64 of them leave room for a dozen files each where a process may have a thousand open. What an episode is does not depend on
    it. `EnvSpec.most_rows` sets another number.
    """
    if spec.most_rows is not None:
        return min(spec.most_rows, MAX_ROWS)
    return MAX_ROWS if ENVS.is_own(spec.origin.reference) else OPEN_TOGETHER


def groups(episodes: int, together: int) -> Iterator[tuple[int, int]]:
    """(first, rows) of groups of at most so many episodes together, none of them across a multiple of `MAX_ROWS`."""
    first = 0
    while first < episodes:
        rows = min(together, episodes - first, MAX_ROWS - first % MAX_ROWS)
        yield first, rows
        first += rows
