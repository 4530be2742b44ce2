"""What one environment hands out, as copies in the types of its spaces; whatever is formed otherwise is a named fault.

Environments hand out buffers that they go on writing to, views that they share, and numbers of other types than they
declare. A number is taken in another type where it stays the number that it was (floats may be rounded to float32).
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dsbench.envs.casting import cast
from dsbench.errors import EnvironmentFault

MASK = "action_mask"  # of an environment's infos


def reset_result(result: Any) -> tuple[Any, Mapping[str, Any]]:
    """(observation, info) of a reset."""
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise EnvironmentFault(f"reset gave {_kind(result)}; expected the two values observation and info")
    return result[0], _info(result[1])


def step_result(result: Any) -> tuple[Any, np.float32, bool, bool, Mapping[str, Any]]:
    """(observation, reward, terminated, truncated, info) of a step."""
    if not isinstance(result, (tuple, list)) or len(result) != 5:
        raise EnvironmentFault(
            f"step gave {_kind(result)}; expected the five values observation, reward, terminated, truncated and info"
        )
    observation, reward, terminated, truncated, info = result
    return observation, _reward(reward), _flag("terminated", terminated), _flag("truncated", truncated), _info(info)


def observation(value: Any, space: gym.Space[Any], name: str = "observations") -> Any:
    """A copy of an observation, an array of the space's dtype for each leaf."""
    if isinstance(space, gym.spaces.Dict):
        if not isinstance(value, Mapping) or value.keys() != space.spaces.keys():
            raise EnvironmentFault(
                f"the environment's {name} are no dictionary of {sorted(space.spaces)}, as its space is"
            )
        return {key: observation(value[key], space[key], f"{name}.{key}") for key in sorted(space.spaces)}
    array = _array(value, name)
    if array.shape != space.shape:
        raise EnvironmentFault(
            f"the environment's {name} are of shape {array.shape}, and its space has shape {space.shape}"
        )
    return as_numbers(array[None], space, name)[0]


def as_numbers(array: np.ndarray, space: gym.Space[Any], name: str) -> np.ndarray:
    """(N, ...) numbers in the space's dtype, none of them changed but by rounding; the same array where it has that."""
    if array.dtype.kind not in "biuf":
        raise EnvironmentFault(f"the environment's {name} are no numbers but {array.dtype}")
    result, lost = cast(array, np.dtype(space.dtype))
    if lost.any():
        shown = array[lost].ravel()[:1]
        raise EnvironmentFault(f"the environment's {name} hold {shown[0]}, which no {space.dtype} of {space} is")
    return result


def action_mask(info: Mapping[str, Any], space: gym.Space[Any]) -> NDArray[np.bool_] | None:
    """(A,) a copy of the actions that an info allows; None where it says nothing: then all are."""
    if info.get(MASK) is None:
        return None
    return as_masks(_array(info[MASK], MASK)[None], space)[0]


def as_masks(array: np.ndarray, space: gym.Space[Any]) -> NDArray[np.bool_]:
    """(N, A) copies of masks of the actions of a Discrete space, given as truth values or as the numbers 0 and 1."""
    if not isinstance(space, gym.spaces.Discrete):
        raise EnvironmentFault(f"the environment gives an action mask, and its actions are {space}, not Discrete")
    if array.shape[1:] != (space.n,):
        raise EnvironmentFault(
            f"the environment's action mask is of shape {array.shape[1:]}, and it has {space.n} actions"
        )
    if array.dtype.kind == "b":
        return array.copy()
    if array.dtype.kind not in "biuf" or not np.isin(array, (0, 1)).all():
        held = array.ravel()[~np.isin(array.ravel(), (0, 1))][:1] if array.dtype.kind in "biuf" else [array.dtype]
        raise EnvironmentFault(f"the environment's action mask holds {held[0]}; expected truth values, or 0 and 1")
    return array == 1


def _reward(value: Any) -> np.float32:
    if isinstance(value, np.ndarray) and value.shape == ():
        value = value[()]
    if not isinstance(value, (numbers.Real, np.bool_)):
        raise EnvironmentFault(f"the reward is {_kind(value)}; expected one real number")
    try:
        exact = float(value)
    except OverflowError:
        raise EnvironmentFault("the reward is too large for float32") from None
    with np.errstate(over="ignore"):
        rounded = np.float32(exact)
    if np.isfinite(exact) and not np.isfinite(rounded):
        raise EnvironmentFault(f"the reward {exact:g} is too large for float32")
    return rounded


def _flag(name: str, value: Any) -> bool:
    if isinstance(value, np.ndarray) and value.shape == ():
        value = value[()]
    if isinstance(value, (bool, np.bool_)) or (isinstance(value, (int, np.integer)) and value in (0, 1)):
        return bool(value)
    raise EnvironmentFault(f"{name} is {_kind(value)}; expected true or false")


def _info(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise EnvironmentFault(f"the info is {_kind(value)}; expected a dictionary")
    return value


def _array(value: Any, name: str) -> np.ndarray:
    """A copy."""
    if value is None:
        raise EnvironmentFault(f"the environment's {name} are None")
    try:
        return np.array(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise EnvironmentFault(f"the environment's {name} are {_kind(value)}, which makes no array") from error


def _kind(value: Any) -> str:
    """What something is, for people: short, and nothing of it is run."""
    if value is None or isinstance(value, (bool, int, float, complex, str)):
        return f"{str(value)[:40]!r} ({type(value).__name__})" if isinstance(value, str) else repr(value)[:60]
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    return f"{type(value).__name__} object"
