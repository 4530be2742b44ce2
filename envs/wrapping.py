"""Spaces that cannot be learned from as they are: why, and which wrapper of gymnasium makes others of them."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

_EXPECTED = "expected Box, Discrete, or for observations a Dict of these without a Dict in it"


def unsupported(space: gym.Space[Any], whole: gym.Space[Any] | None) -> str | None:
    """Why a part of an observation, or an action, of this space cannot be learned from; None where it can.

    Args:
        whole: the observation space that it is a part of; None for actions.
    """
    if isinstance(space, gym.spaces.Discrete):
        return None
    if not isinstance(space, gym.spaces.Box):
        return f"which is not supported; {_EXPECTED}: {_of_actions(space) if whole is None else _of_observations(space, whole)}"
    if np.dtype(space.dtype).kind not in "iuf":
        return f"whose {space.dtype} are no numbers to learn from; expected integers or floats"
    if 0 in space.shape:
        return "which holds no number; expected at least one"
    if np.isnan(space.low).any() or np.isnan(space.high).any():
        return "whose bounds are no numbers; expected numbers or infinities"
    return None


def _of_observations(space: gym.Space[Any], whole: gym.Space[Any]) -> str:
    if _flat(whole):
        return "gymnasium.wrappers.FlattenObservation(env) makes one Box of it"
    if space is not whole and isinstance(whole, gym.spaces.Dict):
        kept = [
            key for key, part in sorted(whole.spaces.items()) if part is not space and unsupported(part, part) is None
        ]
        return f"gymnasium.wrappers.FilterObservation(env, {kept}) leaves it out"
    return "gymnasium.wrappers.TransformObservation(env, function, space) makes numbers of it"


def _of_actions(space: gym.Space[Any]) -> str:
    wrapper = "gymnasium.wrappers.TransformAction(env, function, space)"
    if isinstance(space, gym.spaces.MultiDiscrete | gym.spaces.MultiBinary):
        sizes = space.nvec if isinstance(space, gym.spaces.MultiDiscrete) else np.full(space.shape, 2)
        count, shape = int(np.prod(sizes)), tuple(map(int, np.ravel(sizes)))
        return f"{wrapper} with lambda a: numpy.array(numpy.unravel_index(a, {shape})) and gymnasium.spaces.Discrete({count})"
    return f"{wrapper} makes it from a Box or a Discrete space"


def _flat(space: gym.Space[Any]) -> bool:
    """Whether gymnasium can lay it out as one Box of numbers."""
    try:
        return isinstance(gym.spaces.flatten_space(space), gym.spaces.Box)
    except (NotImplementedError, ValueError):
        return False
