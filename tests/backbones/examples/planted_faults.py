"""Backbones with one fault each, planted into a healthy mixer (or a healthy block), to be caught by the right check."""

import torch
from torch import nn

from dsbench.backbones import Backbone, Mixer
from dsbench.backbones.state import map_state


class Healthy(Mixer):
    """h_t = a h_{t-1} + (1 - a) W x_t with a = sigmoid(gate), y_t = h_t. State (B, D)."""

    def __init__(self, d_model):
        super().__init__(d_model)
        self.gate = nn.Parameter(torch.randn(d_model))
        self.mix = nn.Linear(d_model, d_model)

    def initial_state(self, batch_size):
        return self.gate.new_zeros(batch_size, self.d_model)

    def keep(self):
        return torch.sigmoid(self.gate)

    def step(self, x_t, state):
        state = self.keep() * state + (1 - self.keep()) * self.mix(x_t)
        return state, state


def scan_healthily(mixer, x, state):
    """The parallel view of `Healthy`, for faults that are in `step` alone."""
    outputs = []
    for x_t in x.unbind(1):
        y_t, state = Healthy.step(mixer, x_t, state)
        outputs.append(y_t)
    return torch.stack(outputs, 1), state


class LooksAhead(Healthy):
    """Each output has a ten-thousandth of the next token."""

    def scan(self, x, state):
        y, state = super().scan(x, state)
        return y + 1e-4 * torch.cat([x[:, 1:], torch.zeros_like(x[:, :1])], 1), state


class ForgetfulStep(Healthy):
    """`step` ignores its state; `scan` does not."""

    def step(self, x_t, state):
        return super().step(x_t, torch.zeros_like(state))

    def scan(self, x, state):
        return scan_healthily(self, x, state)


class CachedGate(Healthy):
    """`step` computes the gate once and keeps it over an optimiser update; `scan` computes it anew."""

    cached = None

    def step(self, x_t, state):
        if self.cached is None:
            self.cached = self.keep().detach()
        state = self.cached * state + (1 - self.cached) * self.mix(x_t)
        return state, state

    def scan(self, x, state):
        return scan_healthily(self, x, state)


class LeakyReset(Healthy):
    """A reset leaves a hundredth of the old state."""

    def reset(self, state, done):
        return torch.where(done.unsqueeze(1), 0.01 * state, state)


class MultiplyingReset(Healthy):
    """A reset multiplies by zero, which a NaN survives."""

    def reset(self, state, done):
        return state * (~done).unsqueeze(1)


class BatchNorm(Healthy):
    """A batch norm in `forward` mixes rows (and tokens) in train mode; in eval mode all is well."""

    def __init__(self, d_model):
        super().__init__(d_model)
        self.norm = nn.BatchNorm1d(d_model)

    def step(self, x_t, state):
        return super().step(self.norm(x_t), state)


class UnusedParameter(Healthy):
    """One parameter reaches no output."""

    def __init__(self, d_model):
        super().__init__(d_model)
        self.unused = nn.Parameter(torch.randn(d_model))


class BatchAxisSecond(Healthy):
    """The state is (1, B, D), as torch.nn.GRU has it."""

    def initial_state(self, batch_size):
        return super().initial_state(batch_size).unsqueeze(0)

    def step(self, x_t, state):
        y_t, state = super().step(x_t, state.squeeze(0))
        return y_t, state.unsqueeze(0)


class WritesItsInput(Healthy):
    """`scan` adds to its tokens in place and takes it off in its own sum: only the caller sees it."""

    def scan(self, x, state):
        with torch.no_grad():
            x.add_(1.0)
        return super().scan(x - 1.0, state)


class WritesItsState(Healthy):
    """`step` updates the state that was passed in."""

    def step(self, x_t, state):
        y_t, new = super().step(x_t, state)
        with torch.no_grad():
            state.copy_(new)
        return y_t, new


class UnderstatedField(Mixer):
    """A causal convolution over 4 tokens that declares 3."""

    receptive_field = 3

    def __init__(self, d_model):
        super().__init__(d_model)
        self.conv = nn.Conv1d(d_model, d_model, 4)

    def parallel(self, x):
        return self.conv(nn.functional.pad(x.transpose(1, 2), (3, 0))).transpose(1, 2)


class AbsolutePosition(UnderstatedField):
    """Its field is right, but outputs depend on the place in the row."""

    receptive_field = 4

    def parallel(self, x):
        return super().parallel(x) + 1e-3 * torch.arange(x.shape[1], dtype=x.dtype).view(1, -1, 1)


class DetachedStep(Healthy):
    """`step` cuts the graph between tokens; `scan` does not."""

    def step(self, x_t, state):
        return super().step(x_t, state.detach())

    def scan(self, x, state):
        return scan_healthily(self, x, state)


class GrowingState(Healthy):
    """The state keeps every token: (B, t, D)."""

    def initial_state(self, batch_size):
        return self.gate.new_zeros(batch_size, 0, self.d_model)

    def step(self, x_t, state):
        state = torch.cat([state, self.mix(x_t).unsqueeze(1)], 1)
        return state.sum(1) * self.keep(), state


class NoisyEval(Healthy):
    """Dropout that ignores eval mode."""

    def step(self, x_t, state):
        y_t, state = super().step(x_t, state)
        return nn.functional.dropout(y_t, 0.1, training=True), state


class HiddenTensor(Healthy):
    """A random tensor that is neither parameter nor buffer, so no checkpoint has it."""

    def __init__(self, d_model):
        super().__init__(d_model)
        self.hidden = torch.randn(d_model)

    def step(self, x_t, state):
        return super().step(x_t * self.hidden, state)


class GradientThroughReset(Healthy):
    """The reset replaces the value and lets the gradient through."""

    def reset(self, state, done):
        return state + torch.where(done.unsqueeze(1), -state.detach(), torch.zeros_like(state))


class SharedStepper(Healthy):
    """The stepper hands out its own buffer instead of a copy."""

    def make_stepper(self, batch_size):
        from dsbench.backbones.stepper import Stepper

        class Sharing(Stepper):
            @torch.no_grad()
            def step(self, x_t):
                y_t, new = self.backbone.step(x_t, self._state)
                map_state(lambda leaf, value: leaf.copy_(value), self._state, new)
                return y_t

            def state(self):
                return self._state

        return Sharing(self, batch_size)


class LostParameter(Healthy):
    """`param_groups` forgets the gate."""

    def param_groups(self):
        return [{"name": "decay", "params": list(self.mix.parameters()), "lr_scale": 1.0, "decay": True}]


class AnyWidth(Backbone):
    """Takes tokens of every width."""

    def __init__(self, d_model):
        super().__init__(d_model)
        self.scale = nn.Parameter(torch.randn(1))

    def initial_state(self, batch_size):
        return ()

    def step(self, x_t, state):
        return x_t * self.scale, state

    def forward(self, x, state=None, resets=None):
        return x * self.scale, ()


class SingleState(Healthy):
    """A state kept in float32 in a float64 model."""

    def initial_state(self, batch_size):
        return super().initial_state(batch_size).float()

    def step(self, x_t, state):
        y_t, state = super().step(x_t, state.to(x_t.dtype))
        return y_t, state.float()


class EndOfTable(Healthy):
    """A table of positions that ends after 60 tokens."""

    def __init__(self, d_model):
        super().__init__(d_model)
        self.places = nn.Parameter(torch.randn(60, d_model))

    def initial_state(self, batch_size):
        return {"h": super().initial_state(batch_size), "t": torch.zeros(batch_size, dtype=torch.long)}

    def step(self, x_t, state):
        y_t, h = super().step(x_t + self.places[state["t"]], state["h"])
        return y_t, {"h": h, "t": state["t"] + 1}


class ForgetsWhatIsCarried(Healthy):
    """`forward` starts every chunk anew."""

    def forward(self, x, state=None, resets=None):
        return super().forward(x, None, resets)


class OtherParallel(Healthy):
    """`parallel` is a little off; no other view calls it."""

    def parallel(self, x):
        return 1.001 * super().parallel(x)


class RowStatistics(Healthy):
    """`scan` centres the tokens over the whole row, padding included."""

    def scan(self, x, state):
        return scan_healthily(self, x - x.mean(1, keepdim=True), state)


class OtherStructure(Healthy):
    """Later states have another structure than the initial one."""

    def step(self, x_t, state):
        y_t, state = super().step(x_t, state["h"] if isinstance(state, dict) else state)
        return y_t, {"h": state}

    def reset(self, state, done):
        return {"h": super().reset(state["h"] if isinstance(state, dict) else state, done)}
