"""From a distribution over actions to what is done: the one way for evaluation, `act`, pictures of episodes and export.

What is done lies in the space, in its own type; it is what the environment takes and what is fed back as the previous
action. Forbidden actions have no probability left by then (`dsbench.decision.heads.Categorical`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from dsbench.decision.scaling import KeepsFloat64
from dsbench.errors import DsbenchError, UsageError

_TYPES = {
    str(kind).removeprefix("torch."): kind
    for kind in (torch.float16, torch.float32, torch.float64, torch.int8, torch.int16, torch.int32, torch.uint8)
}
_MOST_WHOLE = float(2**63 - 1024)  # the largest float64 that int64 holds
_IN_FLOAT32 = ("float16", "float32")  # float32 holds all their numbers, bounds included


class NoDecision(DsbenchError):
    """What a policy makes of what it is shown is no number, and so no action."""


class Chosen(NamedTuple):
    """What is done, (B,) or (B, A) actions in the space, and what it was before it was put there."""

    action: Tensor
    wanted: Tensor


class Bounds(KeepsFloat64):
    """(*, A) numbers as (*, A) actions of a Box: within its bounds and of its type, whole numbers the nearest ones.

    Attributes:
        dtype: of the actions.
        is_whole: they are whole numbers.
    """

    low: Tensor
    high: Tensor

    def __init__(self, space: spaces.Box) -> None:
        super().__init__()
        kind = np.dtype(space.dtype)
        self.dtype = _TYPES.get(kind.name, torch.int64)
        self.is_whole = not self.dtype.is_floating_point
        low, high = self._edges(space, np.dtype(np.float32 if kind.name in _IN_FLOAT32 else np.float64))
        self.register_buffer("low", torch.as_tensor(low), persistent=False)
        self.register_buffer("high", torch.as_tensor(high), persistent=False)

    def forward(self, raw: Tensor) -> Tensor:
        return self._rounded(raw).to(self.low.dtype).clamp(self.low, self.high).to(self.dtype)

    def leaves(self, raw: Tensor) -> Tensor:
        """(*,) bool: some entry lies outside, by more than its own rounding."""
        return (self(raw).to(raw.dtype) != self._rounded(raw).to(raw.dtype)).any(-1)

    def _rounded(self, raw: Tensor) -> Tensor:
        return raw.double().round().clamp(-_MOST_WHOLE, _MOST_WHOLE) if self.is_whole else raw

    def _edges(self, space: spaces.Box, work: np.dtype[Any]) -> list[np.ndarray]:
        """Low and high, finite: whole numbers exactly, others in the type that is worked in."""
        if not self.is_whole:
            most = torch.finfo(self.dtype).max
            return [np.clip(bounds, -most, most).astype(work) for bounds in (space.low, space.high)]
        limits = torch.iinfo(self.dtype)
        return [
            np.array([min(max(int(bound), limits.min), limits.max) for bound in bounds.ravel()], np.int64).reshape(
                bounds.shape
            )
            for bounds in (space.low, space.high)
        ]


def check_rows(action_space: gym.Space[Any], previous_action: Tensor | None, **per_row: Tensor) -> None:
    """`UsageError` unless each of `per_row` has a number a row, as many as the last of them, and so many actions were done."""
    last = next(reversed(per_row.values()))
    rows = len(last) if last.dim() else 1
    for name, value in per_row.items():
        if tuple(value.shape) != (rows,):
            raise UsageError(f"{name} has shape {tuple(value.shape)}; expected {(rows,)}, a number for each row")
    if previous_action is None:
        return
    expected = (rows, *(action_space.shape or ()))
    if tuple(previous_action.shape) != expected:
        raise UsageError(
            f"previous_action has shape {tuple(previous_action.shape)}; expected {expected}, what act returned one step before"
        )
    if isinstance(action_space, spaces.Discrete):
        wrong = (previous_action < 0) | (previous_action >= int(action_space.n))
        if previous_action.is_floating_point() or bool(wrong.any()):
            shown = previous_action[wrong if bool(wrong.any()) else slice(None)].flatten()[0].item()
            raise UsageError(
                f"previous_action holds {shown!r}; expected whole numbers from 0 to {int(action_space.n) - 1}, what act "
                "returned one step before"
            )


def check_tanh(space: gym.Space[Any]) -> None:
    """`UsageError` where actions of this space cannot be scaled to its bounds."""
    if not isinstance(space, spaces.Box):
        return
    with np.errstate(over="ignore"):
        low, high = space.low.astype(np.float32), space.high.astype(np.float32)
        wrong = np.flatnonzero(~np.isfinite(high - low))
    if len(wrong):
        place = int(wrong[0])
        raise UsageError(
            f"wrapper.action_tanh=true scales actions to the bounds of their space, and entry {place} of it reaches from "
            f"{space.low.flat[place]:g} to {space.high.flat[place]:g}; expected finite bounds: set wrapper.action_tanh=false, "
            "or give the environment bounded actions (gymnasium.wrappers.RescaleAction)"
        )


def for_environment(action: Tensor, space: gym.Space[Any]) -> np.ndarray:
    """(B, ...) what was chosen as an environment of this action space takes it."""
    return action.cpu().numpy().astype(space.dtype, copy=False)
