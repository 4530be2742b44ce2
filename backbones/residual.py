"""The fixed residual block in which backbones are compared: only the mixer varies.

``shared``: ``x + mixer(norm(x))``, then ``x + mlp(norm(x))``, RMSNorm before each, GELU MLP of ratio 2, no dropout.
``paper``: each backbone's own block, built by `make_paper_block`; a labelled variant, never the basis of a comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dsbench.backbones.contract import Backbone, Kernel
from dsbench.backbones.state import State
from dsbench.backbones.stepper import Stepper
from dsbench.errors import UsageError

Block = Literal["shared", "paper"]
MLP_RATIO = 2


class Mixer(Backbone, abstract=True):
    """The part of a layer that moves information along the sequence. A mixer is a backbone: same views, same check."""


class FeedForward(nn.Sequential):
    """Position-wise ``Linear - GELU - Linear``: (..., D) -> (..., D)."""

    def __init__(self, d_model: int, ratio: int = MLP_RATIO) -> None:
        super().__init__(nn.Linear(d_model, ratio * d_model), nn.GELU(), nn.Linear(ratio * d_model, d_model))


class ResidualBlock(Mixer, abstract=True):
    """One layer: a mixer and what lies around it. A subclass writes `around`; all views follow. State: the mixer's."""

    def __init__(self, d_model: int, *, mixer: Backbone) -> None:
        super().__init__(d_model)
        self.mixer = mixer

    def around(self, x: Tensor, mix: Callable[[Tensor], Tensor]) -> Tensor:
        """The layer as a function of its input (*, D), given the mixer as a function (*, D) -> (*, D)."""
        raise NotImplementedError

    def initial_state(self, batch_size: int) -> State:
        return self.mixer.initial_state(batch_size)

    def forward(self, x: Tensor, state: State | None = None, resets: Tensor | None = None) -> tuple[Tensor, State]:
        after: list[State] = []

        def mix(y: Tensor) -> Tensor:
            y, new = self.mixer(y, state, resets)
            after.append(new)
            return y

        return self.around(x, mix), after[0]

    def scan(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        return self.forward(x, state)

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        after: list[State] = []

        def mix(y_t: Tensor) -> Tensor:
            y_t, new = self.mixer.step(y_t, state)
            after.append(new)
            return y_t

        return self.around(x_t, mix), after[0]

    def kernel(self) -> Kernel:
        return self.mixer.kernel()

    def eager_stepper(self, batch_size: int) -> Stepper:
        return BlockStepper(self, batch_size)


class BlockStepper(Stepper):
    """Steps a block through its mixer's own stepper."""

    def __init__(self, block: ResidualBlock, batch_size: int) -> None:
        self.block, self.mixer = block, block.mixer.make_stepper(batch_size)

    @torch.no_grad()
    def step(self, x_t: Tensor) -> Tensor:
        return self.block.around(x_t, self.mixer.step)

    def reset(self, done: Tensor) -> None:
        self.mixer.reset(done)

    def state(self) -> State:
        return self.mixer.state()

    def load(self, state: State) -> None:
        self.mixer.load(state)


class SharedBlock(ResidualBlock):
    """The shared kind: pre-norm mixer and pre-norm MLP, each with its residual."""

    def __init__(self, d_model: int, *, mixer: Backbone) -> None:
        super().__init__(d_model, mixer=mixer)
        self.mixer_norm = nn.RMSNorm(d_model, eps=1e-5)
        self.mlp_norm = nn.RMSNorm(d_model, eps=1e-5)
        self.mlp = FeedForward(d_model)

    def around(self, x: Tensor, mix: Callable[[Tensor], Tensor]) -> Tensor:
        x = x + mix(self.mixer_norm(x))
        return x + self.mlp(self.mlp_norm(x))


class ResidualBackbone(Backbone, abstract=True):
    """A stack of residual blocks around a mixer, and a final norm; most backbones write `make_mixer` and nothing else.

    Args:
        d_model: width of the stream.
        n_layers: number of blocks.
        block: ``shared`` for every comparison, ``paper`` for the backbone's own block.

    The state is the tuple of the layers' states.
    """

    def __init__(self, d_model: int, *, n_layers: int = 2, block: Block = "shared") -> None:
        super().__init__(d_model)
        if not isinstance(n_layers, int) or n_layers < 1:
            raise UsageError(f"n_layers is {n_layers!r}; expected a positive integer")
        if block not in ("shared", "paper"):
            raise UsageError(f"block is {block!r}; expected 'shared' or 'paper'")
        self.n_layers, self.block = n_layers, block
        make = self.make_paper_block if block == "paper" else self.make_shared_block
        self.layers = nn.ModuleList(make() for _ in range(n_layers))
        self.norm = self.make_final_norm()

    def __init_subclass__(cls, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(abstract=abstract, **kwargs)
        if not abstract and cls.make_mixer is ResidualBackbone.make_mixer:
            raise TypeError(f"{cls.__name__} is a ResidualBackbone and writes no make_mixer()")

    def make_mixer(self) -> Backbone:
        """A new mixer of width ``self.d_model``; called once a layer, after the options were stored on ``self``."""
        raise NotImplementedError

    def make_shared_block(self) -> Backbone:
        return SharedBlock(self.d_model, mixer=self.make_mixer())

    def make_paper_block(self) -> Backbone:
        """The backbone's own block; the error of a backbone that has none names the choice."""
        raise UsageError(f"{type(self).__name__} has no block of its own; use block='shared'")

    def make_final_norm(self) -> nn.Module:
        return nn.RMSNorm(self.d_model, eps=1e-5)

    def initial_state(self, batch_size: int) -> State:
        return tuple(self._layer(i).initial_state(batch_size) for i in range(self.n_layers))

    def forward(self, x: Tensor, state: State | None = None, resets: Tensor | None = None) -> tuple[Tensor, State]:
        self.check_input(x, resets)
        states: list[State] = []
        for i in range(self.n_layers):
            x, new = self._layer(i)(x, None if state is None else _part(state, i), resets)
            states.append(new)
        return self.norm(x), tuple(states)

    def scan(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        return self.forward(x, state)

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        states: list[State] = []
        for i in range(self.n_layers):
            x_t, new = self._layer(i).step(x_t, _part(state, i))
            states.append(new)
        return self.norm(x_t), tuple(states)

    def kernel(self) -> Kernel:
        return self._layer(0).kernel()

    def eager_stepper(self, batch_size: int) -> Stepper:
        return StackStepper(self, batch_size)

    def _layer(self, i: int) -> Backbone:
        layer = self.layers[i]
        assert isinstance(layer, Backbone)
        return layer


class StackStepper(Stepper):
    """Steps a stack through its layers' own steppers."""

    def __init__(self, backbone: ResidualBackbone, batch_size: int) -> None:
        self.norm = backbone.norm
        self.layers = [backbone._layer(i).make_stepper(batch_size) for i in range(backbone.n_layers)]

    @torch.no_grad()
    def step(self, x_t: Tensor) -> Tensor:
        for layer in self.layers:
            x_t = layer.step(x_t)
        return self.norm(x_t)

    def reset(self, done: Tensor) -> None:
        for layer in self.layers:
            layer.reset(done)

    def state(self) -> State:
        return tuple(layer.state() for layer in self.layers)

    def load(self, state: State) -> None:
        for i, layer in enumerate(self.layers):
            layer.load(_part(state, i))


def _part(state: State, i: int) -> State:
    assert isinstance(state, tuple)
    return state[i]
