"""Many DoorKey episodes stepped together, equal to minigrid's; the slow part of minigrid, the view, comes from tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dsbench.envs.tasks.door_key_states import LOCKED, States, tables
from dsbench.episodes import Observations


class DoorKeyEpisodes:
    """See `dsbench.envs.spec.VectorEpisodes`.

    Attributes:
        states: (rows,) number of the state of each row (`dsbench.envs.tasks.door_key_states`), hidden from learners.
    """

    action_mask: np.ndarray | None = None

    def __init__(self, seeds: Sequence[int], size: int) -> None:
        self.size, self.max_steps, self.t = size, 10 * size**2, 0
        self._tables = tables(size)
        self.states = self._tables.shape.number(_drawn_by_minigrid(seeds, size))
        self._over = np.zeros(len(seeds), bool)
        self.observations: Observations = self._tables.observe(self.states)

    def step(self, actions: np.ndarray) -> tuple[Observations, np.ndarray, np.ndarray, np.ndarray]:
        before = self._over
        self.t += 1
        self.states = np.where(before, self.states, self._tables.after[self.states, actions])
        at_goal = self._tables.at_goal[self.states]
        # The same order of operations as minigrid's, so that rewards are equal to the last bit.
        rewards = np.where(at_goal & ~before, 1 - 0.9 * (self.t / self.max_steps), 0).astype(np.float32)
        truncated = ~before & (self.t >= self.max_steps)
        terminated = before | at_goal
        self._over = terminated | truncated
        self.observations = self._tables.observe(self.states)
        return self.observations, rewards, terminated, truncated


def _drawn_by_minigrid(seeds: Sequence[int], size: int) -> States:
    """The states that minigrid's own environment begins with under these seeds."""
    from minigrid.envs.doorkey import DoorKeyEnv

    env: Any = DoorKeyEnv(size)
    env.gen_obs = lambda: None  # what is seen comes from the tables; drawing it would take most of the reset
    drawn = np.empty((len(seeds), 7), np.int64)
    for row, seed in enumerate(seeds):
        env.reset(seed=seed)
        at = {thing.type: place for place, thing in enumerate(env.grid.grid) if thing is not None}
        drawn[row] = *divmod(at["door"], size), *divmod(at["key"], size), *env.agent_pos, env.agent_dir
    door_row, split, key_y, key_x, x, y, direction = drawn.T
    door, inside = np.full(len(drawn), LOCKED), size - 2
    return States(split, door_row, door, (key_y - 1) * inside + key_x - 1, (y - 1) * inside + x - 1, direction)
