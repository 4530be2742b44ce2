"""A backbone's step as a function of plain tensors: (x_t, *leaves) -> (y_t, *new leaves)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dsbench.backbones.contract import Backbone
from dsbench.backbones.state import State, flatten, unflatten
from dsbench.backbones.stepper import acting_copy


class FunctionalStep(nn.Module):
    """The step of a private copy of `backbone` for `batch_size` rows, with torch operators only.

    Attributes:
        initial: state before an episode's first token.
        names: paths of the state's leaves, in the order in which they are passed and returned.
    """

    def __init__(self, backbone: Backbone, batch_size: int) -> None:
        super().__init__()
        self.backbone = portable_copy(backbone)
        with torch.no_grad():
            self.initial = self.backbone.initial_state(batch_size)
        self.names = list(flatten(self.initial))

    def forward(self, x_t: Tensor, *leaves: Tensor) -> tuple[Tensor, ...]:
        y_t, state = self.backbone.step(x_t, self.state_of(leaves))
        flat = flatten(state)
        return y_t, *(flat[name].to(old.dtype) for name, old in zip(self.names, leaves, strict=True))

    def state_of(self, leaves: tuple[Tensor, ...] | list[Tensor]) -> State:
        """The state whose leaves are `leaves`."""
        return unflatten(dict(zip(self.names, leaves, strict=True)), self.initial)

    def example(self, batch_size: int) -> tuple[Tensor, ...]:
        """Arguments of the right shapes: zeros and the initial state."""
        parameter = next(self.backbone.parameters(), torch.zeros(0))
        token = parameter.new_zeros(batch_size, self.backbone.d_model)
        return token, *(leaf.detach().clone() for leaf in flatten(self.initial).values())


def portable_copy(backbone: Backbone) -> Backbone:
    """`acting_copy` in evaluation mode, without gradients, every kernel the portable one."""
    copy = acting_copy(backbone).eval().requires_grad_(False)
    for module in copy.modules():
        if isinstance(getattr(module, "implementation", None), str):
            vars(module)["implementation"] = "torch"  # an exporter sees through torch's operators only
    return copy
