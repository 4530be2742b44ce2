"""Steppers: the fast way to act. A stepper owns its state and may update it in place."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dsbench.backbones.state import State, clone_state, detach_state

if TYPE_CHECKING:
    from dsbench.backbones.contract import Backbone


class Stepper:
    """Steps one backbone for `batch_size` rows; the default simply calls ``backbone.step``.

    A backbone with a faster way (discretised once, ring buffer, one fused call) returns a subclass from
    ``make_stepper``. It is built for the parameters as they are: make a new one after an update.

    Attributes:
        implementation: what computes a step; whole stretches may have another (`Backbone.kernel`).
    """

    implementation: str = "torch"

    def __init__(self, backbone: Backbone, batch_size: int) -> None:
        self.backbone, self.batch_size = backbone, batch_size
        self._state = detach_state(backbone.initial_state(batch_size))  # a learned one would keep its graph

    @torch.no_grad()
    def step(self, x_t: Tensor) -> Tensor:
        """One token: (B, D) -> (B, D)."""
        y_t, self._state = self.backbone.step(x_t, self._state)
        return y_t

    @torch.no_grad()
    def reset(self, done: Tensor) -> None:
        """Start a new episode in the rows where `done` (B,) bool."""
        self._state = self.backbone.reset(self._state, done)

    def state(self) -> State:
        """A copy of the current state, in the form that ``backbone.step`` takes."""
        return clone_state(detach_state(self._state))

    def load(self, state: State) -> None:
        """Continue from `state` (copied)."""
        self._state = clone_state(detach_state(state))


@torch.no_grad()
def acting_copy(backbone: Backbone) -> Backbone:
    """A private copy of `backbone` for acting with the parameters as they are: every part in its `acting_form`."""
    from dsbench.backbones.contract import Backbone

    frozen = copy.deepcopy(backbone)
    for parent in list(frozen.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Backbone):
                form = child.acting_form()
                if form is not child:
                    setattr(parent, name, form)
    return frozen.acting_form()
