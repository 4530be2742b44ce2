"""Backbones that keep the contract and make a check by numbers hard: kinks, chaos, tables, maxima, logarithms."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from dsbench.backbones import Mixer, ResidualBackbone


class Recurrence(Mixer):
    """h_t = f(W x_t + U h_{t-1}), y_t = h_t, written as `step`."""

    gain = 0.5

    def __init__(self, d_model):
        super().__init__(d_model)
        self.enter = nn.Linear(d_model, d_model)
        self.carry = nn.Parameter(self.gain * torch.randn(d_model, d_model) / d_model**0.5)

    def initial_state(self, batch_size):
        return self.carry.new_zeros(batch_size, self.d_model)

    def step(self, x_t, state):
        state = self.activation(self.enter(x_t) + state @ self.carry)
        return state, state

    def activation(self, x):
        return torch.tanh(x)


class Rectified(Recurrence):
    """ReLU, which has no derivative at the zero state that it begins with and often comes back to."""

    def activation(self, x):
        return F.relu(x)


class RectifiedFromZero(Recurrence):
    """ReLU of the state itself, which lies at the kink when an episode begins."""

    def step(self, x_t, state):
        state = 0.5 * self.enter(x_t) + F.relu(state) @ self.carry
        return state, state


class Clamped(Recurrence):
    """A hard tanh: flat beyond 1, as clamp and quantised gates are."""

    def activation(self, x):
        return x.clamp(-1, 1)


class Chaotic(Recurrence):
    """Large weights: rounding errors grow until nothing of them but their size is left."""

    gain = 3.0

    def scan(self, x, state):
        outputs = []
        for entered in self.enter(x).unbind(1):
            state = torch.tanh(entered + (self.carry.T @ state.unsqueeze(-1)).squeeze(-1))
            outputs.append(state)
        return (torch.stack(outputs, 1) if outputs else torch.zeros_like(x)), state


class LargestSoFar(Mixer):
    """y_t = the largest of W x_s until t; begins with -inf."""

    def __init__(self, d_model):
        super().__init__(d_model)
        self.enter = nn.Linear(d_model, d_model)

    def initial_state(self, batch_size):
        return self.enter.weight.new_full((batch_size, self.d_model), -torch.inf)

    def step(self, x_t, state):
        state = torch.maximum(state, self.enter(x_t))
        return state, state


class LearnedStart(Recurrence):
    """The state before the first token is a parameter."""

    def __init__(self, d_model):
        super().__init__(d_model)
        self.first = nn.Parameter(torch.randn(d_model))

    def initial_state(self, batch_size):
        return self.first.expand(batch_size, -1)


class ClampedTable(Recurrence):
    """A table of 1,024 positions whose last one stands for all later ones: poorer, and one function in every view."""

    def __init__(self, d_model):
        super().__init__(d_model)
        self.places = nn.Parameter(0.1 * torch.randn(1024, d_model))

    def initial_state(self, batch_size):
        return {"h": super().initial_state(batch_size), "t": torch.zeros(batch_size, dtype=torch.long)}

    def step(self, x_t, state):
        y_t, h = super().step(x_t + self.places[state["t"].clamp(max=1023)], state["h"])
        return y_t, {"h": h, "t": state["t"] + 1}


class Checkpointed(Recurrence):
    """Computes stretches of 50 tokens anew in the backward pass."""

    def scan(self, x, state):
        outputs = []
        for part in x.split(50, 1):
            y, state = checkpoint(super().scan, part, state, use_reentrant=False)
            outputs.append(y)
        return (torch.cat(outputs, 1) if outputs else torch.zeros_like(x)), state


class BlocksOfRatios(Mixer):
    """A gated sum whose ratios of cumulative products stay within blocks of 16 tokens and a decay of at least 1/4."""

    def __init__(self, d_model):
        super().__init__(d_model)
        self.gate, self.enter = nn.Linear(d_model, d_model), nn.Linear(d_model, d_model)

    def initial_state(self, batch_size):
        return self.enter.weight.new_zeros(batch_size, self.d_model)

    def scan(self, x, state):
        outputs = [torch.zeros_like(x[:, :0])]
        for part in x.split(16, 1):
            products = (0.25 + 0.75 * torch.sigmoid(self.gate(part))).cumprod(1)
            outputs.append(products * (state.unsqueeze(1) + (self.enter(part) / products).cumsum(1)))
            state = outputs[-1][:, -1]
        return torch.cat(outputs, 1), state


class Deep(ResidualBackbone):
    """Rectified recurrences in the shared block."""

    def make_mixer(self):
        return Rectified(self.d_model)
