"""Timesteps of an episode as vectors. Shapes: `*` is (B, T) in training and (B,) when acting; W is the width."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from dsbench.errors import UsageError


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
