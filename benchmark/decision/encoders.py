"""Encoders: observations and actions as vectors; returns and timesteps have modules of their own.

Shapes: `*` is (B, T) in training and (B,) when acting; W is the width of the embedding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from dsbench.decision.scaling import (
    OBSERVATIONS,
    KeepsFloat64,
    Spread,
    is_wide,
    note_on_observations,
    resolution,
)
from dsbench.decision.spaces import check_keys
from dsbench.episodes import Observations
from dsbench.errors import UsageError

Activation = Literal["none", "relu", "gelu", "tanh"]
ACTIVATIONS: dict[str, type[nn.Module]] = {"none": nn.Identity, "relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}
_KEPT = {"uint8": torch.uint8, "float16": torch.float32, "float32": torch.float32, "float64": torch.float64}
# How new policies scale; 1 is how those of result version 1 do: nothing centred in float64, no centre of returns.
SCALING = 2
MIN_IMAGE = 16  # smaller uint8 boxes are treated as plain numbers


class BoxEncoder(KeepsFloat64):
    """Numbers: standardised by the data's statistics, then linear. (*, ...) -> (*, W).

    Args:
        wide: the numbers are centred in float64, since float32 does not hold them (see `dsbench.decision.scaling`).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, space: spaces.Box, width: int, wide: bool) -> None:
        super().__init__()
        self.rank = len(space.shape)
        size, dtype = int(np.prod(space.shape)), torch.float64 if wide else torch.float32
        self.linear = nn.Linear(size, width)
        self.register_buffer("mean", torch.zeros(size, dtype=dtype))
        self.register_buffer("std", torch.ones(size, dtype=dtype))

    def fit(self, values: np.ndarray, name: str = OBSERVATIONS) -> list[str]:
        """Take mean and standard deviation from (N, ...) data; a feature that is constant but for rounding keeps its scale.

        Returns:
            a sentence on those that vary by hardly more than that.
        """
        found = Spread.of(values.reshape(len(values), -1))
        seen_as = np.dtype(np.float64 if self.mean.dtype == torch.float64 else np.float32)
        rounding = resolution(seen_as, found.largest)
        self.mean.copy_(torch.from_numpy(found.centre))
        self.std.copy_(torch.from_numpy(np.where(found.spread <= rounding, 1.0, found.spread)))
        return note_on_observations(name, found, rounding)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        flat = x.flatten(x.dim() - self.rank) if self.rank else x.unsqueeze(-1)
        normal = ((flat.to(self.mean.dtype) - self.mean) / self.std).to(self.linear.weight.dtype)
        if mask is not None:
            normal = normal * mask.unsqueeze(-1)  # padding becomes zero after normalising, not minus the mean
        return self.linear(normal)


class DiscreteEncoder(nn.Module):
    """A number of n: one row of a table. (*,) -> (*, W)."""

    def __init__(self, space: spaces.Discrete, width: int) -> None:
        super().__init__()
        self.start = int(space.start)
        self.table = nn.Embedding(int(space.n), width)

    def fit(self, values: np.ndarray, name: str = OBSERVATIONS) -> list[str]:
        """Nothing to fit."""
        return []

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        # Padding is zero, which need not be in the space, and an exported table read outside is memory of something else.
        # What comes from data or an environment is refused before (`check_seen`), never clamped unseen.
        index = (x.long() - self.start).clamp(0, self.table.num_embeddings - 1)
        return self.table(index)

    def check(self, x: Tensor, name: str) -> None:
        """`UsageError` where a number is not of the space."""
        n = self.table.num_embeddings
        outside = (x < self.start) | (x >= self.start + n)
        if bool(outside.any()):
            raise UsageError(
                f"{name} is {x[outside].flatten()[0].item()}; expected a whole number from {self.start} to "
                f"{self.start + n - 1}, as its space has them"
            )


class ImageEncoder(nn.Module):
    """A uint8 image (H, W, C) or (C, H, W): three strided convolutions and a linear map. (*, ...) -> (*, W)."""

    def __init__(self, space: spaces.Box, width: int) -> None:
        super().__init__()
        self.channels_last = space.shape[-1] <= 4
        height, broad = space.shape[:2] if self.channels_last else space.shape[1:]
        channels = space.shape[-1] if self.channels_last else space.shape[0]
        self.body = nn.Sequential(
            nn.Conv2d(channels, 16, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(32, 32, 3, stride=2, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.linear = nn.Linear(32 * math.ceil(height / 8) * math.ceil(broad / 8), width)

    def fit(self, values: np.ndarray, name: str = OBSERVATIONS) -> list[str]:
        """Nothing to fit: pixels are divided by 255."""
        return []

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        leading = x.shape[:-3]
        image = x.reshape(-1, *x.shape[-3:]).to(self.linear.weight.dtype) / 255
        if self.channels_last:
            image = image.movedim(-1, -3)
        return self.linear(self.body(image).flatten(1)).view(*leading, -1)


class DictEncoder(nn.Module):
    """Parts of a dictionary, by sorted key, summed. {key: (*, ...)} -> (*, W)."""

    def __init__(self, space: spaces.Dict, width: int, scaling: int) -> None:
        super().__init__()
        check_keys(space)
        self.keys = sorted(space.keys())
        for key in self.keys:
            if isinstance(space[key], spaces.Dict):
                raise UsageError(
                    f"the observation's part {key!r} is a dictionary itself; expected Box or Discrete parts: wrap the "
                    "environment in gymnasium.wrappers.FlattenObservation, or merge its dictionaries"
                )
        self.parts = nn.ModuleDict({part_name(key): make_encoder(space[key], width, scaling) for key in self.keys})

    @property
    def by_key(self) -> dict[str, nn.Module]:
        """The encoder of each part."""
        return {key: self.parts[part_name(key)] for key in self.keys}

    def fit(self, values: Observations, name: str = OBSERVATIONS) -> list[str]:
        """Fit each part."""
        assert isinstance(values, Mapping)
        told = [part.fit(values[key], f"{name}.{key}") for key, part in self.by_key.items()]  # type: ignore[operator]
        return [note for notes in told for note in notes]

    def forward(self, x: dict[str, Tensor], mask: Tensor | None) -> Tensor:
        return torch.stack([part(x[key], mask) for key, part in self.by_key.items()]).sum(0)


def part_name(key: str) -> str:
    """`key` as the name of a module: itself, or spelt out where torch could take it for something else.

    That is an attribute (``items``), a path (``a.b``), or code: exporting writes the names of modules into a program.
    """
    plain = key.isprintable() and not set(key) & set(".\"'\\") and not key.startswith(_SPELT)
    return key if key and plain and not hasattr(_ANY_PARTS, key) else _SPELT + key.encode().hex()


def make_encoder(space: gym.Space, width: int, scaling: int = SCALING) -> nn.Module:  # type: ignore[type-arg]
    """The encoder of an observation space; `UsageError` names a space that has none."""
    if isinstance(space, spaces.Dict):
        return DictEncoder(space, width, scaling)
    if isinstance(space, spaces.Discrete):
        return DiscreteEncoder(space, width)
    if isinstance(space, spaces.Box):
        wide = scaling > 1 and is_wide(space.dtype)
        return ImageEncoder(space, width) if is_image(space) else BoxEncoder(space, width, wide)
    raise UsageError(f"observation space {space} is not supported; expected Box, Discrete or a Dict of these")


def check_seen(encoder: nn.Module, observation: Any, name: str = "the observation") -> None:
    """`UsageError` where a discrete observation, or a discrete part of one, is not of its space."""
    if isinstance(encoder, DiscreteEncoder):
        encoder.check(observation, name)
    elif isinstance(encoder, DictEncoder):
        for key, part in encoder.by_key.items():
            check_seen(part, observation[key], f"{name}'s part {key!r}")


def tensor_type(dtype: np.dtype[Any]) -> torch.dtype:
    """Of what an exported policy is shown: floats and pixels stay (float16 is float32), other numbers are int64."""
    return _KEPT.get(dtype.name, torch.int64)


def is_image(space: spaces.Box) -> bool:
    """A uint8 box of rank 3 whose height and width are at least 16."""
    if space.dtype != np.uint8 or len(space.shape) != 3:
        return False
    sides = space.shape[:2] if space.shape[-1] <= 4 else space.shape[1:]
    return min(sides) >= MIN_IMAGE


_SPELT, _ANY_PARTS = "key:", nn.ModuleDict()


class ActionEncoder(nn.Module):
    """The previous action, or nothing at an episode's first timestep. (*,) or (*, A) -> (*, W)."""

    def __init__(self, space: gym.Space, width: int) -> None:  # type: ignore[type-arg]
        super().__init__()
        if isinstance(space, spaces.Discrete):
            self.body: nn.Module = nn.Embedding(int(space.n), width)
        elif isinstance(space, spaces.Box) and len(space.shape) == 1:
            self.body = nn.Linear(space.shape[0], width)
        else:
            raise UsageError(f"action space {space} is not supported; expected Discrete or a Box of rank 1")

    def forward(self, action: Tensor, present: Tensor) -> Tensor:
        """`present` (*,) bool: False where there is no action; the embedding is zero there."""
        embedded = self.body(action if isinstance(self.body, nn.Embedding) else action.to(self._dtype()))
        return embedded * present.unsqueeze(-1)

    def _dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype
