"""Backbones as a user would write them, each by another of the three ways; checked with
``dsbench check tests/backbones/examples/user_backbones.py:GRU``."""

import torch
from torch import nn

from dsbench.backbones import Backbone, Mixer, ResidualBackbone


class GRUMixer(Mixer):
    """Written as `step`: a gated recurrent unit."""

    def __init__(self, d_model):
        super().__init__(d_model)
        self.cell = nn.GRUCell(d_model, d_model)

    def initial_state(self, batch_size):
        return self.cell.weight_hh.new_zeros(batch_size, self.d_model)

    def step(self, x_t, state):
        state = self.cell(x_t, state)
        return state, state


class GRU(ResidualBackbone):
    def make_mixer(self):
        return GRUMixer(self.d_model)


class LinearAttentionMixer(Mixer):
    """Written as `scan`: causal attention with the feature map elu + 1, as running sums (Katharopoulos et al. 2020)."""

    def __init__(self, d_model):
        super().__init__(d_model)
        self.query, self.key, self.value = (nn.Linear(d_model, d_model) for _ in range(3))

    def initial_state(self, batch_size):
        zeros = self.query.weight.new_zeros
        return {"values": zeros(batch_size, self.d_model, self.d_model), "keys": zeros(batch_size, self.d_model)}

    def scan(self, x, state):
        query, key = (nn.functional.elu(linear(x)) + 1 for linear in (self.query, self.key))
        values = state["values"].unsqueeze(1) + torch.einsum("bld,ble->blde", key, self.value(x)).cumsum(1)
        keys = state["keys"].unsqueeze(1) + key.cumsum(1)
        y = torch.einsum("bld,blde->ble", query, values) / torch.einsum("bld,bld->bl", query, keys).unsqueeze(-1)
        return y, {"values": values[:, -1], "keys": keys[:, -1]}


class LinearAttention(ResidualBackbone):
    def make_mixer(self):
        return LinearAttentionMixer(self.d_model)


class ShortConvMixer(Mixer):
    """Written as `parallel`: a depthwise causal convolution."""

    def __init__(self, d_model, kernel_size):
        super().__init__(d_model)
        self.receptive_field = kernel_size
        self.conv = nn.Conv1d(d_model, d_model, kernel_size, groups=d_model)

    def parallel(self, x):
        padded = nn.functional.pad(x.transpose(1, 2), (self.receptive_field - 1, 0))
        return self.conv(padded).transpose(1, 2)


class ShortConv(ResidualBackbone):
    def __init__(self, d_model, *, kernel_size=4, **options):
        self.kernel_size = kernel_size
        super().__init__(d_model, **options)

    def make_mixer(self):
        return ShortConvMixer(self.d_model, self.kernel_size)


class ConvStack(Backbone):
    """Written as `parallel` without the residual frame: the receptive field counts every layer."""

    def __init__(self, d_model, *, n_layers=3, kernel_size=3):
        super().__init__(d_model)
        self.convs = nn.ModuleList(nn.Conv1d(d_model, d_model, kernel_size) for _ in range(n_layers))
        self.receptive_field = 1 + n_layers * (kernel_size - 1)

    def parallel(self, x):
        x = x.transpose(1, 2)
        for conv in self.convs:
            x = torch.tanh(conv(nn.functional.pad(x, (conv.kernel_size[0] - 1, 0))))
        return x.transpose(1, 2)
