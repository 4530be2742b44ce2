"""Several episodes of any gymnasium environment stepped together, for tasks without a batched twin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import gymnasium as gym
import numpy as np

from dsbench.episodes import Observations, map_observations
from dsbench.errors import EnvironmentFault, UsageError
from dsbench.stopping import raise_if_asked

T = TypeVar("T")


class LoopedEpisodes:
    """One environment a row, each reset with its own seed; see `dsbench.envs.spec.VectorEpisodes`.

    ``info["action_mask"]`` (A,) bool, where an environment gives one, becomes the rows' `action_mask`; `envs` are the
    environments themselves, for scripted experts.
    """

    def __init__(self, make: Callable[[], gym.Env[Any, Any]], seeds: Sequence[int]) -> None:
        self.envs = [_unless_stopped(make) for _ in seeds]
        results = [_unless_stopped(partial(env.reset, seed=seed)) for env, seed in zip(self.envs, seeds, strict=True)]
        self._last = [observation for observation, _ in results]
        for env, (observation, info) in zip(self.envs, results, strict=True):
            _check(env, observation, info)
        self._over = np.zeros(len(seeds), bool)
        self.observations: Observations = _stack(self._last)
        self.action_mask = _masks([info for _, info in results])

    def step(self, actions: np.ndarray) -> tuple[Observations, np.ndarray, np.ndarray, np.ndarray]:
        rows = len(self.envs)
        rewards, terminated, truncated = np.zeros(rows, np.float32), self._over.copy(), np.zeros(rows, bool)
        infos: list[dict[str, Any]] = [{} for _ in range(rows)]
        for row in np.flatnonzero(~self._over):
            raise_if_asked()
            self._last[row], rewards[row], terminated[row], truncated[row], infos[row] = self.envs[row].step(
                actions[row]
            )
            _check(self.envs[row], self._last[row], infos[row])
            if terminated[row] or truncated[row]:
                self.envs[row].close()
        self._over = self._over | terminated | truncated
        self.observations = _stack(self._last)
        self.action_mask = _masks(infos, self.action_mask)
        return self.observations, rewards, terminated, truncated


def _unless_stopped(call: Callable[[], T]) -> T:
    """What `call` gives; hundreds of them take seconds, and a signal must not wait for all."""
    raise_if_asked()
    return call()


def _check(env: gym.Env[Any, Any], observation: Any, info: Mapping[str, Any]) -> None:
    """`EnvironmentFault` unless observation and action mask are formed as the spaces say."""
    _check_shape(observation, env.observation_space)
    mask, space = info.get("action_mask"), env.action_space
    if mask is not None and isinstance(space, gym.spaces.Discrete) and np.shape(mask) != (space.n,):
        raise EnvironmentFault(
            f"the environment's action mask is of shape {np.shape(mask)}, and it has {space.n} actions"
        )


def _check_shape(observation: Any, space: gym.Space[Any], name: str = "observations") -> None:
    """`EnvironmentFault` unless the observation is formed as its space says."""
    if isinstance(space, gym.spaces.Dict):
        if not isinstance(observation, Mapping) or observation.keys() != space.keys():
            raise EnvironmentFault(
                f"the environment's {name} are no dictionary of {sorted(space.keys())}, as its space is"
            )
        for key in space.keys():  # noqa: SIM118  (a space is no mapping)
            _check_shape(observation[key], space[key], f"{name}.{key}")
    elif observation is None or np.shape(observation) != space.shape:
        found = "None" if observation is None else f"of shape {np.shape(observation)}"
        raise EnvironmentFault(f"the environment's {name} are {found}, and its space has shape {space.shape}")


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


class AutoresetEpisodes:
    """One episode a row from a `gymnasium.vector.VectorEnv`, which would go on with the next one by itself.

    What a vector environment does when a row ends is its autoreset mode (gymnasium 1.x): NEXT_STEP ignores the next action
    and returns the new episode's first observation with reward 0, a transition that never was; SAME_STEP returns the new
    observation at once and the true last one in ``info["final_obs"]``; DISABLED must be told to reset the row. Here a row
    that has ended stays as it ended, whatever the mode.
    """

    action_mask: np.ndarray | None = None

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any], seeds: Sequence[int]) -> None:
        if env.num_envs != len(seeds):
            raise UsageError(f"the vector environment has {env.num_envs} rows and {len(seeds)} episodes were asked for")
        self.env = env
        self.mode = env.metadata.get("autoreset_mode", gym.vector.AutoresetMode.NEXT_STEP)
        self._over = np.zeros(len(seeds), bool)
        observations, infos = env.reset(seed=list(seeds))  # type: ignore[arg-type]  # its rows take a list
        self.observations: Observations = _copied(observations)
        self.action_mask = infos.get("action_mask")

    def step(self, actions: np.ndarray) -> tuple[Observations, np.ndarray, np.ndarray, np.ndarray]:
        if self.mode == gym.vector.AutoresetMode.DISABLED and self._over.any():
            self.env.reset(options={"reset_mask": self._over.copy()})
        before, over = self.observations, self._over
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        ended = (terminated | truncated) & ~over
        after = _rows(over, before, _copied(observations))
        if self.mode == gym.vector.AutoresetMode.SAME_STEP and ended.any():
            after = _rows(ended, _stack([_final(infos, row, after) for row in range(len(over))]), after)
        self.observations, self._over = after, over | ended
        self.action_mask = infos.get("action_mask", self.action_mask)
        return after, np.where(over, 0, rewards).astype(np.float32), terminated | over, truncated & ~over


def _copied(observations: Any) -> Observations:
    return map_observations(np.array, observations)  # vector environments reuse their buffers


def _rows(chosen: np.ndarray, where: Observations, elsewhere: Observations) -> Observations:
    """Rows of `where` at the chosen places, of `elsewhere` at the others."""
    if isinstance(elsewhere, Mapping):
        assert isinstance(where, Mapping)
        return {key: _rows(chosen, where[key], elsewhere[key]) for key in sorted(elsewhere)}  # type: ignore[misc]
    assert isinstance(where, np.ndarray)
    return np.where(chosen.reshape(-1, *[1] * (elsewhere.ndim - 1)), where, elsewhere)


def _final(infos: Mapping[str, Any], row: int, otherwise: Observations) -> Any:
    """The true last observation of a row that ended in this step, else what it shows now."""
    if infos["_final_obs"][row]:
        return infos["final_obs"][row]
    if isinstance(otherwise, Mapping):
        return {key: array[row] for key, array in otherwise.items()}
    return otherwise[row]
