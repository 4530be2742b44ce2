"""What stands around Mamba's mixer: its paper's block, and that of Decision Mamba (Ota 2024, arXiv:2403.19925)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from torch import Tensor, nn

from dsbench.backbones.contract import Backbone
from dsbench.backbones.residual import FeedForward, ResidualBlock
from dsbench.errors import UsageError

Preset = Literal["decision-mamba"]
Init = Literal["mamba", "overwritten"]


class MambaBlock(ResidualBlock):
    """The paper's block: ``x + mixer(norm(x))``, no MLP."""

    def __init__(self, d_model: int, *, mixer: Backbone) -> None:
        super().__init__(d_model, mixer=mixer)
        self.norm = nn.RMSNorm(d_model, eps=1e-5)

    def around(self, x: Tensor, mix: Callable[[Tensor], Tensor]) -> Tensor:
        return x + mix(self.norm(x))


class DecisionMambaBlock(ResidualBlock):
    """Decision Mamba's block: LayerNorm before the mixer, and before a GELU MLP of ratio 4 with dropout at its end."""

    def __init__(self, d_model: int, *, mixer: Backbone, dropout: float) -> None:
        super().__init__(d_model, mixer=mixer)
        self.mixer_norm = nn.LayerNorm(d_model, eps=1e-5)
        self.mlp_norm = nn.LayerNorm(d_model, eps=1e-5)
        self.mlp = nn.Sequential(*FeedForward(d_model, ratio=4), nn.Dropout(dropout))

    def around(self, x: Tensor, mix: Callable[[Tensor], Tensor]) -> Tensor:
        x = x + mix(self.mixer_norm(x))
        return x + self.mlp(self.mlp_norm(x))


def check_preset(preset: str | None, block: str, dropout: float, init: str) -> None:
    """Refuse options of `Mamba` that cannot be used, or not beside each other."""
    if preset not in (None, *get_args(Preset)):
        raise UsageError(f"preset is {preset!r}; expected 'decision-mamba'")
    if preset is not None and block != "shared":
        raise UsageError(f"block is {block!r} beside preset={preset!r}, which has a block of its own; leave one out")
    if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout < 1:
        raise UsageError(f"dropout is {dropout!r}; expected a number from 0 to below 1")
    if dropout and preset is None:
        raise UsageError(
            f"dropout is {dropout!r}, which belongs to Decision Mamba's block; add preset='decision-mamba'"
        )
    if init not in get_args(Init):
        raise UsageError(f"init is {init!r}; expected 'mamba' or 'overwritten'")
