"""A task in a file of one's own that says which simulator stands behind it: hopper's spaces, no simulator needed."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from dsbench.envs.spec import EnvSpec, Recipe
from dsbench.envs.targets import Fixed
from dsbench.envs.vector import LoopedEpisodes

FEATURES, ACTIONS, HORIZON = 11, 3, 12


class Drift(gym.Env[np.ndarray, np.ndarray]):
    """The observation drifts along the action; small observations pay."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (FEATURES,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (ACTIONS,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.seen, self.steps = self.np_random.normal(size=FEATURES).astype(np.float32), 0
        return self.seen, {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.seen = self.seen + np.resize(action, FEATURES).astype(np.float32)
        self.steps += 1
        return self.seen, -float(np.abs(self.seen).mean()), False, self.steps == HORIZON, {}


def uniform(env: Any, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
    return (2 * draws[:, 1:] - 1).astype(np.float32)


def drift(physics: str = "v5") -> EnvSpec:
    """The task as if it were gymnasium's Hopper of this version."""
    return EnvSpec(
        id=f"drift-{physics}", name="drift", summary="drift", options={"physics": physics},
        make=lambda render_mode=None: Drift(), vector=lambda seeds: LoopedEpisodes(Drift, seeds),
        score=lambda episodes: {"return": episodes.returns()}, success_metric="return", horizon=HORIZON,
        random_return=-20.0, optimal_return=0.0, references="none", tests=("control",), needs_memory=False,
        random=uniform, optimal=None, target=Fixed(0.0), recipes={"random": Recipe("uniform", uniform)},
        draws_per_timestep=1 + ACTIONS, simulator={"gymnasium": f"Hopper-{physics}"},
    )  # fmt: skip
