"""Mamba-2: a selective state space with one decay a head, computed by matrix products (Dao and Gu 2024,
arXiv:2405.21060).

    z, x, B, C, d = W_in u                      (E, E, G N, G N, H)
    x, B, C       = SiLU(conv(x, B, C))         depthwise, causal, d_conv taps
    dt            = softplus(d + dt_bias)       (H)
    S_t           = exp(-dt_t exp(A_log)) S_{t-1} + dt_t x_t B_t^T,    y_t = S_t C_t + D x_t      for each head
    out           = W_out RMSNorm(y * SiLU(z))  the norm after the gate, over the channels of a group

Glossary: E = d_inner = expand * d_model, P = head_dim, H = E / P heads, N = d_state, G = n_groups of heads that share B
and C, K = d_conv. The paper's P = 64 and N = 128 would leave a small model with two heads: the defaults here are 16.
Does not include: limits on dt, an initial state that is learned, fused kernels, masks for padding (padding lies on the
right).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsbench.backbones.contract import Backbone, Kernel, mark_dynamics
from dsbench.backbones.kernels.gates import gate
from dsbench.backbones.kernels.short_convolution import (
    SHORT_CONVOLUTION,
    short_convolution,
    short_convolution_step,
)
from dsbench.backbones.mamba import initial_dt_bias
from dsbench.backbones.mamba_blocks import MambaBlock
from dsbench.backbones.residual import Block, Mixer, ResidualBackbone
from dsbench.backbones.state import State
from dsbench.backbones.state_space_duality import CHUNK, chunked_scan, recurrent_step
from dsbench.errors import UsageError

A_RANGE = (1.0, 16.0)  # decay rates -A at the start, drawn uniformly
HEAD_DIM = 16
NORM_EPS = 1e-5


class Mamba2Mixer(Mixer):
    """The selective state space with its short convolution, gate and norm.

    State: ``{"conv": (B, K - 1, E + 2 G N) last inputs of the convolution, "ssm": (B, H, P, N)}``.
    """

    def __init__(
        self,
        d_model: int,
        *,
        d_state: int,
        head_dim: int,
        n_groups: int,
        d_conv: int,
        expand: int,
        chunk: int,
        dt_min: float,
        dt_max: float,
        n_layers: int,
    ) -> None:
        super().__init__(d_model)
        self.d_inner, self.d_state, self.head_dim = expand * d_model, d_state, head_dim
        self.n_heads, self.n_groups, self.d_conv, self.chunk = self.d_inner // head_dim, n_groups, d_conv, chunk
        self.d_mixed = self.d_inner + 2 * n_groups * d_state  # channels of the convolution
        self.in_proj = nn.Linear(d_model, self.d_inner + self.d_mixed + self.n_heads, bias=False)
        bound = 1 / math.sqrt(d_conv)
        self.conv_weight = nn.Parameter(torch.empty(d_conv, self.d_mixed).uniform_(-bound, bound))
        self.conv_bias = nn.Parameter(torch.empty(self.d_mixed).uniform_(-bound, bound))
        self.dt_bias = mark_dynamics(nn.Parameter(initial_dt_bias(self.n_heads, dt_min, dt_max)))
        self.a_log = mark_dynamics(nn.Parameter(torch.empty(self.n_heads).uniform_(*A_RANGE).log()))
        self.d = nn.Parameter(torch.ones(self.n_heads))
        self.norm_weight = nn.Parameter(torch.ones(self.d_inner))
        self.out_proj = nn.Linear(self.d_inner, d_model, bias=False)
        with torch.no_grad():
            self.out_proj.weight /= math.sqrt(n_layers)  # the authors' rescaling of the residual stream

    def initial_state(self, batch_size: int) -> State:
        return {
            "conv": self._like_parameters(batch_size, self.d_conv - 1, self.d_mixed),
            "ssm": self._like_parameters(batch_size, self.n_heads, self.head_dim, self.d_state),
        }

    def forward(self, x: Tensor, state: State | None = None, resets: Tensor | None = None) -> tuple[Tensor, State]:
        self.check_input(x, resets)
        conv, ssm = _parts(self.initial_state(len(x)) if state is None else state)
        z, mixed, dt = self._project(x)
        mixed, conv = short_convolution(mixed, self.conv_weight, self.conv_bias, conv, resets)
        u, b, c = self._split(mixed)
        a, drive = self._select(u, dt)
        y, ssm = chunked_scan(drive, a, b, c, ssm, resets, self.chunk)
        gated = gate(y.flatten(-2), u.flatten(-2), self.d.repeat_interleave(self.head_dim), z)
        return self._out(gated, z), {"conv": conv, "ssm": ssm}

    def scan(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        return self.forward(x, state)

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        conv, ssm = _parts(state)
        z, mixed, dt = self._project(x_t)
        mixed, conv = short_convolution_step(mixed, self.conv_weight, self.conv_bias, conv)
        u, b, c = self._split(mixed)
        a, drive = self._select(u, dt)
        y, ssm = recurrent_step(drive, a, b, c, ssm)
        gated = torch.addcmul(y, self.d.unsqueeze(-1), u).flatten(-2) * F.silu(z).to(y.dtype)
        return self._out(gated, z), {"conv": conv, "ssm": ssm}

    def kernel(self) -> Kernel:
        convolution, _ = SHORT_CONVOLUTION.kernel("auto", self.a_log.device.type)
        return Kernel("torch", f"matrix products, the only one; its short convolution: {convolution}")

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """z (*, E), the convolution's input (*, E + 2 G N), d (*, H)."""
        z, mixed, dt = self.in_proj(x).split([self.d_inner, self.d_mixed, self.n_heads], -1)
        return z, mixed, dt

    def _split(self, mixed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x (*, H, P), B and C (*, G, N) from the convolution's output."""
        shared = self.n_groups * self.d_state
        u, b, c = mixed.split([self.d_inner, shared, shared], -1)
        groups = (self.n_groups, self.d_state)
        return u.unflatten(-1, (self.n_heads, self.head_dim)), b.unflatten(-1, groups), c.unflatten(-1, groups)

    def _select(self, u: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """dt A (*, H) and dt x (*, H, P), in the state's precision: exp(dt A) is too steep for half precision."""
        dt = F.softplus(dt.to(self.dt_bias.dtype) + self.dt_bias)
        return -dt * self.a_log.exp(), u * dt.unsqueeze(-1)

    def _out(self, gated: Tensor, z: Tensor) -> Tensor:
        grouped = F.rms_norm(gated.unflatten(-1, (self.n_groups, -1)), (self.d_inner // self.n_groups,), eps=NORM_EPS)
        return self.out_proj((grouped.flatten(-2) * self.norm_weight).to(z.dtype))


class Mamba2(ResidualBackbone):
    """A stack of selective state spaces with a decay per head.

    Args:
        d_model: width of the stream.
        n_layers: number of blocks.
        d_state: state size N of a channel.
        head_dim: channels P of a head; divides ``expand * d_model``. None is the widest up to 16.
        n_groups: groups of heads that share B and C; divides the number of heads.
        d_conv: taps of the short convolution.
        expand: inner width as a multiple of `d_model`.
        chunk: tokens that a matrix product takes at once; a matter of speed only.
        dt_min: shortest step size at the start, drawn log-uniformly.
        dt_max: longest step size at the start.
        block: ``shared`` or ``paper``.
    """

    def __init__(
        self,
        d_model: int,
        *,
        n_layers: int = 2,
        d_state: int = 16,
        head_dim: int | None = None,
        n_groups: int = 1,
        d_conv: int = 4,
        expand: int = 2,
        chunk: int = CHUNK,
        dt_min: float = 1e-3,
        dt_max: float = 0.1,
        block: Block = "shared",
    ) -> None:
        counts = {
            "d_state": d_state, "head_dim": HEAD_DIM if head_dim is None else head_dim, "n_groups": n_groups,
            "d_conv": d_conv, "expand": expand, "chunk": chunk,
        }  # fmt: skip
        for name, value in counts.items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise UsageError(f"{name} is {value!r}; expected a positive integer")
        if not 0 < dt_min <= dt_max:
            raise UsageError(f"dt_min is {dt_min!r} and dt_max is {dt_max!r}; expected 0 < dt_min <= dt_max")
        head_dim = _divided(expand * d_model, head_dim, n_groups)
        self._options: dict[str, Any] = {
            "d_state": d_state, "head_dim": head_dim, "n_groups": n_groups, "d_conv": d_conv, "expand": expand,
            "chunk": chunk, "dt_min": dt_min, "dt_max": dt_max, "n_layers": n_layers,
        }  # fmt: skip
        super().__init__(d_model, n_layers=n_layers, block=block)

    def make_mixer(self) -> Backbone:
        return Mamba2Mixer(self.d_model, **self._options)

    def make_paper_block(self) -> Backbone:
        return MambaBlock(self.d_model, mixer=self.make_mixer())


def _divided(d_inner: int, head_dim: int | None, n_groups: int) -> int:
    """The heads' width; refuses heads that do not divide the channels and groups that do not divide the heads."""
    width = head_dim or max(width for width in range(1, HEAD_DIM + 1) if d_inner % width == 0)
    if d_inner % width:
        raise UsageError(f"head_dim is {width}; expected a divisor of expand * d_model = {d_inner}")
    if (d_inner // width) % n_groups:
        raise UsageError(
            f"n_groups is {n_groups}; expected a divisor of the {d_inner // width} heads (expand * d_model / head_dim)"
        )
    return width


def _parts(state: State) -> tuple[Tensor, Tensor]:
    assert isinstance(state, dict)
    conv, ssm = state["conv"], state["ssm"]
    assert isinstance(conv, Tensor) and isinstance(ssm, Tensor)
    return conv, ssm
