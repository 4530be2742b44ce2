"""Recurrent networks of torch.nn as mixers: what LSTM, GRU and RNN share.

    h_t, ... = cell(W x_t + b, U h_{t-1} + b', state),   y_t = h_t

Whole stretches run in torch's own kernel (`RecurrentMixer.kernel` says which), single tokens as two matrix products.
Rows that hold several episodes are cut where there are few, and taken apart to run side by side where there are many.
Does not include: projections, bidirectionality, dropout.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsbench.backbones.contract import Backbone, Kernel, stretches
from dsbench.backbones.residual import Mixer, ResidualBackbone
from dsbench.backbones.segments import Stretches
from dsbench.backbones.state import State

FEW_CUTS = 4  # stretches up to which cutting all rows together beats taking them apart


class RecurrentMixer(Mixer, abstract=True):
    """One layer of width D of a network of torch.nn; a subclass owns it, as `layer`, and writes its `cell`.

    Attributes:
        parts: names of what the network carries from token to token, each (B, D), in torch's order; the first is h.
        onednn: whether torch hands this network to oneDNN on the CPU.
    """

    parts: ClassVar[tuple[str, ...]] = ("h",)
    onednn: ClassVar[bool] = False

    @property
    def layer(self) -> nn.RNNBase:
        """The layer of torch.nn, ``batch_first``, that holds the parameters."""
        raise NotImplementedError

    def cell(self, from_input: Tensor, from_hidden: Tensor, *parts: Tensor) -> tuple[Tensor, ...]:
        """W x + b and U h + b', (B, gates * D) in torch's order of gates, and the parts before a token -> after it."""
        raise NotImplementedError

    def initial_state(self, batch_size: int) -> State:
        return {part: self._like_parameters(batch_size, self.d_model) for part in self.parts}

    def forward(self, x: Tensor, state: State | None = None, resets: Tensor | None = None) -> tuple[Tensor, State]:
        """As `Backbone.forward`. Rows of many short episodes are taken apart and run side by side; the columns from the
        last cut on run once more for the state, which is short work."""
        self.check_input(x, resets)
        if resets is None:
            return self.scan(x, self.initial_state(len(x)) if state is None else state)
        if state is not None or len(list(stretches(resets, x.shape[1]))) <= FEW_CUTS:
            return super().forward(x, state, resets)
        y = Stretches(resets).map(lambda rows: self.layer(rows)[0], x)
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
        before = tuple(part.to(x.dtype).unsqueeze(0) for part in self._parts_of(state))
        y, after = self.layer(x, before if len(before) > 1 else before[0])  # torch takes and gives a lone h bare
        return y, self._stored(*(part.squeeze(0) for part in (after if len(before) > 1 else (after,))))

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        w, u, b, c = self.layer.all_weights[0]
        parts = self._parts_of(state)
        after = self.cell(F.linear(x_t, w, b), F.linear(parts[0].to(x_t.dtype), u, c), *parts)
        return after[0], self._stored(*after)

    def kernel(self) -> Kernel:
        """Which of torch's kernels runs whole stretches; checked with its profiler, in training and without gradients.

        The parameters are float32 or float64; under autocast they stay float32 and oneDNN runs in bfloat16.
        """
        weight, name = self.layer.all_weights[0][0], f"torch.nn.{type(self.layer).__name__}"
        if weight.is_cuda:
            if torch.backends.cudnn.is_acceptable(weight):
                return Kernel("cudnn", f"torch runs {name} in cuDNN on CUDA")
            return Kernel("torch", f"cuDNN is off or does not take {name} in {weight.dtype}")
        if not self.onednn:
            return Kernel("torch", f"on the CPU torch hands torch.nn.LSTM alone to oneDNN; {name} loops over tokens")
        if weight.dtype == torch.float64:
            return Kernel("torch", f"oneDNN has no {name} in float64; torch loops over tokens")
        if not (torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled):
            return Kernel("torch", f"oneDNN is off or not built in; {name} loops over tokens")
        return Kernel("onednn", f"torch runs {name} in oneDNN on the CPU, also in training")

    def _parts_of(self, state: State) -> tuple[Tensor, ...]:
        assert isinstance(state, dict)
        parts = []
        for name in self.parts:
            part = state[name]
            assert isinstance(part, Tensor)
            parts.append(part)
        return tuple(parts)

    def _stored(self, *parts: Tensor) -> State:
        """Recurrent state keeps the parameters' precision whatever the autocast."""
        dtype = self.layer.all_weights[0][0].dtype
        return {name: part.to(dtype) for name, part in zip(self.parts, parts, strict=True)}


class RecurrentBackbone(ResidualBackbone, abstract=True):
    """A stack of recurrent layers; ``block="paper"`` is the plain stack of torch.nn, without norm, residual or MLP.

    Attributes:
        mixer: the layers' class.
    """

    mixer: ClassVar[type[RecurrentMixer]]

    def make_mixer(self) -> Backbone:
        return self.mixer(self.d_model)

    def make_paper_block(self) -> Backbone:
        return self.make_mixer()

    def make_final_norm(self) -> nn.Module:
        return nn.Identity() if self.block == "paper" else super().make_final_norm()
