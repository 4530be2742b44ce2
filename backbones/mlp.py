"""The memoryless control: y_t = MLP(x_t). What it solves needs no memory.

Does not include: anything that could look at another token.
"""

from __future__ import annotations

from torch import Tensor

from dsbench.backbones.contract import Backbone
from dsbench.backbones.residual import FeedForward, Mixer, ResidualBackbone
from dsbench.backbones.state import State


class PointwiseMixer(Mixer):
    """A feed-forward map of each token alone, in the place of a mixer. State: ``()``."""

    memoryless = True
    separate_tokens = False

    def __init__(self, d_model: int) -> None:
        super().__init__(d_model)
        self.map = FeedForward(d_model)

    def initial_state(self, batch_size: int) -> State:
        return ()

    def forward(self, x: Tensor, state: State | None = None, resets: Tensor | None = None) -> tuple[Tensor, State]:
        self.check_input(x, resets)
        return self.map(x), ()

    def scan(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        return self.map(x), ()

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        return self.map(x_t), ()


class MLP(ResidualBackbone):
    """The shared stack with a pointwise map where others have a mixer."""

    memoryless = True
    separate_tokens = False

    def make_mixer(self) -> Backbone:
        return PointwiseMixer(self.d_model)
