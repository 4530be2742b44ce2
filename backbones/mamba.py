"""Mamba: a state space whose step size and input and output maps depend on the token (Gu and Dao 2023, arXiv:2312.00752).

    u, z   = W_in x                         (E each)
    u      = SiLU(conv(u))                  depthwise, causal, d_conv taps
    d, B, C = W_x u                         (dt_rank, N, N)
    delta  = softplus(W_dt d + b_dt)
    y      = selective_scan(u, delta, A, B, C) + D u,    A = -exp(A_log)
    out    = W_out (y * SiLU(z))

Glossary: E = d_inner = expand * d_model, N = d_state, K = d_conv.
Does not include: masks for padding (padding lies on the right).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsbench.backbones.contract import Backbone, Kernel, mark_dynamics
from dsbench.backbones.kernels.gates import GATE, gate, softplus_bias
from dsbench.backbones.kernels.gates_torch import gate_torch, softplus_bias_torch
from dsbench.backbones.kernels.selective import SELECTIVE_SCAN, selective_scan, selective_step
from dsbench.backbones.kernels.short_convolution import short_convolution, short_convolution_step
from dsbench.backbones.mamba_blocks import DecisionMambaBlock, Init, MambaBlock, Preset, check_preset
from dsbench.backbones.residual import Block, Mixer, ResidualBackbone
from dsbench.backbones.state import State
from dsbench.errors import UsageError

DT_FLOOR = 1e-4  # smallest step size at the start (section 3.6)
OVERWRITTEN_STD = 0.02  # of the weights that `init="overwritten"` begins with


class MambaMixer(Mixer):
    """The selective state space with its short convolution and gate.

    State: ``{"conv": (B, K - 1, E) last inputs of the convolution, "ssm": (B, E, N)}``.
    """

    def __init__(
        self,
        d_model: int,
        *,
        d_state: int,
        d_conv: int,
        expand: int,
        dt_rank: int | None,
        dt_min: float,
        dt_max: float,
        n_layers: int,
        implementation: str,
    ) -> None:
        super().__init__(d_model)
        self.implementation = SELECTIVE_SCAN.validated(implementation)
        self._around = GATE.if_known(implementation)  # of what stands around the scan
        self.d_inner, self.d_state, self.d_conv = expand * d_model, d_state, d_conv
        self.dt_rank = dt_rank or math.ceil(d_model / 16)
        self.in_proj = nn.Linear(d_model, 2 * self.d_inner, bias=False)
        bound = 1 / math.sqrt(d_conv)
        self.conv_weight = nn.Parameter(torch.empty(d_conv, self.d_inner).uniform_(-bound, bound))
        self.conv_bias = nn.Parameter(torch.empty(self.d_inner).uniform_(-bound, bound))
        self.x_proj = nn.Linear(self.d_inner, self.dt_rank + 2 * d_state, bias=False)
        self.dt_weight = nn.Parameter(torch.empty(self.d_inner, self.dt_rank).uniform_(-1, 1) * self.dt_rank**-0.5)
        self.dt_bias = mark_dynamics(nn.Parameter(initial_dt_bias(self.d_inner, dt_min, dt_max)))
        a = torch.arange(1, d_state + 1, dtype=torch.float32).repeat(self.d_inner, 1)
        self.a_log = mark_dynamics(nn.Parameter(a.log()))
        self.d = nn.Parameter(torch.ones(self.d_inner))
        self.out_proj = nn.Linear(self.d_inner, d_model, bias=False)
        with torch.no_grad():
            self.out_proj.weight /= math.sqrt(n_layers)  # the authors' rescaling of the residual stream

    def initial_state(self, batch_size: int) -> State:
        return {
            "conv": self._like_parameters(batch_size, self.d_conv - 1, self.d_inner),
            "ssm": self._like_parameters(batch_size, self.d_inner, self.d_state),
        }

    def forward(self, x: Tensor, state: State | None = None, resets: Tensor | None = None) -> tuple[Tensor, State]:
        self.check_input(x, resets)
        conv, ssm = _parts(self.initial_state(len(x)) if state is None else state)
        u, z = self.in_proj(x).chunk(2, -1)
        mixed, conv = short_convolution(u, self.conv_weight, self.conv_bias, conv, resets, self._around)
        u = mixed.to(u.dtype)
        low, b, c = self._select(u)
        delta = softplus_bias(low, self.dt_bias, self._around)
        y, ssm = selective_scan(u.to(ssm.dtype), delta, self._a(), b, c, ssm, resets, self.implementation)
        return self._out(gate(y, u, self.d, z, self._around), z), {"conv": conv, "ssm": ssm}

    def scan(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        return self.forward(x, state)

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        conv, ssm = _parts(state)
        u, z = self.in_proj(x_t).chunk(2, -1)
        mixed, conv = short_convolution_step(u, self.conv_weight, self.conv_bias, conv)
        u = mixed.to(u.dtype)
        low, b, c = self._select(u)
        y, ssm = selective_step(u.to(ssm.dtype), softplus_bias_torch(low, self.dt_bias), self._a(), b, c, ssm)
        return self._out(gate_torch(y, u, self.d, z), z), {"conv": conv, "ssm": ssm}

    def kernel(self) -> Kernel:
        return SELECTIVE_SCAN.kernel(self.implementation, self.a_log.device.type)

    def _a(self) -> Tensor:
        return -self.a_log.exp()

    def _select(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """W_dt d (*, E), B and C (*, N), in the state's precision: exp(delta A) is too steep for half precision."""
        low, b, c = self.x_proj(u).split([self.dt_rank, self.d_state, self.d_state], -1)
        dtype = self.a_log.dtype
        return F.linear(low, self.dt_weight).to(dtype), b.to(dtype), c.to(dtype)

    def _out(self, gated: Tensor, z: Tensor) -> Tensor:
        return self.out_proj(gated.to(z.dtype))


class Mamba(ResidualBackbone):
    """A stack of selective state spaces.

    Args:
        d_model: width of the stream.
        n_layers: number of blocks.
        d_state: state size N of a channel.
        d_conv: taps of the short convolution.
        expand: inner width as a multiple of `d_model`.
        dt_rank: rank of the step size's map; None is ``ceil(d_model / 16)``.
        dt_min: shortest step size at the start, drawn log-uniformly.
        dt_max: longest step size at the start.
        block: ``shared`` or ``paper``.
        implementation: of the selective scan: ``auto``, ``c``, ``torch``, ``triton`` or ``mamba_ssm``; ``c`` and ``torch``
            hold for the convolution and the gates around it too, which otherwise take the fastest that works.
        preset: ``decision-mamba`` is the layer of Decision Mamba (Ota 2024, arXiv:2403.19925): `DecisionMambaBlock` and a
            LayerNorm at the end.
        dropout: of the preset's MLP.
        init: ``mamba``, or ``overwritten`` as Decision Mamba's code begins: GPT-2's initialisation runs over the mixer too
            and leaves Normal(0, 0.02) in its maps and 0 in the step size's bias, so that every step size begins at
            softplus(0) = 0.69 in place of 0.001 to 0.1 and the slowest state halves with every token.
    """

    def __init__(
        self,
        d_model: int,
        *,
        n_layers: int = 2,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        dt_rank: int | None = None,
        dt_min: float = 1e-3,
        dt_max: float = 0.1,
        block: Block = "shared",
        implementation: str = "auto",
        preset: Preset | None = None,
        dropout: float = 0.0,
        init: Init = "mamba",
    ) -> None:
        check_preset(preset, block, dropout, init)
        counts = {"d_state": d_state, "d_conv": d_conv, "expand": expand, "dt_rank": 1 if dt_rank is None else dt_rank}
        for name, value in counts.items():
            if not isinstance(value, int) or value < 1:
                raise UsageError(f"{name} is {value!r}; expected a positive integer")
        if not 0 < dt_min <= dt_max:
            raise UsageError(f"dt_min is {dt_min!r} and dt_max is {dt_max!r}; expected 0 < dt_min <= dt_max")
        self._options: dict[str, Any] = {
            "d_state": d_state, "d_conv": d_conv, "expand": expand, "dt_rank": dt_rank,
            "dt_min": dt_min, "dt_max": dt_max, "n_layers": n_layers, "implementation": implementation,
        }  # fmt: skip
        self.preset, self._dropout = preset, dropout
        super().__init__(d_model, n_layers=n_layers, block=block)
        if init == "overwritten":
            self.apply(_overwrite)

    def make_mixer(self) -> Backbone:
        return MambaMixer(self.d_model, **self._options)

    def make_shared_block(self) -> Backbone:
        if self.preset is None:
            return super().make_shared_block()
        return DecisionMambaBlock(self.d_model, mixer=self.make_mixer(), dropout=self._dropout)

    def make_paper_block(self) -> Backbone:
        return MambaBlock(self.d_model, mixer=self.make_mixer())

    def make_final_norm(self) -> nn.Module:
        return super().make_final_norm() if self.preset is None else nn.LayerNorm(self.d_model, eps=1e-5)


def _overwrite(module: nn.Module) -> None:
    """GPT-2's initialisation of every linear map; the short convolution and A keep their own."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=OVERWRITTEN_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, MambaMixer):
        nn.init.normal_(module.dt_weight, std=OVERWRITTEN_STD)
        nn.init.zeros_(module.dt_bias)


def initial_dt_bias(channels: int, dt_min: float, dt_max: float) -> Tensor:
    """(channels,) values whose softplus is drawn log-uniformly from [dt_min, dt_max]."""
    low, high = math.log(dt_min), math.log(dt_max)
    dt = torch.exp(torch.rand(channels) * (high - low) + low).clamp(min=DT_FLOOR)
    return dt + torch.log(-torch.expm1(-dt))


def _parts(state: State) -> tuple[Tensor, Tensor]:
    assert isinstance(state, dict)
    conv, ssm = state["conv"], state["ssm"]
    assert isinstance(conv, Tensor) and isinstance(ssm, Tensor)
    return conv, ssm
