"""A policy that is not shown its previous action does not see any action, whatever the layout of its tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from dsbench.backbones import build
from dsbench.batches import whole_batch
from dsbench.decision import DecisionSequence
from dsbench.episodes import Episodes
from dsbench.errors import UsageError

MakeEpisodes = Callable[..., Episodes]
MakePolicy = Callable[..., DecisionSequence]


@pytest.mark.parametrize("tokens", ["joint", "separate"])
@pytest.mark.parametrize("shown", [True, False])
def test_other_actions_in_the_past_change_decisions_only_where_they_are_shown(
    make_policy: MakePolicy, make_episodes: MakeEpisodes, tokens: str, shown: bool
) -> None:
    episodes = make_episodes([6, 6, 6])
    policy = make_policy("lstm", episodes, tokens=tokens, previous_action=shown).double().eval()
    batch = whole_batch(episodes)
    turned = replace(
        batch, action=1 - batch.action.clamp(max=1), previous_action=1 - batch.previous_action.clamp(max=1)
    )
    with torch.no_grad():
        as_done, otherwise = policy.hidden(batch)[0], policy.hidden(turned)[0]
    assert torch.equal(as_done[:, 0], otherwise[:, 0])  # nothing has been done yet
    assert torch.equal(as_done, otherwise) is not shown
    assert policy.tokens_per_decision == (1 if tokens == "joint" else 2 + shown)


@pytest.mark.parametrize(("backbone", "expected"), [("mlp", False), ("framestack", False), ("lstm", True)])
def test_left_open_it_is_shown_to_all_but_controls(make_policy: MakePolicy, backbone: str, expected: bool) -> None:
    spaces = make_policy("lstm")
    left_open = DecisionSequence(build(backbone, 8), spaces.observation_space, spaces.action_space)
    told = DecisionSequence(build(backbone, 8), spaces.observation_space, spaces.action_space, previous_action=True)
    assert left_open.previous_action is expected is (left_open.action_encoder is not None)
    assert told.action_encoder is not None


def test_a_map_of_single_tokens_cannot_take_several_a_timestep(make_policy: MakePolicy) -> None:
    with pytest.raises(UsageError, match="use wrapper.tokens=joint"):
        make_policy("mlp", tokens="separate", previous_action=True)
