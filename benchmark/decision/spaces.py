"""Spaces as JSON, so that a stored policy knows what it sees and does without unpickling anything.

A description may come from anywhere: it is checked whole before a space, whose bounds take memory, is made of it.
"""

from __future__ import annotations

import math
import reprlib
from typing import Annotated, Any, Literal, TypeAlias

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from dsbench.errors import UsageError
from dsbench.records.manifest import reason_of

LARGEST = 2**22  # entries of all boxes in a space: two thousand pixels squared
MOST = 2**31 - 1  # numbers of a discrete space
HIGHEST_RANK = 8
LONGEST_KEY = 1000  # characters


def space_to_json(space: gym.Space[Any]) -> dict[str, Any]:
    """Box, Discrete and Dict as plain JSON values; infinite bounds become null."""
    if isinstance(space, spaces.Dict):
        check_keys(space)
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


def check_keys(space: spaces.Dict) -> None:
    """`UsageError` unless every key is a text that files can hold."""
    for key in space.keys():  # noqa: SIM118  (a space is no mapping)
        is_text = isinstance(key, str) and not any("\ud800" <= letter <= "\udfff" for letter in key)
        if not is_text or len(key) > LONGEST_KEY:
            raise UsageError(
                f"a dictionary space has the key {reprlib.repr(key)}; expected a text of at most {LONGEST_KEY} characters, "
                "none of them half a surrogate pair: rename it in the environment"
            )


def space_from_json(value: Any, largest: int = LARGEST) -> gym.Space[Any]:
    """Inverse of `space_to_json`.

    Args:
        value: JSON data.
        largest: entries that all boxes in it may have between them.

    Raises:
        UsageError: no description of a space, or a larger one.
    """
    try:
        described = _ANY.validate_python(value)
    except ValidationError as error:
        raise UsageError(
            f"{reprlib.repr(value)[:100]} describes no space ({reason_of(error)}); expected a box, a discrete space or a "
            "dictionary of these"
        ) from error
    if (entries := described.entries()) > largest:
        raise UsageError(f"a space has {entries:,} entries; expected at most {largest:,}")
    return described.space()


class _Described(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class _Discrete(_Described):
    kind: Literal["discrete"]
    n: int = Field(ge=1, le=MOST)
    start: int = Field(ge=-(2**62), le=2**62)

    def entries(self) -> int:
        return 1

    def space(self) -> gym.Space[Any]:
        return spaces.Discrete(self.n, start=self.start)


_Finite: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]
_Bounds: TypeAlias = _Finite | list[_Finite | None] | None


class _Box(_Described):
    kind: Literal["box"]
    shape: list[Annotated[int, Field(ge=0, le=MOST)]] = Field(max_length=HIGHEST_RANK)
    dtype: Literal[
        "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "float32", "float64"
    ]
    low: _Bounds
    high: _Bounds

    def entries(self) -> int:
        return math.prod(self.shape)

    @model_validator(mode="after")
    def _fits(self) -> _Box:
        for name, bounds in (("low", self.low), ("high", self.high)):
            every = bounds if isinstance(bounds, list) else [bounds]
            if isinstance(bounds, list) and len(bounds) != self.entries():
                raise ValueError(f"{name} has {len(bounds)} numbers for {self.entries()} entries")
            if None in every and not self.dtype.startswith("float"):
                raise ValueError(f"{name} is infinite, which no {self.dtype} is")
        return self

    def space(self) -> gym.Space[Any]:
        low, high = self._array(self.low, -np.inf), self._array(self.high, np.inf)
        if not (low <= high).all():
            raise UsageError("a box has a low above its high; expected low <= high")
        return spaces.Box(low, high, shape=tuple(self.shape), dtype=low.dtype.type)

    def _array(self, bounds: _Bounds, infinite: float) -> np.ndarray:
        flat = [infinite if bound is None else bound for bound in (bounds if isinstance(bounds, list) else [bounds])]
        dtype = np.dtype(self.dtype)
        if dtype.kind != "f":  # JSON rounds the largest integers up, out of their type
            least, most = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
            flat = [min(max(int(bound), least), most) for bound in flat]
        with np.errstate(over="ignore"):
            values = np.array(flat, np.float64 if dtype.kind == "f" else dtype).astype(dtype)
        return values.reshape(self.shape) if isinstance(bounds, list) else np.full(self.shape, values[0])


class _Dict(_Described):
    kind: Literal["dict"]
    parts: dict[Annotated[str, Field(max_length=LONGEST_KEY)], _Space] = Field(min_length=1, max_length=1000)

    def entries(self) -> int:
        return sum(part.entries() for part in self.parts.values())

    def space(self) -> gym.Space[Any]:
        return spaces.Dict({key: part.space() for key, part in self.parts.items()})


_Space: TypeAlias = Annotated[_Discrete | _Box | _Dict, Field(discriminator="kind")]
_Dict.model_rebuild()
_ANY: TypeAdapter[_Discrete | _Box | _Dict] = TypeAdapter(_Space)


def same_form(one: gym.Space[Any], other: gym.Space[Any]) -> bool:
    """Whether what is of one space has the keys, the shape and the count of the other; bounds may differ."""
    if isinstance(one, spaces.Dict) and isinstance(other, spaces.Dict):
        return one.keys() == other.keys() and all(same_form(part, other[key]) for key, part in one.items())
    if isinstance(one, spaces.Discrete) and isinstance(other, spaces.Discrete):
        return (one.n, one.start) == (other.n, other.start)
    return isinstance(one, spaces.Box) and isinstance(other, spaces.Box) and one.shape == other.shape


def _bound(values: np.ndarray) -> list[float | None] | float | None:
    """One number where all bounds are equal, else a flat list; null for infinity."""
    flat = [float(v) if np.isfinite(v) else None for v in values.ravel()]
    return flat[0] if flat and all(v == flat[0] for v in flat) else flat
