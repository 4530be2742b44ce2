"""The spaces of an environment that can be played and learned from, and what lies outside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dsbench.envs.casting import rows_where
from dsbench.envs.closing import close_quietly
from dsbench.envs.wrapping import unsupported
from dsbench.errors import DsbenchError, UsageError
from dsbench.outside.blame import told

if TYPE_CHECKING:
    from dsbench.envs.spec import EnvSpec


@dataclass(frozen=True)
class Spaces:
    """What an environment shows and takes."""

    observation: gym.Space[Any]
    action: gym.Space[Any]

    @classmethod
    def of(cls, spec: EnvSpec) -> Spaces:
        """Those of one environment that `spec` makes; `EnvSpec.spaces` asks once.

        Raises:
            UsageError: it cannot be made, has none, or has spaces that are not supported.
        """
        env = made(spec)
        try:
            return cls.of_env(env, spec.id)
        finally:
            close_quietly(env)

    @classmethod
    def of_env(cls, env: gym.Env[Any, Any], name: str) -> Spaces:
        """Those of this environment; faults as in `of`."""
        found = getattr(env, "observation_space", None), getattr(env, "action_space", None)
        for space, what in zip(found, ("observation_space", "action_space"), strict=True):
            if not isinstance(space, gym.Space):
                raise UsageError(f"env {name} made {env!r}, whose {what} is {space!r}; expected a space of gymnasium")
        spaces = cls(*found)  # type: ignore[arg-type]
        parts = [(leaf, space, spaces.observation) for leaf, space in spaces.leaves().items()]
        for leaf, space, whole in (*parts, ("actions", spaces.action, None)):
            if (reason := unsupported(space, whole)) is not None:
                raise UsageError(f"env {name} has {leaf} of the space {space}, {reason}")
        if not spaces.leaves():
            raise UsageError(f"env {name} has an observation space without parts, {spaces.observation}")
        return spaces

    def leaves(self) -> dict[str, gym.Space[Any]]:
        """Leaf name, as `observation_leaves` gives it, -> its space."""
        if isinstance(self.observation, gym.spaces.Dict):
            return {f"observations.{key}": space for key, space in sorted(self.observation.spaces.items())}
        return {"observations": self.observation}


def made(spec: EnvSpec) -> gym.Env[Any, Any]:
    """One environment; `UsageError` with the environment's name if making it fails."""
    return called(spec.make, f"env {spec.id}", "when made")


def called(call: Callable[[], Any], what: str, when: str) -> Any:
    """What code that is not ours gives; `UsageError` in its place if it raises."""
    try:
        return call()
    except (DsbenchError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(f"{what} raised {told(error, when)}") from error


def trailing_shape(space: gym.Space[Any]) -> tuple[int, ...]:
    """Shape of one value of a Box or Discrete space."""
    return () if space.shape is None else tuple(space.shape)


def outside(space: gym.Space[Any], values: np.ndarray, tolerance: float = 0.0) -> NDArray[np.bool_]:
    """(N,) rows of numbers that do not lie in a Box, by more than `tolerance`, or in a Discrete space."""
    if isinstance(space, gym.spaces.Discrete):
        return (values < space.start) | (values >= space.start + space.n)
    assert isinstance(space, gym.spaces.Box)
    if values.size and values.min() >= space.low.max() and values.max() <= space.high.min():
        return np.zeros(len(values), bool)  # by far the quickest way to say so
    return rows_where((values < space.low - tolerance) | (values > space.high + tolerance))


def may_leave(space: gym.Space[Any]) -> bool:
    """Whether observations outside the space are a warning only: environments with float observations do leave theirs."""
    return isinstance(space, gym.spaces.Box) and np.dtype(space.dtype).kind == "f"
