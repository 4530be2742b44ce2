"""Frame stacking, the memoryless control with k frames: y_t = MLP(x_{t-k+1}, ..., x_t), zeros before the episode.

What it solves needs no memory beyond its last k tokens (Mnih et al. 2015 stack four frames).

Windows of stacked layers add up: n layers of k frames would see n (k - 1) + 1 tokens. So that k means what it says,
only the first layer stacks frames; the layers above it map each token alone, like `dsbench.backbones.mlp`, which is
what one frame amounts to.

Glossary: k = frames, counted in tokens of the backbone (with separate tokens a timestep is more than one).
Does not include: images; their frames are stacked by the environment, this stacks what an encoder made of them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsbench.backbones.contract import Backbone
from dsbench.backbones.mlp import PointwiseMixer
from dsbench.backbones.residual import MLP_RATIO, Block, Mixer, ResidualBackbone
from dsbench.backbones.state import State
from dsbench.errors import UsageError

TOKENS_A_STEP = 3  # return, observation, action


class FrameStackMixer(Mixer):
    """A feed-forward map of the last k tokens. State: ``{"tokens": (B, k - 1, D)}``, newest last."""

    memoryless = True

    def __init__(self, d_model: int, *, frames: int) -> None:
        super().__init__(d_model)
        self.frames, hidden = frames, MLP_RATIO * d_model
        self.map = nn.Sequential(nn.Linear(frames * d_model, hidden), nn.GELU(), nn.Linear(hidden, d_model))

    def initial_state(self, batch_size: int) -> State:
        return {"tokens": self._like_parameters(batch_size, self.frames - 1, self.d_model)}

    def forward(self, x: Tensor, state: State | None = None, resets: Tensor | None = None) -> tuple[Tensor, State]:
        self.check_input(x, resets)
        length, past = x.shape[1], self.frames - 1
        before = _tokens(self.initial_state(len(x)) if state is None else state)
        both = torch.cat([before, x.to(before.dtype)], 1)  # (B, k - 1 + L, D)
        stacked, kept = self._windows(both, length), both[:, length:]
        if resets is not None and length > 0:
            # Number of resets so far; what was passed in belongs to episode 0.
            episode = F.pad(resets.cumsum(1), (past, 0)).unsqueeze(-1)
            own = self._windows(episode, length) == episode[:, past:].unsqueeze(2)
            stacked = torch.where(own, stacked, 0.0)
            kept = torch.where(episode[:, length:] == episode[:, -1:], kept, 0.0)
        return self.map(stacked.flatten(2).to(x.dtype)), {"tokens": kept}

    def scan(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        return self.forward(x, state)

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        before = _tokens(state)
        window = torch.cat([before, x_t.unsqueeze(1).to(before.dtype)], 1)  # (B, k, D)
        return self.map(window.flatten(1).to(x_t.dtype)), {"tokens": window[:, 1:]}

    def _windows(self, both: Tensor, length: int) -> Tensor:
        """(B, k - 1 + L, *) -> (B, L, k, *): for each token its last k, oldest first."""
        return torch.stack([both[:, i : i + length] for i in range(self.frames)], 2)


class FrameStack(ResidualBackbone):
    """The shared stack with a window of k frames in its first layer and pointwise maps above.

    Args:
        d_model: width of the stream.
        n_layers: number of blocks; the window of the whole stack stays at `frames`.
        frames: tokens k that an output sees, its own included. Under 3 it takes joint tokens only: a timestep of
            separate tokens (return, observation, action) would not fit into the window.
        block: ``shared``; it has no block of its own.
    """

    memoryless = True

    def __init__(self, d_model: int, *, n_layers: int = 2, frames: int = 4, block: Block = "shared") -> None:
        if not isinstance(frames, int) or isinstance(frames, bool) or frames < 1:
            raise UsageError(f"frames is {frames!r}; expected a positive number of tokens, such as 4")
        self.frames = self._frames_of_next_layer = frames
        super().__init__(d_model, n_layers=n_layers, block=block)
        self.separate_tokens = frames >= TOKENS_A_STEP

    def make_mixer(self) -> Backbone:
        frames, self._frames_of_next_layer = self._frames_of_next_layer, 1
        return FrameStackMixer(self.d_model, frames=frames) if frames > 1 else PointwiseMixer(self.d_model)


def _tokens(state: State) -> Tensor:
    assert isinstance(state, dict)
    tokens = state["tokens"]
    assert isinstance(tokens, Tensor)
    return tokens
