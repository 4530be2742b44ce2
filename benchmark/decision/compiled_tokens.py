"""The tokens of a decision without Python: encoders and time of the wrapper in ONNX Runtime, on buffers of their own.

At small widths the wrapper's two dozen torch operators take longer than a compiled step of the backbone.
"""

from __future__ import annotations

import copy
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from dsbench.backbones.compiled.onnx_step import Bound, export_onnx, session
from dsbench.batches import Observation
from dsbench.decision.encoders import tensor_type
from dsbench.decision.wrapper import DecisionSequence, DecisionTokens

_WHOLE, _PART = "observation", "observation/"  # the name of one that has no parts, and how that of a part begins


class CompiledTokens:
    """`DecisionSequence.decision_tokens` for `rows` rows, of the parameters as they are now, on the CPU.

    The tokens of a call are valid until the next one.

    Raises:
        MissingExtra: no onnx here.
        UsageError: the encoders cannot be exported.
    """

    def __init__(self, policy: DecisionSequence, rows: int) -> None:
        self._seen = _blank(policy.observation_space, rows)
        function = _Tokens(policy, list(self._seen))
        self._return_to_go = torch.zeros(rows, dtype=torch.float64)
        self._action = policy.no_action(rows, torch.device("cpu"))
        self._first, self._timestep = torch.zeros(rows, dtype=torch.bool), torch.zeros(rows, dtype=torch.long)
        buffers = {
            **self._seen, "return_to_go": self._return_to_go, "previous_action": self._action, "first": self._first,
            "timestep": self._timestep,
        }  # fmt: skip
        with torch.no_grad():
            before, after = function.lists(tuple(buffers.values()))
        self._tokens = DecisionTokens(
            [torch.empty_like(one) for one in before], [torch.empty_like(one) for one in after]
        )
        written = [*self._tokens.before_reset, *self._tokens.after_reset]
        names = [f"token/{place}" for place, _ in enumerate(written)]
        runner = session(export_onnx(function, tuple(buffers.values()), inputs=list(buffers), outputs=names))
        known = {one.name for one in runner.get_inputs()}  # what the wrapper does not look at is no input
        read = {name: buffer for name, buffer in buffers.items() if name in known}
        self._run = Bound(runner, read, dict(zip(names, written, strict=True)))

    def __call__(
        self, observation: Observation, return_to_go: Tensor, previous_action: Tensor, first: Tensor, timestep: Tensor
    ) -> DecisionTokens:
        """Arguments as in `DecisionSequence.decision_tokens`."""
        for name, value in _named(observation).items():
            self._seen[name].copy_(value)
        self._return_to_go.copy_(return_to_go)
        self._action.copy_(previous_action)
        self._first.copy_(first)
        self._timestep.copy_(timestep)
        self._run()
        return self._tokens


class _Tokens(nn.Module):
    """The tokens as a function of plain tensors, in the order of the buffers."""

    def __init__(self, policy: DecisionSequence, seen: list[str]) -> None:
        super().__init__()
        without = copy.copy(policy)
        without._modules = {name: part for name, part in policy._modules.items() if name != "backbone"}
        self.policy = copy.deepcopy(without).eval().requires_grad_(False)
        self._seen = seen

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        before, after = self.lists(values)
        return (*before, *after)

    def lists(self, values: tuple[Tensor, ...]) -> tuple[list[Tensor], list[Tensor]]:
        """Tokens before and after the reset."""
        parts, rest = values[: len(self._seen)], values[len(self._seen) :]
        keys = [name.removeprefix(_PART) for name in self._seen]
        observation: Observation = parts[0] if self._seen == [_WHOLE] else dict(zip(keys, parts, strict=True))
        tokens = self.policy.decision_tokens(observation, *rest)
        return tokens.before_reset, tokens.after_reset


def _named(observation: Observation) -> dict[str, Tensor]:
    """Under names that no key of a dictionary can take from another input."""
    if isinstance(observation, dict):
        return {_PART + key: value for key, value in observation.items()}
    return {_WHOLE: observation}


def _blank(space: gym.Space[Any], rows: int) -> dict[str, Tensor]:
    """Zeros for the observations of `rows` rows."""
    parts = {_PART + key: part for key, part in space.items()} if isinstance(space, spaces.Dict) else {_WHOLE: space}
    return {
        name: torch.zeros(rows, *(part.shape or ()), dtype=tensor_type(np.dtype(part.dtype)))
        for name, part in sorted(parts.items())
    }
