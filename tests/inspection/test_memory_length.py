"""The effective memory length is what it is by construction: of windows, of pointwise maps, of a delay line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.backbones import Backbone
from dsbench.batches import whole_batch
from dsbench.decision import DecisionSequence
from dsbench.episodes import Episodes
from dsbench.errors import UsageError
from dsbench.inspection.memory_length import memory_length, summarise

LAG = 3
Make = Callable[..., Episodes]


class DelayLine(Backbone):
    """y_t = x_(t - LAG): what it says now is about one token long ago alone."""

    def __init__(self, d_model: int) -> None:
        super().__init__(d_model)
        self.anchor = torch.nn.Parameter(torch.ones(1))

    def initial_state(self, batch_size: int) -> torch.Tensor:
        return self._like_parameters(batch_size, LAG, self.d_model)

    def scan(self, x: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # type: ignore[override]
        both = torch.cat([state, x], 1)
        return both[:, : x.shape[1]], both[:, x.shape[1] :]


def delayed(actions: gym.Space) -> DecisionSequence:  # type: ignore[type-arg]
    torch.manual_seed(0)
    seen = gym.spaces.Box(-np.inf, np.inf, (3,), np.float32)
    return DecisionSequence(DelayLine(8), seen, actions, previous_action=False, condition="none").double().eval()


@pytest.mark.parametrize(("backbone", "reach"), [("mlp", 0), ("framestack", 3)])
def test_a_window_has_exactly_no_influence_beyond_itself(
    make_episodes: Make, make_policy: Callable[..., DecisionSequence], backbone: str, reach: int
) -> None:
    episodes = make_episodes([9, 12, 7, 12])
    policy = make_policy(backbone, episodes).double().eval()
    found = memory_length(policy, episodes, pairs=6)
    assert (found.influence[: reach + 1] > 0).all()
    assert (found.influence[reach + 1 :] == 0).all()
    assert found.length is not None and found.length <= reach
    assert (found.beyond[reach:] == 0).all()


def test_a_delay_line_shows_its_lag_and_nothing_else(make_episodes: Make) -> None:
    found = memory_length(delayed(gym.spaces.Discrete(2)), make_episodes([10, 10, 8]), pairs=5)
    assert np.flatnonzero(found.influence).tolist() == [LAG]
    assert found.length == LAG
    assert not found.reaches_the_end


def test_continuous_actions_move_in_spreads_of_the_data(make_episodes: Make) -> None:
    episodes = make_episodes([10, 10, 8])
    torques = np.random.default_rng(0).normal(size=(28, 2)).astype(np.float32)
    policy = delayed(gym.spaces.Box(-1.0, 1.0, (2,), np.float32))
    once, wider = (
        memory_length(policy, replace(episodes, actions=torques * np.float32(scale)), pairs=4) for scale in (1, 2)
    )
    assert once.length == wider.length == LAG
    assert once.influence == pytest.approx(2 * wider.influence)


def test_the_influence_is_the_distance_between_decisions(
    make_episodes: Make, make_policy: Callable[..., DecisionSequence]
) -> None:
    # Two episodes of two steps and nothing else to draw: every term written out with the acting distribution itself.
    episodes = make_episodes([2, 2])
    policy = make_policy("gru", episodes).double().eval()

    def decisions(first: int, second: int, of: int) -> np.ndarray:
        """Probabilities (2, A) when step 0 shows episode `first`'s observation, step 1 `second`'s, the rest `of`'s."""
        batch = whole_batch(episodes.select([of]))
        other = whole_batch(episodes)
        assert isinstance(other.observation, torch.Tensor)
        observation = torch.stack([other.observation[first, 0], other.observation[second, 1]])[None]
        with torch.no_grad():
            return policy(replace(batch, observation=observation))[0].logits[0].softmax(-1).numpy()

    now, late = [], []
    for own in (0, 1):
        kept = decisions(own, own, own)
        first, last = decisions(1 - own, own, own), decisions(own, 1 - own, own)
        now.append((abs(kept[0] - first[0]).sum() / 2 + abs(kept[1] - last[1]).sum() / 2) / 2)
        late.append(abs(kept[1] - first[1]).sum() / 2)
    for seed in range(4):
        found = memory_length(policy, episodes, pairs=1, seed=seed).influence
        assert any(found == pytest.approx([a, b]) for a, b in zip(now, late, strict=True))


@settings(max_examples=25, deadline=None)
@given(weights=st.lists(st.floats(0, 1), min_size=1, max_size=30).filter(lambda each: sum(each) > 1e-6))
def test_the_length_is_the_smallest_beyond_which_under_five_percent_lie(weights: list[float]) -> None:
    found = summarise(np.array([weights]), "")
    assert found.length is not None
    total = sum(weights)
    assert sum(weights[found.length + 1 :]) < 0.05 * total + 1e-12
    if found.length:
        assert sum(weights[found.length :]) >= 0.05 * total - 1e-12


def test_the_same_seed_gives_the_same_numbers_and_one_episode_is_refused(
    make_episodes: Make, make_policy: Callable[..., DecisionSequence]
) -> None:
    episodes = make_episodes([6, 5, 7])
    policy = make_policy("lstm", episodes).double().eval()
    once, again = (memory_length(policy, episodes, pairs=3, seed=1).influence for _ in range(2))
    assert (once == again).all()
    with pytest.raises(UsageError, match="one episode"):
        memory_length(policy, episodes.select([0]))


def test_no_influence_at_all_has_no_length() -> None:
    found = summarise(np.zeros((2, 4)), "")
    assert found.length is None and np.isnan(found.beyond).all()
