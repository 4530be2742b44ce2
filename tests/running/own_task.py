"""A task in a file of one's own, sound or with a fault that its option names."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from dsbench.envs.behaviour import uniform
from dsbench.envs.spec import EnvSpec, Recipe
from dsbench.envs.targets import Fixed
from dsbench.envs.vector import LoopedEpisodes
from dsbench.episodes import Episodes

LENGTH = 5


class Steps(gym.Env[Any, int]):
    """Five timesteps; the action 1 pays where the observation, drawn, says 1."""

    observation_space = gym.spaces.Discrete(2)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, fault: str) -> None:
        self.fault = fault
        if fault == "beyond":  # numbers may leave the bounds of their space, which is worth a word
            self.observation_space = gym.spaces.Box(0, 0.5, (1,), np.float32)  # type: ignore[assignment]

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=None if self.fault == "unseeded" else seed)
        self.t = 0
        self.late = 100 < (seed or 0) < 2**31 - 1  # no seed that is tried
        return self._see(), {}

    def step(self, action: int) -> Any:
        pays, self.t = self.seen == action, self.t + 1
        result = (self._see(), float(pays), False, self.t == LENGTH, {})
        return (*result[:3], result[4]) if self.fault == "old step" else result

    def _see(self) -> Any:
        self.seen = int(self.np_random.integers(2))
        if self.fault == "beyond":
            return np.array([self.seen], np.float32)
        return 2 if self.fault == "outside" or (self.fault == "outside later" and self.late) else self.seen


ONE = Steps("none")


def steps(fault: str = "none") -> EnvSpec:
    """The task with one of its faults."""

    def make(render_mode: str | None = None) -> gym.Env[Any, int]:
        return ONE if fault == "one object" else Steps(fault)

    def score(episodes: Episodes) -> dict[str, np.ndarray]:
        returns = episodes.returns()
        if fault == "score later" and len(episodes) in (2, 3):  # no number that is tried
            returns = np.full(len(episodes), np.nan)
        return {"sum": returns} if fault == "no return" else {"return": returns}

    return EnvSpec(
        id="steps-v0", name="steps", summary="steps", options={"fault": fault}, make=make,
        vector=lambda seeds: LoopedEpisodes(make, seeds), score=score, success_metric="return", horizon=LENGTH,
        random_return=2.5, optimal_return=5.0, references="exact", tests=("control",), needs_memory=False,
        random=uniform(2), optimal=None, target=Fixed(5.0), recipes={"random": Recipe("uniform", uniform(2))},
    )  # fmt: skip
