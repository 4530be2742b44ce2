"""What S4 and S4D share: a linear time-invariant system per channel, run as a convolution or as a recurrence.

    s_t = Abar s_{t-1} + Bbar u_t,    y_t = C s_t,    out = GLU(Linear(GELU(y + D u)))

A system is made afresh from the parameters by every call, so nothing outlives an update; only a stepper keeps one.
Complex numbers are stored as real pairs ``[real | imaginary]`` along the last axis: N/2 conjugate pairs are N reals.

Shapes: B rows, L tokens, H channels (= d_model), N = d_state.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsbench.backbones.contract import Backbone, mark_dynamics
from dsbench.backbones.convolution import System, respond
from dsbench.backbones.residual import Mixer, ResidualBackbone, ResidualBlock
from dsbench.backbones.state import State
from dsbench.backbones.stepper import Stepper, acting_copy
from dsbench.errors import UsageError


class TimeInvariantMixer(Mixer, abstract=True):
    """A system per channel, the D skip, GELU and the gated output projection.

    Args:
        d_model: number of channels H.
        d_state: state size N of the full system.
        dt_min: shortest time step at the start, drawn log-uniformly per channel.
        dt_max: longest time step at the start.
        conjugate: N/2 conjugate pairs, of which one half is stored; otherwise N complex states that pair with nothing.
    """

    def __init__(self, d_model: int, *, d_state: int, dt_min: float, dt_max: float, conjugate: bool = True) -> None:
        super().__init__(d_model)
        if not isinstance(d_state, int) or d_state < 1:
            raise UsageError(f"d_state is {d_state!r}; expected a positive integer")
        if conjugate and d_state % 2:
            raise UsageError(f"d_state is {d_state!r}; expected an even integer (conjugate pairs)")
        if not 0 < dt_min <= dt_max < math.inf:
            raise UsageError(f"dt_min={dt_min!r}, dt_max={dt_max!r}; expected 0 < dt_min <= dt_max")
        self.d_state = d_state
        self.modes = d_state // 2 if conjugate else d_state  # complex numbers stored per channel
        low, high = math.log(dt_min), math.log(dt_max)
        self.log_dt = mark_dynamics(nn.Parameter(low + (high - low) * torch.rand(d_model)))
        # a complex standard normal: half of the variance in each part
        self.c = nn.Parameter(torch.randn(d_model, 2 * self.modes) * math.sqrt(0.5))
        self.d = nn.Parameter(torch.randn(d_model))
        self.output = nn.Linear(d_model, 2 * d_model)

    def discretise(self) -> System:
        """The system of the parameters as they are now."""
        raise NotImplementedError

    def respond(self, system: Any, u: Tensor, state: Tensor | None, resets: Tensor | None) -> tuple[Tensor, Tensor]:
        """Outputs (B, L, H) and final state of the system for inputs u (B, L, H), L >= 1."""
        return respond(system, u, state, resets)

    def initial_state(self, batch_size: int) -> State:
        return self._like_parameters(batch_size, self.d_model, 2 * self.modes)

    def forward(self, x: Tensor, state: State | None = None, resets: Tensor | None = None) -> tuple[Tensor, State]:
        self.check_input(x, resets)
        assert state is None or isinstance(state, Tensor)
        if x.shape[1] == 0:
            return torch.zeros_like(x), self.initial_state(x.shape[0]) if state is None else state
        with torch.autocast(x.device.type, enabled=False):
            u = self._cast(x)
            y, state = self.respond(self.discretise(), u, state, resets)
            y = torch.addcmul(y, u, self._cast(self.d))
        return self._project(y.to(x.dtype)), state

    def scan(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        return self.forward(x, state)

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        with torch.autocast(x_t.device.type, enabled=False):
            system = self.discretise()
        return self.step_with(system, x_t, state)

    def step_with(self, system: System, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        """`step` with a system that was made before."""
        assert isinstance(state, Tensor)
        with torch.autocast(x_t.device.type, enabled=False):
            u = self._cast(x_t)
            y, state = system.step(u, state)
            y = torch.addcmul(y, u, self._cast(self.d))
        return self._project(y.to(x_t.dtype)), state

    def eager_stepper(self, batch_size: int) -> Stepper:
        return discretised_stepper(self, batch_size)

    def acting_form(self) -> Backbone:
        return Discretised(self)

    def _project(self, y: Tensor) -> Tensor:
        return F.glu(self.output(F.gelu(y)), -1)

    def _cast(self, x: Tensor) -> Tensor:
        """To the dtype of the state: float64 if the parameters are, float32 otherwise."""
        return x.to(torch.float64 if self.log_dt.dtype == torch.float64 else torch.float32)


class Discretisable(Protocol):
    """A mixer that steps with a system made from its parameters beforehand."""

    d_model: int

    def initial_state(self, batch_size: int) -> State: ...

    def discretise(self) -> Any: ...

    def step_with(self, system: Any, x_t: Tensor, state: State) -> tuple[Tensor, State]: ...


class Discretised(Mixer):
    """A mixer whose system was made once: its acting form."""

    def __init__(self, mixer: Discretisable) -> None:
        super().__init__(mixer.d_model)
        self.mixer = mixer
        self.system = mixer.discretise()

    def initial_state(self, batch_size: int) -> State:
        return self.mixer.initial_state(batch_size)

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        return self.mixer.step_with(self.system, x_t, state)


def discretised_stepper(backbone: Backbone, batch_size: int) -> Stepper:
    """A stepper of a private copy of `backbone` in which every time-invariant mixer is discretised once."""
    return Stepper(acting_copy(backbone), batch_size)


class PostNormBlock(ResidualBlock):
    """The block of the S4 papers' example: ``LayerNorm(x + mixer(x))``, no MLP. State: the mixer's."""

    def __init__(self, d_model: int, *, mixer: Backbone) -> None:
        super().__init__(d_model, mixer=mixer)
        self.norm = nn.LayerNorm(d_model)

    def around(self, x: Tensor, mix: Callable[[Tensor], Tensor]) -> Tensor:
        y: Tensor = self.norm(x + mix(x))
        return y


class TimeInvariantBackbone(ResidualBackbone, abstract=True):
    """A stack of time-invariant mixers; ``block="paper"`` is the post-norm layer of the S4 papers, without a final norm."""

    def make_paper_block(self) -> Backbone:
        return PostNormBlock(self.d_model, mixer=self.make_mixer())

    def make_final_norm(self) -> nn.Module:
        return nn.Identity() if self.block == "paper" else super().make_final_norm()

    def eager_stepper(self, batch_size: int) -> Stepper:
        return discretised_stepper(self, batch_size)
