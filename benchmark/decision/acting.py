"""Acting loops' side of a policy: an `Actor` remembers the episodes of a batch of rows between decisions."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from dsbench.batches import Batch, Observation
from dsbench.decision.actions import Chosen
from dsbench.decision.compiled_tokens import CompiledTokens
from dsbench.decision.encoders import check_seen
from dsbench.decision.heads import ActionDistribution, Decode, Draws
from dsbench.decision.wrapper import DecisionSequence
from dsbench.errors import UsageError

Acting = Literal["stateful", "windowed"]


class Actor:
    """Acts for `batch_size` rows at once.

    Args:
        policy: the model; make a new actor after an update.
        batch_size: rows.
        acting: ``stateful`` steps the backbone and carries its state; ``windowed`` re-encodes the last `window` timesteps
            at every decision, as the Decision Transformer does.
        window: timesteps K that windowed acting keeps.
        compiled: stateful only, without Python between operators: the backbone's step, see `dsbench.backbones.compiled`, and
            on the CPU the tokens too.
    """

    def __init__(
        self,
        policy: DecisionSequence,
        batch_size: int,
        *,
        acting: Acting = "stateful",
        window: int | None = None,
        compiled: bool = False,
    ) -> None:
        if acting == "windowed" and not window:
            raise UsageError(f"windowed acting needs a window of at least 1 timestep, got {window!r}")
        self.policy = policy
        self._last: Chosen | None = None
        self._memory = (
            _Stateful(policy, batch_size, compiled)
            if acting == "stateful"
            else _Windowed(policy, batch_size, window or 1)
        )

    @property
    def implementation(self) -> str:
        """What computes the backbone's part of a decision."""
        return self._memory.implementation

    @torch.no_grad()
    def remember(self, past: Batch) -> None:
        """Be as after the timesteps of `past`, one row an episode from its start without padding, without deciding them."""
        self._memory.remember(past)

    @torch.no_grad()
    def distribution(
        self,
        observation: Observation,
        *,
        return_to_go: Tensor,
        previous_action: Tensor | None,
        first: Tensor,
        timestep: Tensor,
        action_mask: Tensor | None = None,
    ) -> ActionDistribution:
        """Action distribution of each row; arguments as in `DecisionSequence.act`."""
        if previous_action is None:
            previous_action = self.policy.no_action(len(timestep), timestep.device)
        check_seen(self.policy.observation_encoder, observation)
        hidden = self._memory.hidden(observation, return_to_go.double(), previous_action, first, timestep)
        return self.policy.distribution(hidden, action_mask)

    def act(
        self,
        observation: Observation,
        *,
        decode: Decode = "argmax",
        generator: Draws = None,
        **arguments: Any,
    ) -> Tensor:
        """(B,) or (B, A) actions, in the space; arguments and errors as in `DecisionSequence.act`."""
        self._last = self.policy.choose(self.distribution(observation, **arguments), decode, generator)
        return self._last.action

    @property
    def clipped(self) -> Tensor:
        """(B,) bool, rows whose last action lay outside the space before it was put there."""
        assert self._last is not None, "nothing was done yet"
        return self.policy.is_clipped(self._last)


class _Stateful:
    """Carries the backbone's state in its stepper."""

    def __init__(self, policy: DecisionSequence, batch_size: int, compiled: bool) -> None:
        self.policy = policy
        self.stepper = policy.backbone.make_stepper(batch_size, compiled=compiled)
        on_cpu = policy.head.weight.device.type == "cpu"
        self.tokens = CompiledTokens(policy, batch_size) if compiled and on_cpu else policy.decision_tokens
        self.implementation = self.stepper.implementation

    def remember(self, past: Batch) -> None:
        self.stepper.load(self.policy.state_after(past))

    def hidden(
        self, observation: Observation, return_to_go: Tensor, previous_action: Tensor, first: Tensor, timestep: Tensor
    ) -> Tensor:
        tokens = self.tokens(observation, return_to_go, previous_action, first, timestep)
        for token in tokens.before_reset:
            self.stepper.step(token)
        if bool(first.any()):
            self.stepper.reset(first)
        for token in tokens.after_reset:
            y = self.stepper.step(token)
        return y


class _Windowed:
    """Keeps the last K timesteps of each row, left-aligned with a count, and re-encodes them."""

    def __init__(self, policy: DecisionSequence, batch_size: int, window: int) -> None:
        self.policy, self.window = policy, window
        self.implementation = policy.backbone.kernel().name
        device = policy.head.weight.device
        self.count = torch.zeros(batch_size, dtype=torch.long, device=device)
        self.kept: dict[str, Tensor] | None = None  # name -> (B, K, ...)

    def remember(self, past: Batch) -> None:
        named = {
            **_named(past.observation),
            "return_to_go": past.return_to_go,
            "previous_action": past.previous_action,
            "timestep": past.timestep,
        }
        last = {name: value[:, -self.window :] for name, value in named.items()}
        kept = min(self.window, past.mask.shape[1])
        self.kept = {name: value.new_zeros(len(value), self.window, *value.shape[2:]) for name, value in last.items()}
        for name, value in last.items():
            self.kept[name][:, :kept] = value
        self.count = torch.full_like(self.count, kept)

    def hidden(
        self, observation: Observation, return_to_go: Tensor, previous_action: Tensor, first: Tensor, timestep: Tensor
    ) -> Tensor:
        self._push(
            {
                **_named(observation),
                "return_to_go": return_to_go,
                "previous_action": previous_action,
                "timestep": timestep,
            },
            first,
        )
        assert self.kept is not None
        last = self.count - 1
        rows = torch.arange(len(last), device=last.device)
        hidden, _ = self.policy.hidden(self._batch(self.kept, isinstance(observation, dict)))
        return hidden[rows, last]

    def _push(self, new: dict[str, Tensor], first: Tensor) -> None:
        """Append one timestep to each row: shift a full row, start a new episode's row from nothing."""
        if self.kept is None:
            self.kept = {
                name: value.new_zeros(len(value), self.window, *value.shape[1:]) for name, value in new.items()
            }
        count = torch.where(first, 0, self.count)
        full = count >= self.window
        slot = count.clamp(max=self.window - 1)
        rows = torch.arange(len(slot), device=slot.device)
        for name, value in new.items():
            old = self.kept[name]
            shape = (-1, *[1] * (old.dim() - 1))
            shifted = torch.where(full.view(shape), old.roll(-1, dims=1), old)
            cleared = torch.where(first.view(shape), torch.zeros_like(shifted), shifted)
            cleared[rows, slot] = value.to(old.dtype)
            self.kept[name] = cleared
        self.count = slot + 1

    def _batch(self, kept: dict[str, Tensor], is_dict: bool) -> Batch:
        places = torch.arange(self.window, device=self.count.device)
        mask = places < self.count.unsqueeze(1)  # (B, K)
        observation: Observation = (
            {name[len("observation.") :]: value for name, value in kept.items() if name.startswith("observation.")}
            if is_dict
            else kept["observation"]
        )
        previous = kept["previous_action"]
        # The action taken at a timestep is what the next one calls previous; the current one is not known yet.
        action = torch.cat([previous[:, 1:], torch.zeros_like(previous[:, :1])], 1)
        return Batch(
            observation=observation,
            action=action,
            previous_action=previous,
            reward=torch.zeros_like(kept["return_to_go"]),
            return_to_go=kept["return_to_go"],
            timestep=kept["timestep"],
            reset=(places == 0).expand_as(mask),
            mask=mask,
            episode_id=torch.where(mask, 0, -1),
        )


def _named(observation: Observation) -> dict[str, Tensor]:
    if isinstance(observation, dict):
        return {f"observation.{key}": value for key, value in observation.items()}
    return {"observation": observation}
