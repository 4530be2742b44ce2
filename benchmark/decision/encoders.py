"""Encoders: observations, actions, returns and timesteps as vectors.

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

from dsbench.episodes import Episodes, Observations
from dsbench.errors import UsageError

Activation = Literal["none", "relu", "gelu", "tanh"]
ACTIVATIONS: dict[str, type[nn.Module]] = {"none": nn.Identity, "relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}
_KEPT = {"uint8": torch.uint8, "float16": torch.float32, "float32": torch.float32, "float64": torch.float32}
MIN_IMAGE = 16  # smaller uint8 boxes are treated as plain numbers


class BoxEncoder(nn.Module):
    """Numbers: standardised by the data's statistics, then linear. (*, ...) -> (*, W)."""

    mean: Tensor
    std: Tensor

    def __init__(self, space: spaces.Box, width: int) -> None:
        super().__init__()
        self.rank = len(space.shape)
        size = int(np.prod(space.shape))
        self.linear = nn.Linear(size, width)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))

    def fit(self, values: np.ndarray) -> None:
        """Take mean and standard deviation from (N, ...) data; a constant feature keeps its scale."""
        flat = values.reshape(len(values), -1).astype(np.float64)
        std = flat.std(0)
        self.mean.copy_(torch.from_numpy(flat.mean(0)))
        self.std.copy_(torch.from_numpy(np.where(std < 1e-6, 1.0, std)))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        flat = x.flatten(x.dim() - self.rank) if self.rank else x.unsqueeze(-1)
        normal = (flat.to(self.mean.dtype) - self.mean) / self.std
        if mask is not None:
            normal = normal * mask.unsqueeze(-1)  # padding becomes zero after normalising, not minus the mean
        return self.linear(normal)


class DiscreteEncoder(nn.Module):
    """A number of n: one row of a table. (*,) -> (*, W)."""

    def __init__(self, space: spaces.Discrete, width: int) -> None:
        super().__init__()
        self.start = int(space.start)
        self.table = nn.Embedding(int(space.n), width)

    def fit(self, values: np.ndarray) -> None:
        """Nothing to fit."""

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        index = (x.long() - self.start).clamp(0, self.table.num_embeddings - 1)
        return self.table(index)


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

    def fit(self, values: np.ndarray) -> None:
        """Nothing to fit: pixels are divided by 255."""

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        leading = x.shape[:-3]
        image = x.reshape(-1, *x.shape[-3:]).to(self.linear.weight.dtype) / 255
        if self.channels_last:
            image = image.movedim(-1, -3)
        return self.linear(self.body(image).flatten(1)).view(*leading, -1)


class DictEncoder(nn.Module):
    """Parts of a dictionary, by sorted key, summed. {key: (*, ...)} -> (*, W)."""

    def __init__(self, space: spaces.Dict, width: int) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({key: make_encoder(space[key], width) for key in sorted(space.keys())})

    def fit(self, values: Observations) -> None:
        """Fit each part."""
        assert isinstance(values, Mapping)
        for key, part in self.parts.items():
            part.fit(values[key])  # type: ignore[operator]

    def forward(self, x: dict[str, Tensor], mask: Tensor | None) -> Tensor:
        return torch.stack([part(x[key], mask) for key, part in self.parts.items()]).sum(0)


def make_encoder(space: gym.Space, width: int) -> nn.Module:  # type: ignore[type-arg]
    """The encoder of an observation space; `UsageError` names a space that has none."""
    if isinstance(space, spaces.Dict):
        return DictEncoder(space, width)
    if isinstance(space, spaces.Discrete):
        return DiscreteEncoder(space, width)
    if isinstance(space, spaces.Box):
        return ImageEncoder(space, width) if is_image(space) else BoxEncoder(space, width)
    raise UsageError(f"observation space {space} is not supported; expected Box, Discrete or a Dict of these")


def tensor_type(dtype: np.dtype[Any]) -> torch.dtype:
    """Of what an exported policy takes: floats are float32, pixels stay, other numbers are int64."""
    return _KEPT.get(dtype.name, torch.int64)


def is_image(space: spaces.Box) -> bool:
    """A uint8 box of rank 3 whose height and width are at least 16."""
    if space.dtype != np.uint8 or len(space.shape) != 3:
        return False
    sides = space.shape[:2] if space.shape[-1] <= 4 else space.shape[1:]
    return min(sides) >= MIN_IMAGE


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


class ReturnEncoder(nn.Module):
    """Return-to-go divided by `return_scale`, then linear. (*,) -> (*, W)."""

    return_scale: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(1, width)
        self.register_buffer("return_scale", torch.ones(()))

    def fit(self, episodes: Episodes, return_scale: float | None) -> None:
        """Scale by `return_scale`, or by the spread of the data's returns (1 where all are equal)."""
        spread = float(episodes.returns().std()) if return_scale is None else return_scale
        self.return_scale.fill_(spread if spread > 1e-6 else 1.0)

    def forward(self, return_to_go: Tensor) -> Tensor:
        return self.linear((return_to_go.to(self.return_scale.dtype) / self.return_scale).unsqueeze(-1))


class SinusoidalTime(nn.Module):
    """Fixed sines and cosines of the timestep, of half the length of a standardised input. (*,) -> (*, W)."""

    frequencies: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        half = (width + 1) // 2
        self.width = width
        self.register_buffer(
            "frequencies", torch.exp(-math.log(10_000.0) * torch.arange(half) / half), persistent=False
        )

    def forward(self, timestep: Tensor) -> Tensor:
        angle = timestep.unsqueeze(-1) * self.frequencies
        return 0.5 * torch.cat([angle.sin(), angle.cos()], -1)[..., : self.width]


class TableTime(nn.Module):
    """A learned row per timestep, at first Normal(0, std). (*,) -> (*, W). Longer episodes are refused by `check_horizon`."""

    def __init__(self, width: int, max_timestep: int, std: float = 0.02) -> None:
        super().__init__()
        self.table = nn.Embedding(max_timestep, width)
        nn.init.normal_(self.table.weight, std=std)

    def check_horizon(self, longest: int) -> None:
        """`UsageError` if an episode of `longest` timesteps does not fit."""
        if longest > self.table.num_embeddings:
            raise UsageError(
                f"an episode has {longest} timesteps and wrapper.max_timestep is {self.table.num_embeddings}; "
                "raise it, or use wrapper.time=sinusoidal"
            )

    def forward(self, timestep: Tensor) -> Tensor:
        return self.table(timestep)
