"""The expert of noisy CartPole: its filter against exact conditioning, and that it knows no more than a learner."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.envs import get_spec
from dsbench.envs.data import generate
from dsbench.envs.tasks.cartpole_episodes import POSITIONS, View, pushed
from dsbench.envs.tasks.cartpole_filter import FilteredEpisodes, filtered_expert, gains, policy
from dsbench.episodes import Episodes

VIEW = View(POSITIONS.columns, 0.1)
NOBODY = np.zeros((0, 2))  # draws for an expert that takes none
SEEN = np.eye(4)[[0, 2]]


def textbook_transition() -> np.ndarray:
    """The cart and pole linearised by hand: gravity 9.8, masses 1.1 and 0.1, half length 0.5, 0.02 s."""
    theta_per_theta = 9.8 / (0.5 * (4 / 3 - 0.1 / 1.1))
    derivative = np.zeros((4, 4))
    derivative[0, 1] = derivative[2, 3] = 1
    derivative[3, 2] = theta_per_theta
    derivative[1, 2] = -0.1 * 0.5 * theta_per_theta / 1.1
    return np.eye(4) + 0.02 * derivative


def acted(env: FilteredEpisodes, timestep: int = 0) -> np.ndarray:
    return filtered_expert(env, timestep, NOBODY, NOBODY)


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.3])
def test_the_gains_are_those_of_conditioning_all_observations_at_once(noise: float) -> None:
    """Without a recursion: the covariance of all states given all earlier observations, from their joint Gaussian."""
    times, transition = 8, textbook_transition()
    powers = [np.linalg.matrix_power(transition, k) for k in range(times)]
    sources = np.block([[powers[t - k] if k <= t else np.zeros((4, 4)) for k in range(times)] for t in range(times)])
    variances = np.repeat([0.05**2 / 3] + [3e-8] * (times - 1), 4)
    states = sources @ np.diag(variances) @ sources.T
    looks = np.kron(np.eye(times), SEEN)
    for t in range(times):
        known = looks[: 2 * t]
        with_noise = known @ states @ known.T + noise**2 * np.eye(2 * t)
        left = states - states @ known.T @ np.linalg.solve(with_noise, known @ states)
        now = left[4 * t : 4 * t + 4, 4 * t : 4 * t + 4]
        gain = now @ SEEN.T @ np.linalg.inv(SEEN @ now @ SEEN.T + noise**2 * np.eye(2))
        assert np.allclose(gains(100, View(POSITIONS.columns, noise))[t], gain, rtol=1e-4, atol=1e-6)


def actions_by_history(episodes: Episodes, filter_gains: np.ndarray) -> np.ndarray:
    """(T,) what the expert does, row by row from recorded observations and actions alone."""
    found = []
    for first, last in zip(episodes.starts[:-1], episodes.starts[1:], strict=True):
        estimate = np.zeros(4)
        for t, row in enumerate(range(first, last)):
            estimate = estimate + filter_gains[t] @ (episodes.observations[row] - SEEN @ estimate)
            found.append(int(np.dot(policy(VIEW), estimate) > 0))
            estimate = pushed(estimate[:, None], episodes.actions[row : row + 1])[:, 0]
    return np.array(found)


def test_recorded_actions_follow_from_recorded_observations_and_actions() -> None:
    """So that a learner with a memory can imitate them, which is what the seeing expert of before did not allow."""
    episodes = generate(get_spec("cartpole-noisy"), "expert", 15, seed=0)
    assert np.array_equal(actions_by_history(episodes, gains(200, VIEW)), episodes.actions)


def test_the_filters_errors_are_as_large_as_it_believes_even_when_actions_are_not_the_experts() -> None:
    """In exact filtering the gain is the covariance of the error that is left, divided by the noise's variance."""
    env, generator = FilteredEpisodes(range(3000), 200, VIEW), np.random.default_rng(0)
    for t in range(25):
        env.step(np.where(generator.random(3000) < 0.4, generator.integers(2, size=3000), acted(env, t)))
    standing = ~env.over
    assert standing.sum() > 2000
    errors = (env.estimate - env.state)[:, standing]
    believed = gains(200, VIEW)[25] * 0.1**2
    assert errors[0].var() == pytest.approx(believed[0, 0], rel=0.1)
    assert errors[2].var() == pytest.approx(believed[2, 1], rel=0.1)
    assert (np.abs(errors.mean(1)) < 4 * errors.std(1) / np.sqrt(standing.sum())).all()


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**40), noise=st.sampled_from([0.0, 0.1, 10.0]))
def test_an_estimate_depends_neither_on_the_rows_beside_it_nor_on_actions_after_the_end(
    seed: int, noise: float
) -> None:
    view, generator = View(POSITIONS.columns, noise), np.random.default_rng(seed)
    many, one = FilteredEpisodes(range(seed, seed + 9), 100, view), FilteredEpisodes([seed + 4], 100, view)
    for _ in range(102):
        actions, ended, before = generator.integers(2, size=9), many.over, many.estimate
        assert np.array_equal(many.estimate[:, 4:5], one.estimate)
        many.step(actions)
        one.step(actions[4:5])
        assert np.array_equal(many.estimate[:, ended], before[:, ended])
    assert many.over.all()
    assert np.isfinite(many.estimate).all()


@pytest.mark.parametrize("noise", [0.1, 0.2, 0.3, 0.4, 0.5])
def test_the_references_are_what_fresh_episodes_give_at_every_noise(noise: float) -> None:
    spec = get_spec("cartpole-noisy", noise=noise)
    for recipe, expected in (("expert", spec.optimal_return), ("random", spec.random_return)):
        returns = spec.score(generate(spec, recipe, 2000, seed=3))["return"]
        assert abs(returns.mean() - expected) < 4 * np.hypot(returns.std(), returns.std()) / np.sqrt(2000)


def test_with_the_least_noise_of_popgym_the_expert_nearly_always_stands() -> None:
    spec = get_spec("cartpole-noisy")
    returns = spec.score(generate(spec, "expert", 2000, seed=3))["return"]
    assert 198 < spec.optimal_return < 200
    assert (returns == 200).mean() > 0.95
    assert "not proven optimal" in spec.references


def test_more_noise_makes_the_task_harder() -> None:
    returns = [get_spec("cartpole-noisy", noise=noise).optimal_return for noise in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)]
    assert returns[0] == 200
    assert returns == sorted(returns, reverse=True)
    assert returns[2] > 125
    assert returns[3] > 74


@pytest.mark.parametrize(("noise", "needed"), [(0.1, True), (0.3, True), (0.4, True), (0.5, False), (10.0, False)])
def test_memory_is_claimed_only_where_pushing_in_turn_without_looking_stays_below_the_foot(
    noise: float, needed: bool
) -> None:
    spec = get_spec("cartpole-noisy", noise=noise)
    env, total = spec.vector(range(2000)), 0.0
    for t in range(spec.horizon):
        total += float(env.step(np.full(2000, t % 2))[1].sum())
    assert total / 2000 == pytest.approx(37.5, abs=1)
    assert spec.foot is not None
    assert spec.needs_memory == needed == (total / 2000 + 0.7 < spec.foot)  # a little more by looking at the cart
