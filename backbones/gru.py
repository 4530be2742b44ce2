"""GRU (Cho et al. 2014, arXiv:1406.1078), one layer of ``torch.nn.GRU`` a mixer.

    r, z = sigmoid(W x_t + b + U h_{t-1} + b'),   n = tanh(W_n x_t + b_n + r (U_n h_{t-1} + b'_n))
    h_t  = (1 - z) n + z h_{t-1}

Glossary: r reset gate, z update gate (open: keeps the past), n the candidate. The reset gate acts on the product, bias
included, as in cuDNN and torch; Cho et al. gate h_{t-1} before the product.
Does not include: projections, bidirectionality, dropout.
"""

from __future__ import annotations

from torch import Tensor, nn

from dsbench.backbones.recurrent import RecurrentBackbone, RecurrentMixer


class GRUMixer(RecurrentMixer):
    """One GRU layer of width D. State: ``{"h": (B, D)}``."""

    def __init__(self, d_model: int) -> None:
        super().__init__(d_model)
        self.gru = nn.GRU(d_model, d_model, batch_first=True)

    @property
    def layer(self) -> nn.RNNBase:
        return self.gru

    def cell(self, from_input: Tensor, from_hidden: Tensor, *parts: Tensor) -> tuple[Tensor, ...]:
        d = self.d_model
        r, z = (from_input[:, : 2 * d] + from_hidden[:, : 2 * d]).sigmoid().chunk(2, -1)
        n = (from_input[:, 2 * d :] + r * from_hidden[:, 2 * d :]).tanh()
        return ((parts[0] - n) * z + n,)


class GRU(RecurrentBackbone):
    """A stack of GRU layers; ``block="paper"`` is the plain stack, without norm, residual or MLP.

    Args:
        d_model: width.
        n_layers: number of layers.
        block: ``shared`` or ``paper``.
    """

    mixer = GRUMixer
