"""The spaces that data must fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym

from dsbench.envs.spec import EnvSpec
from dsbench.errors import UsageError


@dataclass(frozen=True)
class Spaces:
    """What an environment shows and takes."""

    observation: gym.Space[Any]
    action: gym.Space[Any]

    @classmethod
    def of(cls, spec: EnvSpec) -> Spaces:
        env = spec.make()
        try:
            spaces = cls(env.observation_space, env.action_space)
        finally:
            env.close()
        for space in (*spaces.leaves().values(), spaces.action):
            if not isinstance(space, (gym.spaces.Box, gym.spaces.Discrete)):
                raise UsageError(f"env {spec.name} has the space {space}; data can be loaded for Box and Discrete only")
        return spaces

    def leaves(self) -> dict[str, gym.Space[Any]]:
        """Leaf name, as `observation_leaves` gives it, -> its space."""
        if isinstance(self.observation, gym.spaces.Dict):
            return {f"observations.{key}": space for key, space in sorted(self.observation.spaces.items())}
        return {"observations": self.observation}


def trailing_shape(space: gym.Space[Any]) -> tuple[int, ...]:
    """Shape of one value of a Box or Discrete space."""
    return () if space.shape is None else tuple(space.shape)
