"""Linear attention: softmax replaced by a feature map, so that the past fits into sums (Katharopoulos et al. 2020,
arXiv:2006.16236).

    q, k, v = W x;    S_i = S_{i-1} + v_i phi(k_i)^T,    z_i = z_{i-1} + phi(k_i),    phi = elu + 1
    y_i = W_o S_i phi(q_i) / (z_i . phi(q_i))

The sums are the recurrence of `state_space_duality` without decay, with z as one more row of S.
Glossary: H heads, E = D / H width of a head.
Does not include: decay or gates, positional embeddings, dropout.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsbench.backbones.contract import Backbone
from dsbench.backbones.residual import Block, Mixer, ResidualBackbone
from dsbench.backbones.state import State
from dsbench.backbones.state_space_duality import chunked_scan, recurrent_step
from dsbench.errors import UsageError


class LinearAttentionMixer(Mixer):
    """Causal linear attention. State: ``{"kv": (B, H, E, E) values by keys, "z": (B, H, E)}``."""

    def __init__(self, d_model: int, *, n_heads: int) -> None:
        super().__init__(d_model)
        self.n_heads, self.head_dim = n_heads, d_model // n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)

    def initial_state(self, batch_size: int) -> State:
        return {
            "kv": self._like_parameters(batch_size, self.n_heads, self.head_dim, self.head_dim),
            "z": self._like_parameters(batch_size, self.n_heads, self.head_dim),
        }

    def forward(self, x: Tensor, state: State | None = None, resets: Tensor | None = None) -> tuple[Tensor, State]:
        self.check_input(x, resets)
        sums = _joined(self.initial_state(len(x)) if state is None else state)
        q, k, v = self._project(x, sums.dtype)
        y, sums = chunked_scan(v, v.new_zeros(v.shape[:-1]), k, q, sums, resets)
        return self._divide(y, x), _parted(sums)

    def scan(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        return self.forward(x, state)

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        sums = _joined(state)
        q, k, v = self._project(x_t, sums.dtype)
        y, sums = recurrent_step(v, v.new_zeros(v.shape[:-1]), k, q, sums)
        return self._divide(y, x_t), _parted(sums)

    def _project(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """phi(q), phi(k) (*, H, E), and v with a one behind it (*, H, E + 1), in the state's precision."""
        q, k, v = self.qkv(x).to(dtype).unflatten(-1, (3, self.n_heads, -1)).unbind(-3)
        return _positive(q), _positive(k), F.pad(v, (0, 1), value=1.0)

    def _divide(self, y: Tensor, x: Tensor) -> Tensor:
        """The token itself is in both sums, so the divisor is positive; the bound only catches an underflow."""
        divisor = y[..., -1:].clamp(min=torch.finfo(y.dtype).tiny)
        return self.out((y[..., :-1] / divisor).flatten(-2).to(x.dtype))


class LinearAttention(ResidualBackbone):
    """A stack of linear attention layers.

    Args:
        d_model: width of the stream.
        n_layers: number of blocks.
        n_heads: attention heads; divides `d_model`.
        block: ``shared``; there is no block of its own.
    """

    def __init__(self, d_model: int, *, n_layers: int = 2, n_heads: int = 1, block: Block = "shared") -> None:
        if not isinstance(n_heads, int) or n_heads < 1 or d_model % n_heads:
            raise UsageError(f"n_heads is {n_heads!r}; expected a divisor of d_model={d_model}")
        self.n_heads = n_heads
        super().__init__(d_model, n_layers=n_layers, block=block)

    def make_mixer(self) -> Backbone:
        return LinearAttentionMixer(self.d_model, n_heads=self.n_heads)


def _positive(x: Tensor) -> Tensor:
    """elu + 1, without the 1 that would round away what lies below it: positive down to x = -87 in float32."""
    return x.clamp(max=0).exp() + x.relu()


def _joined(state: State) -> Tensor:
    """(B, H, E + 1, E): z below S."""
    assert isinstance(state, dict)
    kv, z = state["kv"], state["z"]
    assert isinstance(kv, Tensor) and isinstance(z, Tensor)
    return torch.cat([kv, z.unsqueeze(2)], 2)


def _parted(sums: Tensor) -> State:
    return {"kv": sums[:, :, :-1], "z": sums[:, :, -1]}
