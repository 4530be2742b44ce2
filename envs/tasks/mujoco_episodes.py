"""Hopper, HalfCheetah and Walker2d for many episodes at once: MuJoCo steps each, numpy does the rest for all together."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsbench.episodes import Observations

ROWS_PER_THREAD = 8  # fewer are not worth handing over
SPEED_LIMIT = 10.0  # of the velocities shown of walkers; gymnasium's


@dataclass(frozen=True)
class Body:
    """What sets the three machines apart; the numbers are gymnasium's defaults.

    Attributes:
        control_cost: what the sum of the squared actions costs.
        walker: whether it begins nearly still, is paid for standing, ends when it falls and shows clipped velocities;
            the cheetah does none of it.
        height, lean: (lowest, highest) of a standing walker, in m and rad, exclusive.
        state_limit: largest magnitude of all other positions and velocities of a standing walker, exclusive.
        noise: of the first state.
    """

    control_cost: float
    walker: bool
    noise: float
    height: tuple[float, float] = (-np.inf, np.inf)
    lean: tuple[float, float] = (-np.inf, np.inf)
    state_limit: float = np.inf

    def stands(self, qpos: np.ndarray, qvel: np.ndarray) -> NDArray[np.bool_]:
        """(rows,) whether each walker stands."""
        z, angle = qpos[:, 1], qpos[:, 2]
        upright = (self.height[0] < z) & (z < self.height[1]) & (self.lean[0] < angle) & (angle < self.lean[1])
        if np.isinf(self.state_limit):
            return np.asarray(upright)
        others = np.concatenate([qpos[:, 2:], qvel], 1)
        return np.asarray(upright & (np.abs(others) < self.state_limit).all(1))

    def begin(self, generator: np.random.Generator, nq: int, nv: int) -> tuple[np.ndarray, np.ndarray]:
        """What the first positions and velocities differ by from the resting ones, drawn as gymnasium does."""
        positions = generator.uniform(-self.noise, self.noise, nq)
        if self.walker:
            return positions, generator.uniform(-self.noise, self.noise, nv)
        return positions, self.noise * generator.standard_normal(nv)


class Simulation:
    """One machine's model, shared by all episodes, and MuJoCo data that are free to be used again.

    Each data has room for 6 to 14 MB of contacts, of which few pages are ever touched; made anew for every group of
    episodes, they would touch others each time and memory would grow.

    Args:
        env: gymnasium's environment, of which the model, the state at rest and the seconds of a timestep are taken.
    """

    def __init__(self, env: Any) -> None:
        self.model, self.dt, self.frame_skip = env.model, env.dt, env.frame_skip
        self.rest = env.init_qpos, env.init_qvel
        self._free: list[Any] = []

    def borrow(self, rows: int, borrower: object) -> list[Any]:
        """Data in the state at rest; they come back when the borrower is no more."""
        import mujoco

        data = [self._free.pop() if self._free else mujoco.MjData(self.model) for _ in range(rows)]
        weakref.finalize(borrower, self._free.extend, data)
        for one in data:
            mujoco.mj_resetData(self.model, one)
        return data


class MujocoEpisodes:
    """Many episodes of one machine, bit for bit those of gymnasium's environment (a test holds it).

    All rows share a model; each has its own MuJoCo data, which also remembers where the solver of contacts begins.
    Rows are stepped by several threads: MuJoCo runs without Python's lock.

    Attributes:
        over: (rows,) bool, the episode has ended; its observation stays as it was at its end.

    Args:
        pays_fall: version 4 pays a walker for standing also at the timestep at which it falls.
    """

    action_mask: np.ndarray | None = None

    def __init__(
        self, simulation: Simulation, body: Body, seeds: Sequence[int], max_steps: int, pays_fall: bool
    ) -> None:
        import mujoco
        from gymnasium.utils import seeding

        self.body, self.max_steps, self.pays_fall, self.t = body, max_steps, pays_fall, 0
        self.model, self.dt, self.frame_skip = simulation.model, simulation.dt, simulation.frame_skip
        self.over = np.zeros(len(seeds), bool)
        self._data = simulation.borrow(len(seeds), self)
        for data, seed in zip(self._data, seeds, strict=True):
            positions, velocities = body.begin(seeding.np_random(seed)[0], self.model.nq, self.model.nv)
            data.qpos[:] = simulation.rest[0] + positions
            data.qvel[:] = simulation.rest[1] + velocities
            mujoco.mj_forward(self.model, data)
        self._step_one = mujoco.mj_step
        # Views of MuJoCo's memory: asking the data for one costs as much as copying what it shows.
        self._views = [(data.qpos, data.qvel, data.ctrl) for data in self._data]
        self._qpos = np.stack([qpos for qpos, _, _ in self._views])
        self._qvel = np.stack([qvel for _, qvel, _ in self._views])
        self.observations: Observations = self._observe()

    def step(self, actions: np.ndarray) -> tuple[Observations, np.ndarray, np.ndarray, np.ndarray]:
        over, before = self.over, self._qpos[:, 0].copy()
        self.t = min(self.t + 1, self.max_steps)
        self._simulate(np.flatnonzero(~over), actions)
        rewards = (self._qpos[:, 0] - before) / self.dt
        stands = np.ones(len(over), bool)
        if self.body.walker:
            stands = self.body.stands(self._qpos, self._qvel)
            rewards = rewards + (np.ones(len(over)) if self.pays_fall else stands)
        # The sum has the precision of the actions, as in gymnasium.
        rewards = rewards - self.body.control_cost * np.square(actions).sum(1)
        self.observations = np.where(over[:, None], np.asarray(self.observations), self._observe())
        truncated = ~over & (self.t == self.max_steps)
        terminated = over | ~stands
        self.over = terminated | truncated
        return self.observations, np.where(over, 0, rewards).astype(np.float32), terminated, truncated

    def _simulate(self, rows: NDArray[np.int64], actions: np.ndarray) -> None:
        parts = min(threads(), -(-len(rows) // ROWS_PER_THREAD))
        if parts < 2:
            return self._simulate_part(rows, actions)
        for done in [
            _pool(os.getpid()).submit(self._simulate_part, part, actions) for part in np.array_split(rows, parts)
        ]:
            done.result()
        return None

    def _simulate_part(self, rows: NDArray[np.int64], actions: np.ndarray) -> None:
        for row in rows.tolist():
            qpos, qvel, ctrl = self._views[row]
            ctrl[:] = actions[row]
            self._step_one(self.model, self._data[row], self.frame_skip)
            self._qpos[row], self._qvel[row] = qpos, qvel

    def _observe(self) -> np.ndarray:
        velocities = np.clip(self._qvel, -SPEED_LIMIT, SPEED_LIMIT) if self.body.walker else self._qvel
        return np.concatenate([self._qpos[:, 1:], velocities], 1).astype(np.float32)


def threads() -> int:
    """How many threads step the rows of a group: ``OMP_NUM_THREADS``, which a run sets to its own, else all cores.

    Of the time that a step takes 97 % can be shared among them (1 % needs Python's lock).
    """
    cores, asked = len(os.sched_getaffinity(0)), os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, max(1, int(asked))) if asked.isdecimal() else cores


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """One for each process: a forked one has none of its parent's threads."""
    return ThreadPoolExecutor(threads(), thread_name_prefix="mujoco")
