"""GPT-2's own block (Radford et al. 2019): what stands around attention, and the options that belong to it alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

from torch import Tensor, nn

from dsbench.backbones.contract import Backbone
from dsbench.backbones.residual import ResidualBlock
from dsbench.errors import UsageError

INIT_STD = 0.02  # Radford et al. 2019

Activation = Literal["gelu", "relu"]
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"gelu": lambda: nn.GELU("tanh"), "relu": nn.ReLU}
OWN = {
    "activation": "gelu",
    "dropout": 0.0,
    "scaled_init": True,
}  # options of the paper's block, as they are unless given


class GPT2Block(ResidualBlock):
    """GPT-2's own block: LayerNorm before attention and before an MLP of ratio 4 (GELU in its tanh form, or ReLU)."""

    def __init__(
        self, d_model: int, *, mixer: Backbone, residual_std: float, activation: Activation, dropout: float
    ) -> None:
        super().__init__(d_model, mixer=mixer)
        self.mixer_norm = nn.LayerNorm(d_model, eps=1e-5)
        self.mlp_norm = nn.LayerNorm(d_model, eps=1e-5)
        widen, narrow = nn.Linear(d_model, 4 * d_model), nn.Linear(4 * d_model, d_model)
        self.mlp = nn.Sequential(widen, ACTIVATIONS[activation](), narrow, nn.Dropout(dropout))
        initialise((widen, INIT_STD), (narrow, residual_std))

    def around(self, x: Tensor, mix: Callable[[Tensor], Tensor]) -> Tensor:
        x = x + mix(self.mixer_norm(x))
        return x + self.mlp(self.mlp_norm(x))


def check_own(block: str, own: dict[str, Any]) -> None:
    """Refuse options of the paper's block that cannot be used."""
    if own["activation"] not in get_args(Activation):
        raise UsageError(f"activation is {own['activation']!r}; expected 'gelu' or 'relu'")
    if isinstance(own["dropout"], bool) or not isinstance(own["dropout"], int | float) or not 0 <= own["dropout"] < 1:
        raise UsageError(f"dropout is {own['dropout']!r}; expected a number from 0 to below 1")
    if not isinstance(own["scaled_init"], bool):
        raise UsageError(f"scaled_init is {own['scaled_init']!r}; expected true or false")
    for option, value in own.items():
        if block == "shared" and value != OWN[option]:
            raise UsageError(f"{option} is {value!r}, which belongs to GPT-2's own block; add block='paper'")


def initialise(*parts: tuple[nn.Linear, float]) -> None:
    """Weights from Normal(0, std), biases 0."""
    for linear, std in parts:
        nn.init.normal_(linear.weight, std=std)
        nn.init.zeros_(linear.bias)
