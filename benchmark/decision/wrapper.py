"""The Decision-Sequence wrapper: observations, actions and returns as tokens, one backbone, an action distribution.

Two layouts of a timestep t:

``joint``      one token from (s_t, a_{t-1}, R_t); the action is read there (Decision S4)
``separate``   tokens R_t, s_t, a_t; the action is read at s_t (Decision Transformer)

Shapes: B batch, T timesteps, L tokens, D = d_model, A actions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import gymnasium as gym
import torch
from gymnasium import spaces
from torch import Tensor, nn

from dsbench.backbones import Backbone
from dsbench.backbones.state import State
from dsbench.batches import Batch, Observation
from dsbench.decision.actions import Bounds, Chosen, NoDecision, check_rows, check_tanh
from dsbench.decision.encoders import (
    ACTIVATIONS,
    SCALING,
    ActionEncoder,
    Activation,
    check_seen,
    make_encoder,
)
from dsbench.decision.heads import ActionDistribution, Categorical, Decode, Deterministic, Draws, decode_action
from dsbench.decision.returns import ReturnEncoder
from dsbench.decision.times import SinusoidalTime, TableTime
from dsbench.episodes import Episodes
from dsbench.errors import UsageError

Tokens = Literal["joint", "separate"]


@dataclass(frozen=True)
class DecisionTokens:
    """Tokens of one decision, each (B, D); rows that begin an episode are reset between the two lists."""

    before_reset: list[Tensor]
    after_reset: list[Tensor]


class DecisionSequence(nn.Module):
    """A policy around one backbone.

    Args:
        backbone: the sequence map; its `d_model` is the width of the tokens.
        observation_space: Box, Discrete, image or a Dict of these.
        action_space: Discrete, or a Box of rank 1.
        tokens: layout of a timestep.
        condition: ``return`` feeds the return-to-go, ``none`` is behaviour cloning.
        previous_action: feed the last action; None: unless the backbone is memoryless, for a copied action is memory. A
            memoryless backbone that is told to see it is a control of its own, the copier.
        time: encoding of the episode's timestep; ``table`` needs `max_timestep`.
        combine: how the parts of a joint token are joined.
        encoder_width: width of each part before it is joined; None is `d_model` and no further map.
        encoder_activation: after each encoder.
        token_activation: after the parts were joined, before `time` is added.
        time_std: spread of the table of timesteps at the start.
        return_scale: divisor of the return-to-go, and all that is done to it; None centres it and divides by the spread of
            the data's returns.
        embedding_norm: layer norm on the tokens.
        action_tanh: bound continuous actions by tanh, scaled to the space.
        head_bias: whether the map to actions has a bias.
        embedding_dropout: probability of dropping an entry of a token.
        scaling: `dsbench.decision.encoders.SCALING`; 1 for policies of result version 1.

    Raises:
        UsageError: a space, or a layout that this backbone cannot use.
    """

    def __init__(
        self,
        backbone: Backbone,
        observation_space: gym.Space[Any],
        action_space: gym.Space[Any],
        *,
        tokens: Tokens = "joint",
        condition: Literal["return", "none"] = "return",
        previous_action: bool | None = None,
        time: Literal["sinusoidal", "none", "table"] = "sinusoidal",
        max_timestep: int | None = None,
        combine: Literal["sum", "concat"] = "sum",
        encoder_width: int | None = None,
        encoder_activation: Activation = "none",
        token_activation: Activation = "none",
        time_std: float = 0.02,
        return_scale: float | None = None,
        embedding_norm: bool = False,
        action_tanh: bool = False,
        head_bias: bool = True,
        embedding_dropout: float = 0.0,
        scaling: int = SCALING,
    ) -> None:
        super().__init__()
        _check_layout(backbone, tokens)
        previous_action = not backbone.memoryless if previous_action is None else previous_action
        self.backbone, self.tokens, self.combine = backbone, tokens, combine
        self.condition, self.previous_action = condition, previous_action
        self.observation_space, self.action_space = observation_space, action_space
        self.return_scale = return_scale
        d_model = backbone.d_model
        width = encoder_width or d_model

        self.observation_encoder = make_encoder(observation_space, width, scaling)
        self.action_encoder = ActionEncoder(action_space, width) if previous_action else None
        centred = return_scale is None and scaling > 1
        self.return_encoder = ReturnEncoder(width, centred) if condition == "return" else None
        self.activation = ACTIVATIONS[encoder_activation]()
        self.joiners = self._make_joiners(width, d_model, narrow=encoder_width is None)
        self.token_activation = ACTIVATIONS[token_activation]()
        self.time = _make_time(time, d_model, max_timestep, time_std)
        self.norm = nn.LayerNorm(d_model) if embedding_norm else nn.Identity()
        self.dropout = nn.Dropout(embedding_dropout)
        self.head = _make_head(action_space, d_model, head_bias)
        if action_tanh:
            check_tanh(action_space)
        self.action_tanh = action_tanh and isinstance(action_space, spaces.Box)
        low, high = _bounds(action_space)
        self.register_buffer("action_low", low)
        self.register_buffer("action_high", high)
        self.bounds = Bounds(action_space) if isinstance(action_space, spaces.Box) else None
        self.discrete = self.bounds is None
        self.action_shape: tuple[int, ...] = () if self.discrete else tuple(action_space.shape or ())

    # ------------------------------------------------------------------ training view

    @property
    def parts(self) -> list[str]:
        """Kinds of information in a timestep, in token order."""
        kinds = ["return"] if self.return_encoder is not None else []
        return [*kinds, "observation"] + (["action"] if self.action_encoder is not None else [])

    @property
    def tokens_per_decision(self) -> int:
        """Backbone positions that one environment step takes."""
        return 1 if self.tokens == "joint" else len(self.parts)

    def fit_normalisers(self, episodes: Episodes) -> list[str]:
        """Take observation statistics and, unless given, those of returns from offline data; checks that it fits.

        Returns:
            sentences on what varies so little that rounding drowns it.
        """
        if isinstance(self.time, TableTime):
            self.time.check_horizon(int(episodes.lengths.max()))
        notes: list[str] = self.observation_encoder.fit(episodes.observations)  # type: ignore[operator]
        return notes + (self.return_encoder.fit(episodes, self.return_scale) if self.return_encoder is not None else [])

    def forward(self, batch: Batch, state: State | None = None) -> tuple[ActionDistribution, State]:
        """Action distributions at every timestep of a batch, (B, T, ...), and the state after its last column."""
        hidden, state = self.hidden(batch, state)
        return self.distribution(hidden, batch.action_mask), state

    def hidden(self, batch: Batch, state: State | None = None) -> tuple[Tensor, State]:
        """(B, T, D) backbone outputs at the tokens where actions are read."""
        x, resets = self._batch_tokens(batch)
        y, state = self.backbone(x, state, resets)
        if self.tokens == "separate":
            y = y.unflatten(1, (-1, len(self.parts)))[:, :, self.parts.index("observation")]
        return y, state

    def state_after(self, past: Batch) -> State:
        """State with which the decision behind all timesteps of `past` begins; no padding."""
        x, resets = self._batch_tokens(past)
        if self.tokens == "separate" and self.action_encoder is not None:
            x, resets = x[:, :-1], resets[:, :-1]  # the last action is fed with the decision, see `decision_tokens`
        return self.backbone(x, None, resets)[1]

    def loss(self, batch: Batch) -> Tensor:
        """Mean loss over the real entries of the batch."""
        return self.forward(batch)[0].loss(batch.action, batch.mask)

    def distribution(self, hidden: Tensor, action_mask: Tensor | None = None) -> ActionDistribution:
        """What the head makes of (*, D) backbone outputs; forbidden actions (`action_mask` False) have no probability."""
        out = self.head(hidden)
        if self.discrete:
            return Categorical(out, action_mask)
        if action_mask is not None:
            raise UsageError("an action mask stands beside continuous actions; expected one for Discrete actions only")
        if self.action_tanh:
            low, high = self.action_low, self.action_high
            assert isinstance(low, Tensor) and isinstance(high, Tensor)
            out = low + (out.tanh() + 1) / 2 * (high - low)
        return Deterministic(out)

    # ------------------------------------------------------------------ acting view

    def initial_state(self, batch_size: int) -> State:
        """State before an episode's first decision."""
        return self.backbone.initial_state(batch_size)

    @torch.no_grad()
    def act(
        self,
        observation: Observation,
        state: State,
        *,
        return_to_go: Tensor,
        previous_action: Tensor | None,
        first: Tensor,
        timestep: Tensor,
        action_mask: Tensor | None = None,
        decode: Decode = "argmax",
        generator: Draws = None,
    ) -> tuple[Tensor, State]:
        """One decision a row, within the action space; feed what it returns back as the next `previous_action`.

        Nothing of it is kept for gradients; `distribution_at` keeps what a decision was computed from.

        Args:
            observation: (B, ...).
            state: from `initial_state` or the last call.
            return_to_go: (B,) raw units, best in float64: the target, less every reward received.
            previous_action: (B,) or (B, A), as done; None at the very first step.
            first: (B,) bool, rows that begin an episode (their state is reset).
            timestep: (B,) position in the episode.
            action_mask: (B, A) bool, True = allowed.

        Returns:
            (B,) or (B, A) actions, in the space and of its type, and the new state.

        Raises:
            NoDecision: the policy's output is not finite.
            UsageError: a discrete observation or previous action that is not of its space, or arguments of other shapes.
        """
        check_rows(self.action_space, previous_action, return_to_go=return_to_go, first=first, timestep=timestep)
        check_seen(self.observation_encoder, observation)
        distribution, state = self.distribution_at(
            observation, state, return_to_go=return_to_go, previous_action=previous_action, first=first,
            timestep=timestep, action_mask=action_mask,
        )  # fmt: skip
        return self.choose(distribution, decode, generator).action, state

    def choose(self, distribution: ActionDistribution, decode: Decode = "argmax", generator: Draws = None) -> Chosen:
        """What is done: the mode or a draw, put into the action space.

        Raises:
            NoDecision: the distribution is not finite.
        """
        if not distribution.is_finite():
            raise NoDecision("the policy chose an action that is not finite: its weights or what it was shown are not")
        wanted = decode_action(distribution, decode, generator)
        return Chosen(wanted if self.bounds is None else self.bounds(wanted), wanted)

    def is_clipped(self, chosen: Chosen) -> Tensor:
        """(B,) bool, rows whose action lay outside the space before it was put there."""
        if self.bounds is None or self.action_tanh:  # tanh stays inside but for rounding
            return torch.zeros(len(chosen.wanted), dtype=torch.bool)
        return self.bounds.leaves(chosen.wanted)

    def distribution_at(
        self,
        observation: Observation,
        state: State,
        *,
        return_to_go: Tensor,
        previous_action: Tensor | None,
        first: Tensor,
        timestep: Tensor,
        action_mask: Tensor | None = None,
    ) -> tuple[ActionDistribution, State]:
        """Like `act`, before decoding; differentiable, so a step can be trained from a stored state."""
        tokens = self.decision_tokens(observation, return_to_go, previous_action, first, timestep)
        for token in tokens.before_reset:
            _, state = self.backbone.step(token, state)
        state = self.backbone.reset(state, first)
        for token in tokens.after_reset:
            y, state = self.backbone.step(token, state)
        return self.distribution(y, action_mask), state

    def decision_tokens(
        self,
        observation: Observation,
        return_to_go: Tensor,
        previous_action: Tensor | None,
        first: Tensor,
        timestep: Tensor,
    ) -> DecisionTokens:
        """The tokens that a decision feeds to the backbone; the action is read at the last one."""
        if previous_action is None:
            previous_action = self.no_action(len(timestep), timestep.device)
        present = ~first
        if self.tokens == "joint":
            return DecisionTokens(
                [], [self._joint(observation, return_to_go, previous_action, timestep, present, None)]
            )
        before = (timestep - 1).clamp(min=0)
        kinds = self._separate(observation, return_to_go, previous_action, timestep, before, present, None)
        if self.action_encoder is None:
            return DecisionTokens([], kinds)
        return DecisionTokens([kinds[-1]], kinds[:-1])

    def no_action(self, rows: int, device: torch.device) -> Tensor:
        """Zeros in the place of an action that was not taken."""
        dtype = torch.long if self.bounds is None else self.bounds.dtype
        return torch.zeros(rows, *self.action_shape, dtype=dtype, device=device)

    # ------------------------------------------------------------------ optimiser

    def param_groups(self) -> list[dict[str, Any]]:
        """The backbone's groups, then the wrapper's own parameters: matrices decay, the rest does not."""
        own = [p for name, p in self.named_parameters() if not name.startswith("backbone.") and p.requires_grad]
        matrices, rest = [p for p in own if p.dim() >= 2], [p for p in own if p.dim() < 2]
        return [
            *self.backbone.param_groups(),
            {"name": "wrapper_decay", "params": matrices, "lr_scale": 1.0, "decay": True},
            {"name": "wrapper_no_decay", "params": rest, "lr_scale": 1.0, "decay": False},
        ]

    # ------------------------------------------------------------------ tokens

    def _make_joiners(self, width: int, d_model: int, narrow: bool) -> nn.ModuleDict:
        """Maps from encoded parts to tokens: one for all parts (``concat``) or one for each."""
        if self.tokens == "joint" and self.combine == "concat":
            return nn.ModuleDict({"all": nn.Linear(len(self.parts) * width, d_model)})
        return nn.ModuleDict({part: nn.Identity() if narrow else nn.Linear(width, d_model) for part in self.parts})

    def _batch_tokens(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(B, L, D) tokens of a batch and (B, L) where episodes begin."""
        present = batch.timestep > 0
        if self.tokens == "joint":
            x = self._joint(
                batch.observation, batch.return_to_go, batch.previous_action, batch.timestep, present, batch.mask
            )
            return x, batch.reset
        every = torch.ones_like(present)
        kinds = self._separate(
            batch.observation, batch.return_to_go, batch.action, batch.timestep, batch.timestep, every, batch.mask
        )
        rows, steps, _ = kinds[0].shape
        resets = torch.zeros(rows, steps, len(kinds), dtype=torch.bool, device=present.device)
        resets[:, :, 0] = batch.reset
        return torch.stack(kinds, 2).flatten(1, 2), resets.flatten(1)

    def _encode(
        self,
        observation: Observation,
        return_to_go: Tensor,
        action: Tensor,
        present: Tensor,
        mask: Tensor | None,
    ) -> dict[str, Tensor]:
        encoded = {"observation": self.observation_encoder(observation, mask)}
        if self.return_encoder is not None:
            encoded["return"] = self.return_encoder(return_to_go)
        if self.action_encoder is not None:
            encoded["action"] = self.action_encoder(action, present)
        return {part: self.activation(encoded[part]) for part in self.parts}

    def _joint(
        self,
        observation: Observation,
        return_to_go: Tensor,
        previous_action: Tensor,
        timestep: Tensor,
        present: Tensor,
        mask: Tensor | None,
    ) -> Tensor:
        """(*, D): one token a timestep."""
        encoded = self._encode(observation, return_to_go, previous_action, present, mask)
        if self.combine == "concat":
            token = self.joiners["all"](torch.cat(list(encoded.values()), -1))
        else:
            token = torch.stack([self.joiners[part](value) for part, value in encoded.items()]).sum(0)
        return self._finish(token, timestep)

    def _separate(
        self,
        observation: Observation,
        return_to_go: Tensor,
        action: Tensor,
        timestep: Tensor,
        action_timestep: Tensor,
        present: Tensor,
        mask: Tensor | None,
    ) -> list[Tensor]:
        """One (*, D) token a kind, in order."""
        encoded = self._encode(observation, return_to_go, action, present, mask)
        return [
            self._finish(self.joiners[part](value), action_timestep if part == "action" else timestep)
            for part, value in encoded.items()
        ]

    def _finish(self, token: Tensor, timestep: Tensor) -> Tensor:
        token = self.token_activation(token)
        if self.time is not None:
            token = token + self.time(timestep)
        return self.dropout(self.norm(token))


def _check_layout(backbone: Backbone, tokens: str) -> None:
    name = type(backbone).__name__
    if tokens == "separate" and not backbone.separate_tokens:
        raise UsageError(
            f"{name} cannot use wrapper.tokens=separate: it sees fewer tokens at once than a timestep then has and would "
            "miss the rest of it; use wrapper.tokens=joint"
        )


def _make_time(time: str, d_model: int, max_timestep: int | None, std: float) -> nn.Module | None:
    if time == "none":
        return None
    if time == "sinusoidal":
        return SinusoidalTime(d_model)
    if max_timestep is None:
        raise UsageError("wrapper.time=table needs wrapper.max_timestep, the longest episode in timesteps")
    return TableTime(d_model, max_timestep, std)


def _make_head(space: gym.Space[Any], d_model: int, bias: bool) -> nn.Linear:
    if isinstance(space, spaces.Discrete) and int(space.start) == 0:
        return nn.Linear(d_model, int(space.n), bias=bias)
    if isinstance(space, spaces.Box) and len(space.shape) == 1:
        return nn.Linear(d_model, space.shape[0], bias=bias)
    raise UsageError(f"action space {space} is not supported; expected Discrete(n) from 0, or a Box of rank 1")


def _bounds(space: gym.Space[Any]) -> tuple[Tensor, Tensor]:
    if not isinstance(space, spaces.Box):
        return torch.zeros(0), torch.zeros(0)
    return torch.as_tensor(space.low, dtype=torch.float32), torch.as_tensor(space.high, dtype=torch.float32)
