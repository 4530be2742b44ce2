"""`DecisionSequence.act` as a user calls it: nothing of it asks for gradients, and what does not fit is said in a sentence."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from dsbench.backbones import build
from dsbench.decision import DecisionSequence
from dsbench.errors import UsageError

ROWS = 3
BOX = gym.spaces.Box(-1, 1, (2,), np.float32)
DISCRETE = gym.spaces.Discrete(3)


def act(space: gym.Space[Any], **changed: Any) -> Any:
    policy = DecisionSequence(build("lstm", 8), gym.spaces.Box(-1, 1, (2,)), space)
    arguments = {
        "return_to_go": torch.ones(ROWS), "previous_action": policy.no_action(ROWS, torch.device("cpu")),
        "first": torch.zeros(ROWS, dtype=torch.bool), "timestep": torch.ones(ROWS, dtype=torch.long),
    }  # fmt: skip
    return policy.act(torch.zeros(ROWS, 2), policy.initial_state(ROWS), **(arguments | changed))


@pytest.mark.parametrize("space", [BOX, DISCRETE], ids=str)
def test_actions_and_states_are_plain_arrays(space: gym.Space[Any]) -> None:
    action, state = act(space)
    assert all(space.contains(one) for one in action.numpy())
    assert not any(leaf.requires_grad for leaf in torch.utils._pytree.tree_leaves(state))


@pytest.mark.parametrize(
    ("space", "changed", "says"),
    [
        (DISCRETE, {"return_to_go": torch.ones(2)}, r"return_to_go has shape \(2,\); expected \(3,\)"),
        (DISCRETE, {"timestep": torch.tensor(4)}, "has shape"),
        (DISCRETE, {"first": torch.zeros(ROWS, 1, dtype=torch.bool)}, r"first has shape \(3, 1\)"),
        (
            DISCRETE,
            {"previous_action": torch.full((ROWS,), 3)},
            "previous_action holds 3; expected whole numbers from 0 to 2",
        ),
        (DISCRETE, {"previous_action": torch.full((ROWS,), -1)}, "previous_action holds -1"),
        (DISCRETE, {"previous_action": torch.ones(ROWS)}, "previous_action holds 1.0; expected whole numbers"),
        (BOX, {"previous_action": torch.zeros(ROWS)}, r"previous_action has shape \(3,\); expected \(3, 2\)"),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(space: gym.Space[Any], changed: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        act(space, **changed)
