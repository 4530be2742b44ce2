"""S5: one state space of many inputs and outputs per layer, run as a scan (Smith et al. 2023, arXiv:2208.04933).

    s_t = z s_{t-1} + Bbar u_t,    y_t = 2 Re(C s_t) + D u_t,    out = g * sigmoid(W g),    g = GELU(y)

with ``z = exp(dt Lambda)`` and ``Bbar = (z - 1) / Lambda * B`` (zero-order hold) or their bilinear counterparts. B and C
mix the channels, Lambda is diagonal, and every mode has its own step size dt. The output map is the paper's half gate;
S4 and S4D, whose systems do not mix channels, end in a full linear map instead. Resets drop the state before a token
inside the scan, the operator of Lu et al. 2023 (arXiv:2303.03982), folded into the decay.

Glossary: H = d_model channels, N = d_state, P = N / 2 modes, one of each conjugate pair (hence the 2 Re), J = blocks.
Complex numbers are stored as real pairs ``[real | imaginary]``, so that B and C are two real matrix products.
Does not include: batch norm (it mixes rows and pads), dropout, bidirectionality, time-varying step sizes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsbench.backbones.contract import Backbone, Kernel, mark_dynamics, mark_rate
from dsbench.backbones.hippo import LARGEST, legs_normal
from dsbench.backbones.kernels.diagonal import DIAGONAL_SCAN, diagonal_scan
from dsbench.backbones.residual import Block, Mixer, ResidualBackbone, ResidualBlock
from dsbench.backbones.s4d import Discretisation, bilinear, zero_order_hold
from dsbench.backbones.state import State
from dsbench.backbones.stepper import Stepper
from dsbench.backbones.time_invariant import Discretised, discretised_stepper
from dsbench.backbones.vandermonde import complex_product
from dsbench.errors import UsageError

LARGEST_REAL = -1e-4  # real part of Lambda above which `clip_eigs` holds it, the authors' constant
TRUNCATED_STD = 0.87962566  # standard deviation of a standard normal cut off at +-2


class System(NamedTuple):
    """The discretised layer: z (2P,), b (2P, H), c (H, 2P) with the factor 2 and the sign of the imaginary part in it."""

    z: Tensor
    b: Tensor
    c: Tensor


class S5Mixer(Mixer):
    """The state space of a layer with its gate. State: (B, 2P) ``[real | imaginary]``. Options: see `S5`."""

    def __init__(
        self, d_model: int, *, d_state: int, blocks: int, dt_min: float, dt_max: float, discretisation: Discretisation,
        clip_eigs: bool, implementation: str,
    ) -> None:  # fmt: skip
        super().__init__(d_model)
        self.d_state, self.discretisation, self.clip_eigs = d_state, discretisation, clip_eigs
        self.implementation = implementation
        modes, vectors = initial_modes(d_state, blocks)
        self.lambda_real = mark_dynamics(nn.Parameter(modes.real.float()))
        self.lambda_imag = mark_dynamics(nn.Parameter(modes.imag.float()))
        low, high = math.log(dt_min), math.log(dt_max)
        self.log_dt = mark_dynamics(nn.Parameter(low + (high - low) * torch.rand(d_state // 2)))
        b = vectors.mH @ _lecun_normal(d_state, d_model, fan_in=d_state).to(vectors.dtype)
        c = torch.complex(*_lecun_normal(2, d_model, d_state, fan_in=d_state)).to(vectors.dtype) @ vectors
        self.b = mark_rate(nn.Parameter(torch.cat([b.real, b.imag]).float()))
        self.c = nn.Parameter(torch.cat([c.real, c.imag], -1).float())
        self.d = nn.Parameter(torch.randn(d_model))
        self.gate = nn.Linear(d_model, d_model)

    def discretise(self) -> System:
        """The system of the parameters as they are now, in the precision of the state."""
        real = self._cast(self.lambda_real)
        if self.clip_eigs:
            real = real.clamp(max=LARGEST_REAL)
        hold = zero_order_hold if self.discretisation == "zoh" else bilinear
        (log_size, angle), quotient = hold(torch.exp(self._cast(self.log_dt)), (real, self._cast(self.lambda_imag)))
        size = torch.exp(log_size)
        z = torch.cat([size * torch.cos(angle), size * torch.sin(angle)])
        scale = quotient[0].unsqueeze(1), quotient[1].unsqueeze(1)
        b_real, b_imaginary = self._cast(self.b).chunk(2)
        c_real, c_imaginary = self._cast(self.c).chunk(2, -1)
        b = torch.cat(complex_product(scale, (b_real, b_imaginary)))
        return System(z, b, torch.cat([2 * c_real, -2 * c_imaginary], -1))

    def initial_state(self, batch_size: int) -> State:
        return self._like_parameters(batch_size, self.d_state)

    def forward(self, x: Tensor, state: State | None = None, resets: Tensor | None = None) -> tuple[Tensor, State]:
        self.check_input(x, resets)
        state = self.initial_state(len(x)) if state is None else state
        assert isinstance(state, Tensor)
        with torch.autocast(x.device.type, enabled=False):
            system, u = self.discretise(), self._cast(x)
            states, state = diagonal_scan(system.z, F.linear(u, system.b), state, resets, self.implementation)
            y = self._read(system, states, u)
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
            u, (real, imaginary), (z_real, z_imaginary) = self._cast(x_t), state.chunk(2, -1), system.z.chunk(2)
            kept = torch.cat(complex_product((real, imaginary), (z_real, z_imaginary)), -1)
            state = kept + F.linear(u, system.b)
            y = self._read(system, state, u)
        return self._project(y.to(x_t.dtype)), state

    def kernel(self) -> Kernel:
        return DIAGONAL_SCAN.kernel(self.implementation, self.log_dt.device.type)

    def eager_stepper(self, batch_size: int) -> Stepper:
        return discretised_stepper(self, batch_size)

    def acting_form(self) -> Backbone:
        return Discretised(self)

    def _read(self, system: System, states: Tensor, u: Tensor) -> Tensor:
        return torch.addcmul(F.linear(states, system.c), u, self._cast(self.d))

    def _project(self, y: Tensor) -> Tensor:
        y = F.gelu(y)
        return y * torch.sigmoid(self.gate(y))

    def _cast(self, x: Tensor) -> Tensor:
        """To the dtype of the state: float64 if the parameters are, float32 otherwise."""
        return x.to(torch.float64 if self.log_dt.dtype == torch.float64 else torch.float32)


class S5Block(ResidualBlock):
    """The paper's layer, pre-norm and without an MLP: ``x + mixer(norm(x))``.

    LayerNorm in the place of the authors' batch norm, whose statistics mix rows, tokens and padding.
    """

    def __init__(self, d_model: int, *, mixer: Backbone) -> None:
        super().__init__(d_model, mixer=mixer)
        self.norm = nn.LayerNorm(d_model)

    def around(self, x: Tensor, mix: Callable[[Tensor], Tensor]) -> Tensor:
        return x + mix(self.norm(x))


class S5(ResidualBackbone):
    """A stack of S5 layers.

    Args:
        d_model: number of channels H.
        n_layers: number of blocks.
        block: ``shared`` or ``paper``.
        d_state: state size N of the full system; N/2 conjugate pairs are stored.
        blocks: J, the state matrix starts as J copies of the HiPPO-LegS normal part of size N/J.
        dt_min: shortest time step at the start, drawn log-uniformly per mode.
        dt_max: longest time step at the start.
        discretisation: ``zoh`` or ``bilinear``.
        clip_eigs: keep the real part of Lambda at -1e-4 or below. The real part is trained as it is, so nothing else
            keeps the state from growing without bound. The authors advise it for sequences of unbounded length, which
            is what acting is, and have it off by default; here it is on. It changes nothing until it binds.
        implementation: which route of the diagonal scan, or ``auto``.
    """

    def __init__(
        self, d_model: int, *, n_layers: int = 2, block: Block = "shared", d_state: int = 64, blocks: int = 1,
        dt_min: float = 1e-3, dt_max: float = 0.1, discretisation: Discretisation = "zoh", clip_eigs: bool = True,
        implementation: str = "auto",
    ) -> None:  # fmt: skip
        for name, value in {"d_state": d_state, "blocks": blocks}.items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise UsageError(f"{name} is {value!r}; expected a positive integer")
        if d_state % (2 * blocks):
            raise UsageError(
                f"d_state={d_state!r} does not make blocks={blocks!r} blocks of conjugate pairs; expected a multiple of "
                f"{2 * blocks}"
            )
        if not 0 < dt_min <= dt_max < math.inf:
            raise UsageError(f"dt_min={dt_min!r}, dt_max={dt_max!r}; expected 0 < dt_min <= dt_max")
        if discretisation not in get_args(Discretisation):
            raise UsageError(f"discretisation is {discretisation!r}; expected 'zoh' or 'bilinear'")
        self._mixer_options: dict[str, Any] = {
            "d_state": d_state, "blocks": blocks, "dt_min": dt_min, "dt_max": dt_max, "discretisation": discretisation,
            "clip_eigs": clip_eigs, "implementation": DIAGONAL_SCAN.validated(implementation),
        }  # fmt: skip
        super().__init__(d_model, n_layers=n_layers, block=block)

    def make_mixer(self) -> Backbone:
        return S5Mixer(self.d_model, **self._mixer_options)

    def make_paper_block(self) -> Backbone:
        return S5Block(self.d_model, mixer=self.make_mixer())

    def make_final_norm(self) -> nn.Module:
        return nn.Identity() if self.block == "paper" else super().make_final_norm()


def initial_modes(d_state: int, blocks: int) -> tuple[Tensor, Tensor]:
    """Lambda (P,) and V (N, P) complex128: the HiPPO-LegS normal part of size N/J, J times along the diagonal."""
    if d_state > LARGEST:
        raise UsageError(
            f"d_state is {d_state}; expected at most {LARGEST}, since its blocks begin as one dense matrix"
        )
    modes, vectors = legs_normal(d_state // blocks)
    return torch.from_numpy(np.tile(modes, blocks)), torch.from_numpy(np.kron(np.eye(blocks), vectors))


def _lecun_normal(*shape: int, fan_in: int) -> Tensor:
    """Normal of variance 1 / fan_in, cut off at two standard deviations of the uncut one, as the reference draws B and
    C (C by its ``trunc_standard_normal``: fan_in N, not N H)."""
    std = 1 / (math.sqrt(fan_in) * TRUNCATED_STD)
    return nn.init.trunc_normal_(torch.empty(shape), std=std, a=-2 * std, b=2 * std)
