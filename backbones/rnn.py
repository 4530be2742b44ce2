"""Plain recurrent network (Elman 1990), one layer of ``torch.nn.RNN`` with tanh a mixer.

    h_t = tanh(W x_t + b + U h_{t-1} + b')

The ablation of Decision S4 (Bar-David et al. 2023, arXiv:2306.05167, section 5): a recurrent layer takes the place of
the S4 core and all else stays. The shared block does exactly that; ``block="paper"`` is torch's plain stack instead.
Does not include: ReLU, projections, bidirectionality, dropout.
"""

from __future__ import annotations

from torch import Tensor, nn

from dsbench.backbones.recurrent import RecurrentBackbone, RecurrentMixer


class RNNMixer(RecurrentMixer):
    """One tanh layer of width D. State: ``{"h": (B, D)}``."""

    def __init__(self, d_model: int) -> None:
        super().__init__(d_model)
        self.rnn = nn.RNN(d_model, d_model, batch_first=True)

    @property
    def layer(self) -> nn.RNNBase:
        return self.rnn

    def cell(self, from_input: Tensor, from_hidden: Tensor, *parts: Tensor) -> tuple[Tensor, ...]:
        return ((from_input + from_hidden).tanh(),)


class RNN(RecurrentBackbone):
    """A stack of tanh layers; ``block="paper"`` is the plain stack, without norm, residual or MLP.

    Args:
        d_model: width.
        n_layers: number of layers.
        block: ``shared`` or ``paper``.
    """

    mixer = RNNMixer
