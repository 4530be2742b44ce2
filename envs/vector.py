"""Several episodes of any gymnasium environment stepped together: a plain loop, for tasks without a batched twin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from dsbench.episodes import Observations


class LoopedEpisodes:
    """One environment a row, each reset with its own seed; see `dsbench.envs.spec.VectorEpisodes`.

    ``info["action_mask"]`` (A,) bool, where an environment gives one, becomes the rows' `action_mask`; `envs` are the
    environments themselves, for scripted experts.
    """

    def __init__(self, make: Callable[[], gym.Env[Any, Any]], seeds: Sequence[int]) -> None:
        self.envs = [make() for _ in seeds]
        results = [env.reset(seed=seed) for env, seed in zip(self.envs, seeds, strict=True)]
        self._last = [observation for observation, _ in results]
        self._over = np.zeros(len(seeds), bool)
        self.observations: Observations = _stack(self._last)
        self.action_mask = _masks([info for _, info in results])

    def step(self, actions: np.ndarray) -> tuple[Observations, np.ndarray, np.ndarray, np.ndarray]:
        rows = len(self.envs)
        rewards, terminated, truncated = np.zeros(rows, np.float32), self._over.copy(), np.zeros(rows, bool)
        infos: list[dict[str, Any]] = [{} for _ in range(rows)]
        for row in np.flatnonzero(~self._over):
            self._last[row], rewards[row], terminated[row], truncated[row], infos[row] = self.envs[row].step(
                actions[row]
            )
            if terminated[row] or truncated[row]:
                self.envs[row].close()
        self._over = self._over | terminated | truncated
        self.observations = _stack(self._last)
        self.action_mask = _masks(infos, self.action_mask)
        return self.observations, rewards, terminated, truncated


def _stack(observations: Sequence[Any]) -> Observations:
    if isinstance(observations[0], Mapping):
        return {key: np.stack([part[key] for part in observations]) for key in sorted(observations[0])}
    return np.stack(observations)


def _masks(infos: Sequence[Mapping[str, Any]], old: np.ndarray | None = None) -> np.ndarray | None:
    """New masks where an info has one, the old ones elsewhere (a row that has ended gives none)."""
    if old is None and not any("action_mask" in info for info in infos):
        return None
    given = [info.get("action_mask") for info in infos]
    return np.stack([old[row] if mask is None else mask for row, mask in enumerate(given)])  # type: ignore[index]
