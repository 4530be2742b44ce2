"""LSTM (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000), one layer of ``torch.nn.LSTM`` a mixer.

    i, f, o = sigmoid(W x_t + U h_{t-1} + b),   g = tanh(...),   c_t = f c_{t-1} + i g,   h_t = o tanh(c_t)

Whole stretches run in torch's own kernel (oneDNN on the CPU, cuDNN on CUDA), single tokens as two matrix products.
Does not include: projections, bidirectionality, dropout.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsbench.backbones.contract import Backbone, stretches
from dsbench.backbones.residual import Block, Mixer, ResidualBackbone
from dsbench.backbones.segments import Stretches
from dsbench.backbones.state import State

FEW_CUTS = 4  # columns with a reset up to which cutting all rows there beats taking the stretches apart


class _Weights(NamedTuple):
    """The four parameters of a layer of ``torch.nn.LSTM``, in its order."""

    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor
    bias_hh: Tensor


class LSTMMixer(Mixer):
    """One LSTM layer of width D. State: ``{"h": (B, D), "c": (B, D)}``."""

    def __init__(self, d_model: int) -> None:
        super().__init__(d_model)
        self.lstm = nn.LSTM(d_model, d_model, batch_first=True)
        with torch.no_grad():
            # A forget gate that begins open lets gradients through (Jozefowicz et al. 2015); torch adds both biases.
            weights = self._weights()
            weights.bias_ih[d_model : 2 * d_model] = 1.0
            weights.bias_hh[d_model : 2 * d_model] = 0.0

    def initial_state(self, batch_size: int) -> State:
        return {
            "h": self._like_parameters(batch_size, self.d_model),
            "c": self._like_parameters(batch_size, self.d_model),
        }

    def forward(self, x: Tensor, state: State | None = None, resets: Tensor | None = None) -> tuple[Tensor, State]:
        """As `Backbone.forward`. Rows of many short episodes are taken apart and run side by side; the columns from the
        last cut on run once more for the state, which is short work."""
        self.check_input(x, resets)
        if state is not None or resets is None or len(list(stretches(resets, x.shape[1]))) <= FEW_CUTS:
            return super().forward(x, state, resets)
        y = Stretches(resets).map(lambda rows: self.lstm(rows)[0], x)
        return y, self._state_after(x, resets)

    def _state_after(self, x: Tensor, resets: Tensor) -> State:
        """State after the last column, from each row's last stretch (right-aligned, the shorter ones wait)."""
        columns = torch.arange(x.shape[1], device=x.device)
        begin = torch.where(resets, columns, 0).amax(1)  # (B,) first column of the last stretch
        first = int(begin.min())
        own = columns[first:] == begin.unsqueeze(1)
        return super().forward(x[:, first:], None, own)[1]

    def scan(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        if x.shape[1] == 0:
            return torch.zeros_like(x), state
        h, c = _parts(state)
        y, (h, c) = self.lstm(x, (h.to(x.dtype).unsqueeze(0), c.to(x.dtype).unsqueeze(0)))
        return y, self._stored(h.squeeze(0), c.squeeze(0))

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        h, c = _parts(state)
        w = self._weights()
        gates = F.linear(x_t, w.weight_ih, w.bias_ih) + F.linear(h.to(x_t.dtype), w.weight_hh, w.bias_hh)
        i, f, g, o = gates.chunk(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        return h, self._stored(h, c)

    def _weights(self) -> _Weights:
        return _Weights(*self.lstm.all_weights[0])

    def _stored(self, h: Tensor, c: Tensor) -> State:
        """Recurrent state keeps the parameters' precision whatever the autocast."""
        dtype = self._weights().weight_ih.dtype
        return {"h": h.to(dtype), "c": c.to(dtype)}


class LSTM(ResidualBackbone):
    """A stack of LSTM layers; ``block="paper"`` is the plain stack, without norm, residual or MLP.

    Args:
        d_model: width.
        n_layers: number of layers.
        block: ``shared`` or ``paper``.
    """

    def __init__(self, d_model: int, *, n_layers: int = 2, block: Block = "shared") -> None:
        super().__init__(d_model, n_layers=n_layers, block=block)

    def make_mixer(self) -> Backbone:
        return LSTMMixer(self.d_model)

    def make_paper_block(self) -> Backbone:
        return LSTMMixer(self.d_model)

    def make_final_norm(self) -> nn.Module:
        return nn.Identity() if self.block == "paper" else super().make_final_norm()


def _parts(state: State) -> tuple[Tensor, Tensor]:
    assert isinstance(state, dict)
    h, c = state["h"], state["c"]
    assert isinstance(h, Tensor) and isinstance(c, Tensor)
    return h, c
