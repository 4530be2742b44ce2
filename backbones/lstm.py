"""LSTM (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000), one layer of ``torch.nn.LSTM`` a mixer.

    i, f, o = sigmoid(W x_t + U h_{t-1} + b),   g = tanh(...),   c_t = f c_{t-1} + i g,   h_t = o tanh(c_t)

Glossary: i input, f forget, o output gate, g what is written, c the cell, h the output.
Does not include: projections, bidirectionality, dropout.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dsbench.backbones.recurrent import RecurrentBackbone, RecurrentMixer


class LSTMMixer(RecurrentMixer):
    """One LSTM layer of width D. State: ``{"h": (B, D), "c": (B, D)}``."""

    parts = ("h", "c")
    onednn = True

    def __init__(self, d_model: int) -> None:
        super().__init__(d_model)
        self.lstm = nn.LSTM(d_model, d_model, batch_first=True)
        with torch.no_grad():
            # A forget gate that begins open lets gradients through (Jozefowicz et al. 2015); torch adds both biases.
            _, _, bias_ih, bias_hh = self.lstm.all_weights[0]
            bias_ih[d_model : 2 * d_model] = 1.0
            bias_hh[d_model : 2 * d_model] = 0.0

    @property
    def layer(self) -> nn.RNNBase:
        return self.lstm

    def cell(self, from_input: Tensor, from_hidden: Tensor, *parts: Tensor) -> tuple[Tensor, ...]:
        i, f, g, o = (from_input + from_hidden).chunk(4, -1)
        c = f.sigmoid() * parts[1] + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class LSTM(RecurrentBackbone):
    """A stack of LSTM layers; ``block="paper"`` is the plain stack, without norm, residual or MLP.

    Args:
        d_model: width.
        n_layers: number of layers.
        block: ``shared`` or ``paper``.
    """

    mixer = LSTMMixer
