"""Scripted policies put together: shares, rates and masks are what they say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.envs.behaviour import levels, noisy, noisy_recipes, spread, uniform, uniform_actions

ROWS = 20_000
FREE: Any = SimpleNamespace(action_mask=None)


def draws(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.random((ROWS, 2)), generator.random(ROWS)


def always(action: int):  # type: ignore[no-untyped-def]
    return lambda env, timestep, draws, episode_draw: np.full(len(draws), action)


def test_uniform_actions_are_uniform() -> None:
    actions = uniform(5)(FREE, 0, *draws())
    shares = np.bincount(actions, minlength=5) / ROWS
    np.testing.assert_allclose(shares, 0.2, atol=4 * np.sqrt(0.16 / ROWS))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), n_actions=st.integers(1, 9))
def test_only_allowed_actions_are_taken_each_as_often(seed: int, n_actions: int) -> None:
    generator = np.random.default_rng(seed)
    mask = generator.random((500, n_actions)) < 0.5
    mask[np.arange(500), generator.integers(n_actions, size=500)] = True
    edges = np.array([0.0, np.nextafter(1.0, 0.0)])
    for row_draws in (generator.random(500), np.resize(edges, 500)):
        actions = uniform_actions(row_draws, n_actions, mask)
        assert mask[np.arange(500), actions].all()
    one = np.broadcast_to(mask[0], (ROWS, n_actions))
    taken = np.bincount(uniform_actions(generator.random(ROWS), n_actions, one), minlength=n_actions)
    np.testing.assert_allclose(taken[mask[0]] / ROWS, 1 / mask[0].sum(), atol=0.025)


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_an_expert_errs_as_often_as_epsilon_says(epsilon: float) -> None:
    actions = noisy(always(3), 4, epsilon)(FREE, 0, *draws())
    assert abs(np.mean(actions != 3) - epsilon * 3 / 4) < 0.015


def test_levels_give_each_episode_one_of_the_rates_in_the_shares_asked_for() -> None:
    _, episode = draws()
    equal = levels(0.0, 0.5, 1.0)(episode)
    assert [round(np.mean(equal == rate), 1) for rate in (0.0, 0.5, 1.0)] == [0.3, 0.3, 0.3]
    few = levels(1.0, 0.0, shares=(0.95, 0.05))(episode)
    assert abs(np.mean(few == 0.0) - 0.05) < 0.01


def test_a_spread_of_rates_is_uniform_over_episodes() -> None:
    rates = spread(draws()[1])
    assert abs(rates.mean() - 0.5) < 0.01
    assert rates.min() < 0.01
    assert rates.max() > 0.99


def test_the_five_recipes_err_as_often_as_they_say() -> None:
    recipes = noisy_recipes(always(3), 4, "always 3", medium=0.4, mixed=(0.0, 0.2, 1.0))
    errs = {name: np.mean(recipe.behaviour(FREE, 0, *draws()) != 3) for name, recipe in recipes.items()}
    expected = {"random": 1.0, "medium": 0.4, "expert": 0.0, "mixed": 0.4, "replay": 0.5}
    assert errs == pytest.approx({name: share * 3 / 4 for name, share in expected.items()}, abs=0.015)
    assert "40%" in recipes["medium"].summary
    assert "0, 0.2, 1" in recipes["mixed"].summary
