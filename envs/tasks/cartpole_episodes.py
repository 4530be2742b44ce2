"""CartPole in numpy, all episodes at once, and what is seen of its state."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dsbench.episodes import Observations

GRAVITY, MASS_POLE, MASS, HALF_LENGTH, FORCE, SECONDS = 9.8, 0.1, 0.1 + 1.0, 0.5, 10.0, 0.02
POLE_MOMENT = MASS_POLE * HALF_LENGTH
X_LIMIT, THETA_LIMIT = 2.4, 12 * 2 * math.pi / 360


@dataclass(frozen=True)
class View:
    """What is seen of the state.

    Attributes:
        columns: which of x, its velocity, theta, its velocity.
        noise: standard deviation of Gaussian noise added to each of them, or None.
    """

    columns: tuple[int, ...]
    noise: float | None = None

    @property
    def bounds(self) -> np.ndarray:
        """(columns,) float32: largest magnitude of each, gymnasium's."""
        return np.array([2 * X_LIMIT, np.inf, 2 * THETA_LIMIT, np.inf], np.float32)[list(self.columns)]


WHOLE, POSITIONS, VELOCITIES = View((0, 1, 2, 3)), View((0, 2)), View((1, 3))


class CartPoleEpisodes:
    """Many episodes at once in numpy, bit for bit those of the gymnasium environment (a test holds it).

    Attributes:
        state: (4, rows) float64: x, its velocity, theta, its velocity.
        over: (rows,) bool, the episode has ended; its state and observation stay as they were at its end.
    """

    action_mask: np.ndarray | None = None

    def __init__(self, seeds: Sequence[int], max_steps: int, view: View) -> None:
        self.max_steps, self.view, self.t = max_steps, view, 0
        self.over = np.zeros(len(seeds), bool)
        self.state = np.empty((4, len(seeds)))
        # A numpy generator cannot be re-seeded, so each row has one of its own; all its draws are taken here.
        draws = 0 if view.noise is None else max_steps + 1
        self.noise = np.empty((draws, len(seeds), len(view.columns)), np.float32)
        for row, seed in enumerate(seeds):
            generator = np.random.default_rng(seed)
            self.state[:, row] = generator.uniform(-0.05, 0.05, 4)
            if view.noise is not None:
                self.noise[:, row] = generator.normal(0.0, view.noise, (draws, len(view.columns)))
        self.observations: Observations = self._observe()

    def step(self, actions: np.ndarray) -> tuple[Observations, np.ndarray, np.ndarray, np.ndarray]:
        over, before = self.over, np.asarray(self.observations)
        self.t = min(self.t + 1, self.max_steps)
        self.state = np.where(over, self.state, pushed(self.state, actions))
        fallen = (np.abs(self.state[0]) > X_LIMIT) | (np.abs(self.state[2]) > THETA_LIMIT)
        truncated = ~over & (self.t == self.max_steps)
        self.observations = np.where(over[:, None], before, self._observe())
        self.over = over | fallen | truncated
        return self.observations, (~over).astype(np.float32), over | fallen, truncated

    def _observe(self) -> np.ndarray:
        seen = self.state[list(self.view.columns)].T.astype(np.float32, order="C")
        if self.view.noise is None:
            return seen
        return np.clip(seen + self.noise[self.t], -self.view.bounds, self.view.bounds)


def pushed(state: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """(4, rows) the state 0.02 s later, by Euler's method; the order of the operations is gymnasium's, to the last bit."""
    _, x_dot, theta, theta_dot = state
    force = np.where(actions == 1, FORCE, -FORCE)
    cosine, sine = np.cos(theta), np.sin(theta)
    push = (force + POLE_MOMENT * np.square(theta_dot) * sine) / MASS
    theta_acceleration = (GRAVITY * sine - cosine * push) / (
        HALF_LENGTH * (4.0 / 3.0 - MASS_POLE * np.square(cosine) / MASS)
    )
    x_acceleration = push - POLE_MOMENT * theta_acceleration * cosine / MASS
    change = np.stack((x_dot, x_acceleration, theta_dot, theta_acceleration))
    return state + SECONDS * change
