"""Backbones that are right over a dozen tokens in float64 and wrong in their gradients, in float32 or over an episode."""

import torch
from torch import nn

from dsbench.backbones import Mixer
from dsbench.backbones.state import detach_state


class Healthy(Mixer):
    """h_t = a h_{t-1} + (1 - a) tanh(W x_t) with a = sigmoid(gate), y_t = h_t. State (B, D)."""

    openness = 1.0

    def __init__(self, d_model):
        super().__init__(d_model)
        self.gate = nn.Parameter(torch.randn(d_model) + self.openness)
        self.mix = nn.Linear(d_model, d_model)

    def initial_state(self, batch_size):
        return self.gate.new_zeros(batch_size, self.d_model)

    def keep(self):
        return torch.sigmoid(self.gate)

    def enter(self, x):
        return torch.tanh(self.mix(x))

    def step(self, x_t, state):
        state = self.keep() * state + (1 - self.keep()) * self.enter(x_t)
        return state, state


def scan_healthily(mixer, x, state):
    """The parallel view of `Healthy`: a loop over tokens whose input maps were computed at once."""
    outputs, keep, entered = [], mixer.keep(), mixer.enter(x)
    for entered_t in entered.unbind(1):
        state = keep * state + (1 - keep) * entered_t
        outputs.append(state)
    return torch.stack(outputs, 1), state


def share_of_gradient(tensor, share):
    """`tensor` in value, with this share of its gradient."""
    return share * tensor + (1 - share) * tensor.detach()


class DetachedThroughout(Healthy):
    """Every step cuts the graph, so that all views agree on a gradient without memory."""

    def step(self, x_t, state):
        return super().step(x_t, state.detach())


class StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        return torch.tanh(x)

    @staticmethod
    def backward(context, gradient):
        return gradient


class GradientOfAnother(Healthy):
    """tanh with the gradient of the identity."""

    def enter(self, x):
        return StraightThrough.apply(self.mix(x))


class CumulativeRatios(Healthy):
    """h_t = P_t (h_0 + sum_s (1 - a) u_s / P_s) with P_t = a^t, which leaves the range of float32."""

    def scan(self, x, state):
        products = self.keep().expand(x.shape).cumprod(1)
        h = products * (state.unsqueeze(1) + ((1 - self.keep()) * self.enter(x) / products).cumsum(1))
        return h, h[:, -1]


class CumulativeRatiosOnceTrained(CumulativeRatios):
    """The same with gates so near to 1 that it holds as initialised, and no longer when training has closed one."""

    openness = 7.0


class DriftingScan(Healthy):
    """The decay of every pair of tokens as exp of a difference of two sums over the whole row, in blocks."""

    def scan(self, x, state):
        logs = torch.log(self.keep()).expand(x.shape).cumsum(1)
        outputs, last, offset = [], state, torch.zeros_like(logs[:, 0])
        for logs_block, u in zip(logs.split(32, 1), ((1 - self.keep()) * self.enter(x)).split(32, 1), strict=True):
            gaps = logs_block.unsqueeze(2) - logs_block.unsqueeze(1)
            causal = torch.ones(gaps.shape[1:3], dtype=torch.bool).tril().unsqueeze(-1)
            decays = torch.exp(gaps.masked_fill(~causal, -torch.inf))
            carried = torch.exp(logs_block - offset.unsqueeze(1)) * last.unsqueeze(1)
            outputs.append(torch.einsum("blmd,bmd->bld", decays, u) + carried)
            last, offset = outputs[-1][:, -1], logs_block[:, -1]
        return torch.cat(outputs, 1), last


class Counting(Healthy):
    """Counts the tokens of the episode in its state. State ``{"h": (B, D), "t": (B,)}``."""

    def initial_state(self, batch_size):
        return {"h": super().initial_state(batch_size), "t": torch.zeros(batch_size, dtype=torch.long)}

    def place(self, x_t, t):
        return x_t

    def carry(self, h, t):
        return h

    def step(self, x_t, state):
        y_t, h = super().step(self.place(x_t, state["t"]), self.carry(state["h"], state["t"]))
        return y_t, {"h": h, "t": state["t"] + 1}


class TableOf1024(Counting):
    """A table of 1,024 positions; the next one is an IndexError."""

    def __init__(self, d_model):
        super().__init__(d_model)
        self.places = nn.Parameter(0.1 * torch.randn(1024, d_model))

    def place(self, x_t, t):
        return x_t + self.places[t]


class StepTableOf2000(TableOf1024):
    """`scan` computes sinusoids at any place; `step` looks them up in a table of 2,000."""

    def __init__(self, d_model):
        super().__init__(d_model)
        del self.places
        self.register_buffer("places", self.wave(torch.arange(2000)), persistent=False)

    def wave(self, t):
        return torch.sin(t.to(self.gate.dtype).unsqueeze(-1) / 10 ** torch.arange(self.d_model, dtype=self.gate.dtype))

    def place(self, x_t, t):
        return x_t + self.wave(t) + 0 * self.places[t]

    def scan(self, x, state):
        t = state["t"].unsqueeze(1) + torch.arange(x.shape[1])
        y, h = scan_healthily(self, x + self.wave(t), state["h"])
        return y, {"h": h, "t": state["t"] + x.shape[1]}


class TruncatedGradient(Counting):
    """The graph is cut at every hundredth token of an episode, in every view."""

    every = 100

    def carry(self, h, t):
        return torch.where((t % self.every == self.every - 1).unsqueeze(-1), h.detach(), h)


class GradientCutOnce(TruncatedGradient):
    """The graph is cut once in an episode, at its 1,500th token."""

    every = 1500


class DetachedBetweenCalls(Healthy):
    """`forward` cuts what it is handed."""

    def forward(self, x, state=None, resets=None):
        return super().forward(x, None if state is None else detach_state(state), resets)


class DetachedResult(Healthy):
    """`forward` cuts what it hands on."""

    def forward(self, x, state=None, resets=None):
        y, state = super().forward(x, state, resets)
        return y, detach_state(state)


class WrongForOneParameter(Healthy):
    """The gate learns a hundredth too slowly."""

    def keep(self):
        return torch.sigmoid(share_of_gradient(self.gate, 0.99))


class WrongForOneEntry(Healthy):
    """One bias of the input map learns half as fast."""

    def enter(self, x):
        share = torch.ones_like(self.mix.bias)
        share[-1] = 0.5
        return torch.tanh(x @ self.mix.weight.T + share_of_gradient(self.mix.bias, share))


class WrongForTheFirstState(Healthy):
    """A learned initial state that gets half its gradient."""

    def __init__(self, d_model):
        super().__init__(d_model)
        self.first = nn.Parameter(torch.randn(d_model))

    def initial_state(self, batch_size):
        return share_of_gradient(self.first, 0.5).expand(batch_size, -1)


class WrongWithResets(Healthy):
    """Tokens lose their gradient where a row is packed."""

    def forward(self, x, state=None, resets=None):
        return super().forward(x if resets is None else x.detach(), state, resets)


class WrongScanAlone(Healthy):
    """`forward` is right, `scan` by itself has no gradient for its tokens' gate."""

    def forward(self, x, state=None, resets=None):
        outputs, state = [], self.initial_state(len(x)) if state is None else state
        self.check_input(x, resets)
        for i, x_t in enumerate(x.unbind(1)):
            state = state if resets is None else self.reset(state, resets[:, i])
            y_t, state = self.step(x_t, state)
            outputs.append(y_t)
        return torch.stack(outputs, 1), state

    def scan(self, x, state):
        y, state = scan_healthily(self, x, state)
        return share_of_gradient(y, 0.9), state


class WrongInLongRows(Healthy):
    """Rows of more than 64 tokens go through a kernel that forgets the gate's gradient."""

    def scan(self, x, state):
        if x.shape[1] <= 64:
            return scan_healthily(self, x, state)
        outputs, keep, entered = [], self.keep().detach(), self.enter(x)
        for entered_t in entered.unbind(1):
            state = keep * state + (1 - keep) * entered_t
            outputs.append(state)
        return torch.stack(outputs, 1), state


class WrongInTraining(Healthy):
    """The graph is cut in train mode only."""

    def step(self, x_t, state):
        return super().step(x_t, state.detach() if self.training else state)


class ZeroGradientInFloat32(Healthy):
    """A kernel of float32 that returns no gradient for the input map."""

    def enter(self, x):
        entered = super().enter(x)
        return share_of_gradient(entered, 0.0) if x.dtype == torch.float32 else entered


class NarrowInFloat32(Healthy):
    """Float32 goes through bfloat16."""

    def enter(self, x):
        entered = super().enter(x)
        return entered.bfloat16().float() if x.dtype == torch.float32 else entered


class NarrowAlways(Healthy):
    """Everything goes through bfloat16 and comes back."""

    def enter(self, x):
        return super().enter(x).bfloat16().to(x.dtype)


class GrowingCache(Healthy):
    """The module itself keeps every token that it steps."""

    def __init__(self, d_model):
        super().__init__(d_model)
        self.seen = []

    def step(self, x_t, state):
        self.seen.append(x_t.detach())
        return super().step(x_t, state)


class GrowsLate(Counting):
    """The state doubles once an episode is longer than a thousand tokens."""

    def scan(self, x, state):
        y, state = super().scan(x, {"h": state["h"][:, : self.d_model], "t": state["t"]})
        if bool((state["t"] > 1000).any()):
            state["h"] = torch.cat([state["h"], torch.zeros_like(state["h"])], 1)
        return y, state


class InfiniteStep(Counting):
    """`step` weighs by exp(t / 30) and back, more than float32 holds from its 2,660th token on."""

    def step(self, x_t, state):
        weight = torch.exp(state["t"].to(x_t.dtype) / 30).unsqueeze(-1)
        y_t, state = super().step(x_t, state)
        return y_t * weight / weight, state

    def scan(self, x, state):
        y, h = scan_healthily(self, x, state["h"])
        return y, {"h": h, "t": state["t"] + x.shape[1]}


class NoGradientFromLogs(Healthy):
    """Right values whose backward pass is 0 / 0 where a long product is no longer a number of float32."""

    def scan(self, x, state):
        y, state = scan_healthily(self, x, state)
        tiny = self.keep().expand(x.shape).cumprod(1)
        return y + 0 * torch.sqrt(tiny), state
