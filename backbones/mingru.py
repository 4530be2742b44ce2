"""minGRU: a GRU whose gate and candidate see the token only, so that it runs as a scan (Feng et al. 2024, arXiv:2410.01201).

    z_t = sigmoid(W_z x_t),    c_t = W_h x_t,    h_t = (1 - z_t) h_{t-1} + z_t c_t,    y_t = W_o h_t

This is the paper's section 3.1, with a linear candidate. Its log-space variant makes candidates positive for the sake of
a scan by cumulative sums of logarithms; `linear_scan` needs no such thing.

Glossary: E = expand * d_model. W_o is left out when expand is 1.
Does not include: the short convolution that the paper adds for language.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dsbench.backbones.contract import Backbone, Kernel
from dsbench.backbones.kernels.linear import LINEAR_SCAN, linear_scan
from dsbench.backbones.residual import Block, Mixer, ResidualBackbone
from dsbench.backbones.state import State
from dsbench.errors import UsageError


class MinGRUMixer(Mixer):
    """One minGRU layer. State: (B, E)."""

    def __init__(self, d_model: int, *, expand: int, implementation: str) -> None:
        super().__init__(d_model)
        self.implementation = implementation
        self.d_inner = expand * d_model
        self.input = nn.Linear(d_model, 2 * self.d_inner)
        self.output = nn.Linear(self.d_inner, d_model) if expand > 1 else nn.Identity()

    def initial_state(self, batch_size: int) -> State:
        return self._like_parameters(batch_size, self.d_inner)

    def forward(self, x: Tensor, state: State | None = None, resets: Tensor | None = None) -> tuple[Tensor, State]:
        self.check_input(x, resets)
        state = self.initial_state(len(x)) if state is None else state
        assert isinstance(state, Tensor)
        kept, new = self._gate(x, state.dtype)
        h, state = linear_scan(kept, new, state, resets, self.implementation)
        return self.output(h.to(x.dtype)), state

    def scan(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        return self.forward(x, state)

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        assert isinstance(state, Tensor)
        kept, new = self._gate(x_t, state.dtype)
        state = torch.addcmul(new, kept, state)
        return self.output(state.to(x_t.dtype)), state

    def kernel(self) -> Kernel:
        return LINEAR_SCAN.kernel(self.implementation, self.input.weight.device.type)

    def _gate(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """1 - z and z c, each (*, E), in the precision of the state."""
        z, candidate = self.input(x).to(dtype).chunk(2, -1)
        return torch.sigmoid(-z), torch.sigmoid(z) * candidate


class MinGRU(ResidualBackbone):
    """A stack of minGRU layers.

    Args:
        d_model: width of the stream.
        n_layers: number of blocks.
        block: ``shared``; there is no other.
        expand: inner width as a multiple of `d_model`.
        implementation: which route of the linear scan, or ``auto``.
    """

    def __init__(
        self, d_model: int, *, n_layers: int = 2, block: Block = "shared", expand: int = 1, implementation: str = "auto"
    ) -> None:
        if not isinstance(expand, int) or isinstance(expand, bool) or expand < 1:
            raise UsageError(f"expand is {expand!r}; expected a positive integer")
        self.expand, self.implementation = expand, LINEAR_SCAN.validated(implementation)
        super().__init__(d_model, n_layers=n_layers, block=block)

    def make_mixer(self) -> Backbone:
        return MinGRUMixer(self.d_model, expand=self.expand, implementation=self.implementation)
