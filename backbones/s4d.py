"""S4D: a diagonal state space per channel (Gu et al. 2022, arXiv:2206.11893).

    A_n = -exp(log_a_real_n) + i a_imag_n,    y = 2 Re sum_n C_n s_n + D u    (Re without 2 for states without pairs)

Zero-order hold by default: Abar = exp(dt A), Bbar = (exp(dt A) - 1) / A * B. Runs as a recurrence in C, or as a
convolution whose kernel is a factored Vandermonde sum.
"""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from dsbench.backbones.contract import Backbone, Kernel, mark_dynamics
from dsbench.backbones.hippo import legs_nplr
from dsbench.backbones.kernels.channels import CHANNEL_SYSTEM, channel_system
from dsbench.backbones.residual import Block
from dsbench.backbones.time_invariant import TimeInvariantBackbone, TimeInvariantMixer
from dsbench.backbones.vandermonde import Pair, Powers, complex_product
from dsbench.errors import UsageError

Init = Literal["lin", "legs", "inv", "real", "dss"]
Discretisation = Literal["zoh", "bilinear"]
Preset = Literal["decision-s4"]
PRESETS: dict[str, dict[str, Any]] = {
    "decision-s4": {"block": "paper", "init": "dss", "tie_A": True, "conjugate": False},
}


@dataclass(frozen=True)
class DiagonalSystem:
    """``s' = z s + b u``, ``y = 2 Re(c s')`` with n = N/2 complex modes per channel.

    Attributes:
        log_size, angle: (H, n) logarithm of the absolute value and angle of z = Abar.
        b, c: real and imaginary parts, each (H, n); b is Bbar.
    """

    log_size: Tensor
    angle: Tensor
    b: Pair
    c: Pair

    @cached_property
    def powers(self) -> Powers:
        return Powers(self.log_size, self.angle)

    def kernel(self, length: int) -> Tensor:
        real, imaginary = complex_product(self.c, self.b)
        return self.powers.real_sum((2 * real, 2 * imaginary), length)

    def drive(self, u: Tensor) -> Tensor:
        return torch.cat(complex_product(self.b, self.powers.filtered(u)), -1)

    def advance(self, state: Tensor, length: int) -> Tensor:
        return torch.cat(complex_product(_pair(state), self._power(length)), -1)

    def free_response(self, state: Tensor, length: int) -> Tensor:
        weight = complex_product(self.c, self._power(1))
        real, imaginary = self.powers.weighted(weight, length)
        return state.transpose(0, 1) @ torch.cat([2 * real, -2 * imaginary], -1).mT

    def step(self, u: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        (same, crossed), (b, c) = self._turn, self._packed
        real, imaginary = _pair(state)
        kept = torch.addcmul(u.unsqueeze(-1) * b, state, same)
        state = torch.addcmul(kept, torch.cat([imaginary, real], -1), crossed)
        return (state * c).sum(-1), state

    @cached_property
    def _turn(self) -> Pair:
        """``[Re z | Re z]`` and ``[-Im z | Im z]`` (H, N): z s is the first times s plus the second times s with its
        halves exchanged."""
        real, imaginary = self._power(1)
        return torch.cat([real, real], -1), torch.cat([-imaginary, imaginary], -1)

    @cached_property
    def _packed(self) -> Pair:
        """b, and the row that reads a state, each (H, N)."""
        return torch.cat(self.b, -1), torch.cat([2 * self.c[0], -2 * self.c[1]], -1)

    def _power(self, exponent: int) -> Pair:
        size, phase = torch.exp(self.log_size * exponent), self.angle * exponent
        return size * torch.cos(phase), size * torch.sin(phase)


def _pair(packed: Tensor) -> Pair:
    real, imaginary = packed.chunk(2, -1)
    return real, imaginary


def zero_order_hold(dt: Tensor, a: Pair, dt_imag: Tensor | None = None) -> tuple[Pair, Pair]:
    """(log|z|, angle) of z = exp(dt A), and (z - 1) / A. `dt` (H, 1), parts of A (H, n).

    With `dt_imag` the imaginary part of A is multiplied by that in place of `dt`.

    z - 1 is taken as ``expm1(x) cos y + (cos y - 1) + i exp(x) sin y``: subtracting 1 from a rounded exponential loses
    every digit for slow modes (relative error 5e-2 at |dt A| = 1e-6 in float32).
    """
    x, y = dt * a[0], (dt if dt_imag is None else dt_imag) * a[1]
    real = torch.expm1(x) * torch.cos(y) - 2 * torch.sin(y / 2).square()
    imaginary = torch.exp(x) * torch.sin(y)
    square = a[0].square() + a[1].square()
    quotient = complex_product((real, imaginary), (a[0] / square, -a[1] / square))
    return (x, y), quotient


def bilinear(dt: Tensor, a: Pair) -> tuple[Pair, Pair]:
    """(log|z|, angle) of z = (1 + dt A / 2) / (1 - dt A / 2), and dt / (1 - dt A / 2). Shapes as `zero_order_hold`.

    z is exactly 0 where dt A = -2; the smallest rounding unit keeps its logarithm and angle finite there.
    """
    x, y = dt * a[0] / 2, dt * a[1] / 2
    unit = torch.finfo(x.dtype).eps
    square = (1 - x).square() + y.square()
    log_size = 0.5 * torch.log1p((4 * x / square).clamp(min=unit - 1))
    angle = torch.atan2(2 * y, 1 - x.square() - y.square() + unit)
    return (log_size, angle), (dt * (1 - x) / square, dt * y / square)


class S4DMixer(TimeInvariantMixer):
    """A diagonal system per channel. State: (B, H, N) ``[real | imaginary]``.

    Args:
        d_model: number of channels H.
        d_state: state size N.
        init: ``lin`` A_n = -1/2 + i pi n; ``inv`` A_n = -1/2 + i N/pi (N/(2n+1) - 1); ``legs`` the eigenvalues of
            HiPPO-LegS's normal part with its B; ``dss`` the same eigenvalues with B = 1; ``real`` A_n = -(n+1). N is
            the size with the other halves of the pairs: twice `d_state` for states without them.
        dt_min: shortest time step at the start.
        dt_max: longest time step at the start.
        discretisation: ``zoh`` or ``bilinear``.
        implementation: of the system: ``auto``, ``c`` (a fused recurrence) or ``torch`` (a convolution).
        tie_A: one A, shared by all channels.
        conjugate: N/2 conjugate pairs of states; False: N complex states without partners, y = Re sum_n C_n s_n + D u,
            and the state is (B, H, 2N).
        dt_per_part: a second dt per channel, for the imaginary parts of A, as in DSS's code; zero-order hold only.
    """

    input: Tensor

    def __init__(
        self, d_model: int, *, d_state: int = 64, init: Init = "lin", dt_min: float = 1e-3, dt_max: float = 0.1,
        discretisation: Discretisation = "zoh", implementation: str = "auto", tie_A: bool = False,
        conjugate: bool = True, dt_per_part: bool = False,
    ) -> None:  # fmt: skip
        for option, value in {"tie_A": tie_A, "conjugate": conjugate, "dt_per_part": dt_per_part}.items():
            if not isinstance(value, bool):
                raise UsageError(f"{option} is {value!r}; expected true or false")
        super().__init__(d_model, d_state=d_state, dt_min=dt_min, dt_max=dt_max, conjugate=conjugate)
        self.implementation = CHANNEL_SYSTEM.validated(implementation)
        if init not in get_args(Init):
            raise UsageError(f"init is {init!r}; expected one of {', '.join(get_args(Init))}")
        if discretisation not in get_args(Discretisation):
            raise UsageError(f"discretisation is {discretisation!r}; expected 'zoh' or 'bilinear'")
        if dt_per_part and discretisation != "zoh":
            raise UsageError(f"dt_per_part is true and discretisation is {discretisation!r}; it needs 'zoh'")
        self.discretisation, self.conjugate = discretisation, conjugate
        a, b = initial_modes(init, 2 * self.modes)
        copies = 1 if tie_A else d_model
        self.log_a_real = mark_dynamics(nn.Parameter(torch.log(-a.real).float().repeat(copies, 1)))
        self.a_imag = mark_dynamics(nn.Parameter(a.imag.float().repeat(copies, 1)))
        self.register_buffer("input", torch.cat([b.real, b.imag]).float())
        self.log_dt_imag = mark_dynamics(nn.Parameter(self.log_dt.detach().clone())) if dt_per_part else None

    def discretise(self) -> DiagonalSystem:
        dt = torch.exp(self._cast(self.log_dt)).unsqueeze(1)
        a = -torch.exp(self._cast(self.log_a_real)), self._cast(self.a_imag)
        if self.discretisation == "zoh":
            imaginary = None if self.log_dt_imag is None else torch.exp(self._cast(self.log_dt_imag)).unsqueeze(1)
            (log_size, angle), quotient = zero_order_hold(dt, a, imaginary)
        else:
            (log_size, angle), quotient = bilinear(dt, a)
        b = complex_product(quotient, _pair(self._cast(self.input)))
        # a system reads 2 Re(c s), which counts the other half of each pair; where there is none, c is halved
        c = self._cast(self.c) if self.conjugate else self._cast(self.c) / 2
        return DiagonalSystem(log_size, angle, b, _pair(c))

    def respond(
        self, system: DiagonalSystem, u: Tensor, state: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        return channel_system(system, u, state, resets, self.implementation)

    def kernel(self) -> Kernel:
        return CHANNEL_SYSTEM.kernel(self.implementation, self.log_dt.device.type)


def initial_modes(init: Init, d_state: int) -> tuple[Tensor, Tensor]:
    """A and B (n,) complex128 of the N/2 modes; B is 1 except for ``legs``."""
    n = np.arange(d_state // 2)
    if init in ("legs", "dss"):
        modes, _, b = legs_nplr(d_state)
        return torch.from_numpy(modes), torch.from_numpy(b if init == "legs" else np.ones_like(b))
    imaginary = {"lin": math.pi * n, "inv": d_state / math.pi * (d_state / (2 * n + 1) - 1), "real": 0.0 * n}[init]
    real = -(n + 1.0) if init == "real" else np.full(len(n), -0.5)
    return torch.from_numpy(real + 1j * imaginary), torch.ones(len(n), dtype=torch.complex128)


class S4D(TimeInvariantBackbone):
    """A stack of S4D layers (Gu et al. 2022). Options: see `S4DMixer` and `ResidualBackbone`, and beside them:

    Args:
        preset: ``decision-s4`` is the layer of Decision S4 (arXiv:2306.05167, section 4.1.1): the system of DSS (Gupta et al.
            2022), N complex states without partners whose A all channels share, GELU, a gated output projection, the residual
            and a norm.

    A preset fixes the options in `PRESETS`; the others stay free. The paper has d_model = d_state = 64 and n_layers = 3.
    LayerNorm takes the place of its BatchNorm, which mixes rows and timesteps, padding too, so that training and acting would
    be different functions. Nor is there dropout. DSS's code has a second dt per channel, for the imaginary parts: add
    ``dt_per_part`` for it.
    """

    def __init__(
        self, d_model: int, *, n_layers: int = 2, block: Block = "shared", d_state: int = 64, init: Init = "lin",
        dt_min: float = 1e-3, dt_max: float = 0.1, discretisation: Discretisation = "zoh", implementation: str = "auto",
        tie_A: bool = False, conjugate: bool = True, preset: Preset | None = None, dt_per_part: bool = False,
    ) -> None:  # fmt: skip
        options: dict[str, Any] = {"block": block, "init": init, "tie_A": tie_A, "conjugate": conjugate}
        if preset is not None:
            options = _with_preset(preset, options)
        block = options.pop("block")
        options |= {"d_state": d_state, "dt_min": dt_min, "dt_max": dt_max, "dt_per_part": dt_per_part}
        self._mixer_options = options | {"discretisation": discretisation, "implementation": implementation}
        super().__init__(d_model, n_layers=n_layers, block=block)

    def make_mixer(self) -> Backbone:
        return S4DMixer(self.d_model, **self._mixer_options)


def _with_preset(preset: str, asked: dict[str, Any]) -> dict[str, Any]:
    """`asked` with what the preset fixes; an option that was set to something else is refused."""
    if preset not in PRESETS:
        raise UsageError(f"preset is {preset!r}; expected one of {', '.join(PRESETS)}")
    defaults = inspect.signature(S4D).parameters
    for option, value in PRESETS[preset].items():
        if asked[option] not in (value, defaults[option].default):
            raise UsageError(
                f"{option} is {asked[option]!r} beside preset={preset!r}, which means {value!r}; leave one out"
            )
    return asked | PRESETS[preset]
