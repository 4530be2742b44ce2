"""What S4 and S4D share: a linear time-invariant system per channel, run as a convolution or as a recurrence.

    s_t = Abar s_{t-1} + Bbar u_t,    y_t = C s_t,    out = GLU(Linear(GELU(y + D u)))

A system is made afresh from the parameters by every call, so nothing outlives an update; only a stepper keeps one.
Complex numbers are stored as real pairs ``[real | imaginary]`` along the last axis: N/2 conjugate pairs are N reals.

Shapes: B rows, L tokens, H channels (= d_model), N = d_state.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsbench.backbones.contract import Backbone, mark_dynamics
from dsbench.backbones.convolution import causal_convolution
from dsbench.backbones.residual import Mixer, ResidualBackbone
from dsbench.backbones.segments import Stretches, after_last_reset, before_first_reset
from dsbench.backbones.state import State
from dsbench.backbones.stepper import Stepper, acting_copy
from dsbench.errors import UsageError


class System(Protocol):
    """A discretised system. States are (B, H, N), inputs (H, B, L)."""

    def kernel(self, length: int) -> Tensor:
        """(H, length): ``C Abar^l Bbar`` for l = 0..length-1."""

    def drive(self, u: Tensor) -> Tensor:
        """State after the inputs (H, B, L), from zero."""

    def advance(self, state: Tensor, length: int) -> Tensor:
        """``Abar^length`` applied to the state."""

    def free_response(self, state: Tensor, length: int) -> Tensor:
        """(H, B, length): ``C Abar^(l+1) state``, the outputs without input."""

    def step(self, u: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """One token: (B, H), state -> (B, H), state."""


class TimeInvariantMixer(Mixer, abstract=True):
    """A system per channel, the D skip, GELU and the gated output projection.

    Args:
        d_model: number of channels H.
        d_state: state size N of the full system; N/2 conjugate pairs are stored.
        dt_min: shortest time step at the start, drawn log-uniformly per channel.
        dt_max: longest time step at the start.
    """

    def __init__(self, d_model: int, *, d_state: int, dt_min: float, dt_max: float) -> None:
        super().__init__(d_model)
        if not isinstance(d_state, int) or d_state < 2 or d_state % 2:
            raise UsageError(f"d_state is {d_state!r}; expected a positive even integer (conjugate pairs)")
        if not 0 < dt_min <= dt_max < math.inf:
            raise UsageError(f"dt_min={dt_min!r}, dt_max={dt_max!r}; expected 0 < dt_min <= dt_max")
        self.d_state = d_state
        low, high = math.log(dt_min), math.log(dt_max)
        self.log_dt = mark_dynamics(nn.Parameter(low + (high - low) * torch.rand(d_model)))
        # a complex standard normal: half of the variance in each part
        self.c = nn.Parameter(torch.randn(d_model, d_state) * math.sqrt(0.5))
        self.d = nn.Parameter(torch.randn(d_model))
        self.output = nn.Linear(d_model, 2 * d_model)

    def discretise(self) -> System:
        """The system of the parameters as they are now."""
        raise NotImplementedError

    def initial_state(self, batch_size: int) -> State:
        return self._like_parameters(batch_size, self.d_model, self.d_state)

    def forward(self, x: Tensor, state: State | None = None, resets: Tensor | None = None) -> tuple[Tensor, State]:
        self.check_input(x, resets)
        assert state is None or isinstance(state, Tensor)
        if x.shape[1] == 0:
            return torch.zeros_like(x), self.initial_state(x.shape[0]) if state is None else state
        with torch.autocast(x.device.type, enabled=False):
            u = self._cast(x)
            y, state = respond(self.discretise(), u, state, resets)
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
        return _Discretised(self)

    def _project(self, y: Tensor) -> Tensor:
        return F.glu(self.output(F.gelu(y)), -1)

    def _cast(self, x: Tensor) -> Tensor:
        """To the dtype of the state: float64 if the parameters are, float32 otherwise."""
        return x.to(torch.float64 if self.log_dt.dtype == torch.float64 else torch.float32)


def respond(system: System, x: Tensor, state: Tensor | None, resets: Tensor | None) -> tuple[Tensor, Tensor]:
    """Outputs (B, L, H) and final state (B, H, N) for inputs x (B, L, H), L >= 1."""
    stretches = None if resets is None else Stretches(resets)
    length = x.shape[1] if stretches is None else stretches.longest
    kernel = system.kernel(length)

    def convolve(rows: Tensor) -> Tensor:
        return causal_convolution(_channels_first(rows), kernel).permute(1, 2, 0)

    if resets is None or stretches is None:
        y, final = convolve(x), system.drive(_channels_first(x))
        if state is not None:
            y = y + system.free_response(state, length).permute(1, 2, 0)
            final = final + system.advance(state, length)
        return y, final
    y = stretches.map(convolve, x)
    remembered = torch.where(after_last_reset(resets).unsqueeze(-1), x, 0.0)[:, -length:]
    final = system.drive(_channels_first(remembered))
    if state is not None:
        # `where` before and after: neither a value nor a gradient of a row that starts anew may pass
        state = torch.where(resets[:, 0].view(-1, 1, 1), 0.0, state)
        free = system.free_response(state, length).permute(1, 2, 0)
        free = torch.where(before_first_reset(resets[:, :length]).unsqueeze(-1), free, 0.0)
        y = torch.cat([y[:, :length] + free, y[:, length:]], 1)
        untouched = torch.where(resets.any(1).view(-1, 1, 1), 0.0, state)
        final = final + system.advance(untouched, length)  # a row without a reset is as long as the longest stretch
    return y, final


def _channels_first(x: Tensor) -> Tensor:
    """(B, L, H) -> (H, B, L), laid out for batched products."""
    return x.permute(2, 0, 1).contiguous()


class _Discretised(Mixer):
    """A mixer whose system was made once: the acting form of a `TimeInvariantMixer`."""

    def __init__(self, mixer: TimeInvariantMixer) -> None:
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


class PostNormBlock(Mixer):
    """The block of the S4 papers' example: ``LayerNorm(x + mixer(x))``, no MLP. State: the mixer's."""

    def __init__(self, d_model: int, *, mixer: Backbone) -> None:
        super().__init__(d_model)
        self.mixer = mixer
        self.norm = nn.LayerNorm(d_model)

    def initial_state(self, batch_size: int) -> State:
        return self.mixer.initial_state(batch_size)

    def forward(self, x: Tensor, state: State | None = None, resets: Tensor | None = None) -> tuple[Tensor, State]:
        y, state = self.mixer(x, state, resets)
        return self.norm(x + y), state

    def scan(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        return self.forward(x, state)

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        y_t, state = self.mixer.step(x_t, state)
        return self.norm(x_t + y_t), state


class TimeInvariantBackbone(ResidualBackbone, abstract=True):
    """A stack of time-invariant mixers; ``block="paper"`` is the post-norm layer of the S4 papers, without a final norm."""

    def make_paper_block(self) -> Backbone:
        return PostNormBlock(self.d_model, mixer=self.make_mixer())

    def make_final_norm(self) -> nn.Module:
        return nn.Identity() if self.block == "paper" else super().make_final_norm()

    def eager_stepper(self, batch_size: int) -> Stepper:
        return discretised_stepper(self, batch_size)
