"""Several episodes of any gymnasium environment stepped together, for tasks without a batched twin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import gymnasium as gym
import numpy as np

from dsbench.envs import forms
from dsbench.envs.closing import close_quietly
from dsbench.episodes import Observations, map_observations
from dsbench.errors import EnvironmentFault, UsageError
from dsbench.stopping import raise_if_asked

T = TypeVar("T")
_Spaces = tuple[gym.Space[Any], gym.Space[Any]]


class LoopedEpisodes:
    """One environment a row, each reset with its own seed; see `dsbench.envs.spec.VectorEpisodes`.

    ``info["action_mask"]`` (A,), where an environment gives one, becomes the row's part of `action_mask`; where it gives
    none, all actions are allowed. `envs` are the environments themselves, for scripted experts. What an environment hands
    out is copied at once; each is closed when its episode ends.
    """

    def __init__(self, make: Callable[[], gym.Env[Any, Any]], seeds: Sequence[int]) -> None:
        self.envs: list[gym.Env[Any, Any]] = []
        self._over = np.zeros(len(seeds), bool)
        try:
            for _ in seeds:
                self.envs.append(_unless_stopped(make))
            self._spaces = _common_spaces(self.envs)
            self._own = [(env.observation_space, env.action_space) for env in self.envs]
            begun = [self._begun(row, seed) for row, seed in enumerate(seeds)]
        except BaseException:
            self.close()
            raise
        self._last = [observation for observation, _ in begun]
        self.observations: Observations = _stack(self._last)
        self.action_mask = _masks([mask for _, mask in begun])

    def step(self, actions: np.ndarray) -> tuple[Observations, np.ndarray, np.ndarray, np.ndarray]:
        rows = len(self.envs)
        rewards, terminated, truncated = np.zeros(rows, np.float32), self._over.copy(), np.zeros(rows, bool)
        masks: list[np.ndarray | None] = [
            self.action_mask[row] if over and self.action_mask is not None else None
            for row, over in enumerate(self._over)
        ]  # a row that has ended stays as it ended
        for row in np.flatnonzero(~self._over).tolist():
            raise_if_asked()
            observation, rewards[row], terminated[row], truncated[row], info = forms.step_result(
                self.envs[row].step(actions[row])
            )
            self._last[row], masks[row] = self._taken(row, observation, info)
            if terminated[row] or truncated[row]:
                close_quietly(self.envs[row])
        self._over = self._over | terminated | truncated
        self.observations = _stack(self._last)
        self.action_mask = _masks(masks)
        return self.observations, rewards, terminated, truncated

    def close(self) -> None:
        """Close the environments whose episodes were not played to their end."""
        for row, env in enumerate(self.envs):
            if not self._over[row]:
                close_quietly(env)
        self._over[:] = True

    def _begun(self, row: int, seed: int) -> tuple[Any, np.ndarray | None]:
        return self._taken(row, *forms.reset_result(_unless_stopped(partial(self.envs[row].reset, seed=seed))))

    def _taken(self, row: int, observation: Any, info: Mapping[str, Any]) -> tuple[Any, np.ndarray | None]:
        """Copies of what an environment shows and of its mask, before any other is asked for anything."""
        env, own = self.envs[row], self._own[row]
        if env.observation_space is not own[0] or env.action_space is not own[1]:
            _check_spaces(env, self._spaces)
        return forms.observation(observation, self._spaces[0]), forms.action_mask(info, self._spaces[1])


def _unless_stopped(call: Callable[[], T]) -> T:
    """What `call` gives; hundreds of them take seconds, and a signal must not wait for all."""
    raise_if_asked()
    return call()


def _common_spaces(envs: Sequence[gym.Env[Any, Any]]) -> _Spaces:
    """The spaces of all rows, which must be environments of their own."""
    seen: dict[int, int] = {}
    for row, env in enumerate(envs):
        if not hasattr(env, "reset") or not hasattr(env, "observation_space") or not hasattr(env, "action_space"):
            raise EnvironmentFault(
                f"make() gave {type(env).__name__}, which is no environment of gymnasium with its spaces"
            )
        first = seen.setdefault(id(getattr(env, "unwrapped", env)), row)
        if first != row:
            raise EnvironmentFault(
                f"make() gave the same environment for rows {first} and {row}; every call must make one of its own"
            )
    spaces = envs[0].observation_space, envs[0].action_space
    for env in envs[1:]:
        _check_spaces(env, spaces)
    return spaces


def _check_spaces(env: gym.Env[Any, Any], spaces: _Spaces) -> None:
    """`EnvironmentFault` unless an environment has the spaces that all rows had when they were made."""
    for what, space in zip(("observation_space", "action_space"), spaces, strict=True):
        found = getattr(env, what)
        if found is not space and found != space:
            raise EnvironmentFault(
                f"its {what} is {found} here and {space} elsewhere; spaces must be the same in all episodes"
            )


def _stack(observations: Sequence[Any]) -> Observations:
    if isinstance(observations[0], Mapping):
        return {key: np.stack([part[key] for part in observations]) for key in sorted(observations[0])}
    return np.stack(observations)


def _masks(given: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """(rows, A) what each row allows now: everything where nothing was said; None where nothing was said at all."""
    known = next((mask for mask in given if mask is not None), None)
    if known is None:
        return None
    return np.stack([np.ones_like(known) if mask is None else mask for mask in given])


class AutoresetEpisodes:
    """One episode a row from a `gymnasium.vector.VectorEnv`, which would go on with the next one by itself.

    What a vector environment does when a row ends is its autoreset mode (gymnasium 1.x): NEXT_STEP ignores the next action
    and returns the new episode's first observation with reward 0, a transition that never was; SAME_STEP returns the new
    observation at once and the true last one in ``info["final_obs"]``; DISABLED must be told to reset the row. Here a row
    that has ended stays as it ended, whatever the mode.
    """

    action_mask: np.ndarray | None

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any], seeds: Sequence[int]) -> None:
        self.env = env
        try:
            if env.num_envs != len(seeds):
                raise UsageError(
                    f"the vector environment has {env.num_envs} rows and {len(seeds)} episodes were asked for"
                )
            self.mode = env.metadata.get("autoreset_mode", gym.vector.AutoresetMode.NEXT_STEP)
            self._over = np.zeros(len(seeds), bool)
            observations, infos = forms.reset_result(env.reset(seed=list(seeds)))  # type: ignore[arg-type]  # its rows take a list
            self.observations: Observations = _copied(observations)
            self.action_mask = self._masks(infos)
        except BaseException:
            self.close()
            raise

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
        self.action_mask = self._masks(infos)
        return after, np.where(over, 0, rewards).astype(np.float32), terminated | over, truncated & ~over

    def close(self) -> None:
        """Close the vector environment with all its rows."""
        close_quietly(self.env)

    def _masks(self, infos: Mapping[str, Any]) -> np.ndarray | None:
        """(rows, A) what each row allows now; gymnasium notes beside the masks which rows gave one."""
        if infos.get(forms.MASK) is None:
            return None
        rows = len(self._over)
        given = np.asarray(infos.get(f"_{forms.MASK}", np.ones(rows, bool)), bool) & ~self._over
        return _masks(
            [
                forms.action_mask({forms.MASK: mask}, self.env.single_action_space) if given[row] else None
                for row, mask in enumerate(infos[forms.MASK])
            ]
        )


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
