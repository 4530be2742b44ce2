"""Spaces as JSON, so that a stored policy knows what it sees and does without unpickling anything."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from dsbench.errors import UsageError


def space_to_json(space: gym.Space[Any]) -> dict[str, Any]:
    """Box, Discrete and Dict as plain JSON values; infinite bounds become null."""
    if isinstance(space, spaces.Dict):
        return {"kind": "dict", "parts": {key: space_to_json(space[key]) for key in sorted(space.keys())}}
    if isinstance(space, spaces.Discrete):
        return {"kind": "discrete", "n": int(space.n), "start": int(space.start)}
    if isinstance(space, spaces.Box):
        return {
            "kind": "box",
            "shape": list(space.shape),
            "dtype": str(space.dtype),
            "low": _bound(space.low),
            "high": _bound(space.high),
        }
    raise UsageError(f"space {space} is not supported; expected Box, Discrete or a Dict of these")


def space_from_json(value: dict[str, Any]) -> gym.Space[Any]:
    """Inverse of `space_to_json`."""
    kind = value["kind"]
    if kind == "dict":
        return spaces.Dict({key: space_from_json(part) for key, part in value["parts"].items()})
    if kind == "discrete":
        return spaces.Discrete(value["n"], start=value["start"])
    dtype, shape = np.dtype(value["dtype"]), tuple(value["shape"])
    low = _unbound(value["low"], -np.inf, shape)
    high = _unbound(value["high"], np.inf, shape)
    return spaces.Box(low.astype(dtype), high.astype(dtype), shape=shape, dtype=dtype.type)


def _bound(values: np.ndarray) -> list[float | None] | float | None:
    """One number where all bounds are equal, else a flat list; null for infinity."""
    flat = [float(v) if np.isfinite(v) else None for v in values.ravel()]
    return flat[0] if flat and all(v == flat[0] for v in flat) else flat


def _unbound(value: Any, infinite: float, shape: tuple[int, ...]) -> np.ndarray:
    flat = value if isinstance(value, list) else [value] * int(np.prod(shape))
    return np.array([infinite if v is None else v for v in flat], dtype=np.float64).reshape(shape)
