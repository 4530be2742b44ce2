"""CartPole in numpy against gymnasium and POPGym, and the facts that decide which variant needs a memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.envs import get_spec
from dsbench.envs.data import generate
from dsbench.envs.tasks.cartpole import cartpole, expert
from dsbench.envs.tasks.cartpole_filter import filtered_expert
from dsbench.envs.vector import LoopedEpisodes
from dsbench.errors import UsageError

VARIANTS = ["cartpole-position", "cartpole-velocity", "cartpole-noisy"]
TASKS = ["cartpole", *VARIANTS]
NOBODY = np.zeros((0, 2))  # draws for an expert that takes none


def mostly_expert(env: Any, generator: np.random.Generator, random: float) -> np.ndarray:
    rows = env.state.shape[1]
    return np.where(generator.random(rows) < random, generator.integers(2, size=rows), expert(env, 0, NOBODY, NOBODY))


def mean_return(name: str, policy: Callable[[Any], np.ndarray], episodes: int = 500) -> float:
    spec = get_spec(name)
    env, total = spec.vector(range(episodes)), 0.0
    for _ in range(spec.horizon):
        total += env.step(policy(env))[1].sum()
    return total / episodes


def linear(*weights: float) -> Callable[[Any], np.ndarray]:
    """A policy without memory: right where this combination of the observation and of 1 is positive."""
    return lambda env: (env.observations @ np.array(weights[:-1]) + weights[-1] > 0).astype(np.int64)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**40), random=st.floats(0, 1), name=st.sampled_from(TASKS))
def test_the_batched_twin_equals_the_gymnasium_environment_to_the_last_bit(seed: int, random: float, name: str) -> None:
    spec, rows = get_spec(name, max_steps=100), range(seed, seed + 3)
    twin, loop = spec.vector(rows), LoopedEpisodes(spec.make, rows)
    generator = np.random.default_rng(seed)
    assert np.array_equal(twin.observations, loop.observations)
    assert twin.observations.dtype == np.float32
    for _ in range(102):  # past the end too: rows that have ended stay as they are
        actions = mostly_expert(twin, generator, random)
        for got, expected in zip(twin.step(actions), loop.step(actions), strict=True):
            assert np.array_equal(got, expected)


def test_the_whole_state_comes_from_gymnasiums_own_environment() -> None:
    """Without a wrapper of ours, under gymnasium's own time limit, for 500 timesteps."""
    theirs, twin = gym.make("CartPole-v1"), cartpole().vector([3])
    assert np.array_equal(theirs.reset(seed=3)[0], twin.observations[0])
    generator = np.random.default_rng(0)
    for t in range(500):
        action = mostly_expert(twin, generator, 0.1)
        observation, reward, terminated, truncated, _ = theirs.step(int(action[0]))
        row = [part[0] for part in twin.step(action)]
        assert np.array_equal(row[0], observation)
        assert row[1:] == [reward, terminated, truncated]
        assert truncated == (t == 499)


def test_a_pole_that_falls_at_the_time_limit_is_both_terminated_and_truncated() -> None:
    theirs, twin = gym.make("CartPole-v1", max_episode_steps=100), cartpole(max_steps=100).vector([0])
    theirs.reset(seed=0)
    for _ in range(99):
        action = expert(twin, 0, NOBODY, NOBODY)
        theirs.step(int(action[0]))
        twin.step(action)
    falling = np.array([0.0, 0.0, 0.209, 2.0])
    theirs.unwrapped.state, twin.state[:, 0] = falling, falling
    assert theirs.step(1)[2:4] == (True, True)
    assert [flag[0] for flag in twin.step(np.array([1]))[2:]] == [True, True]


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), random=st.floats(0, 1))
@pytest.mark.parametrize("name", VARIANTS)
def test_the_variants_show_what_popgym_shows(name: str, seed: int, random: float) -> None:
    """Transitions, observations with their noise, and ends; POPGym's reward is 1 / 200 of ours."""
    envs = pytest.importorskip("popgym.envs")
    theirs = {
        "cartpole-position": lambda: envs.PositionOnlyCartPoleEasy(),
        "cartpole-velocity": lambda: envs.VelocityOnlyCartPoleEasy(),
        "cartpole-noisy": lambda: envs.NoisyPositionOnlyCartPoleEasy(),
    }[name]()
    twin, generator = get_spec(name).vector([seed]), np.random.default_rng(seed)
    first = theirs.reset(seed=seed)[0]
    if name != "cartpole-velocity":  # there POPGym begins with the positions
        assert np.array_equal(twin.observations[0], first)
    over = False
    while not over:
        action = mostly_expert(twin, generator, random)
        observation, reward, terminated, truncated, _ = theirs.step(int(action[0]))
        row = [part[0] for part in twin.step(action)]
        assert np.array_equal(row[0], observation)
        assert row[1] == pytest.approx(reward * 200)
        assert row[2:] == [terminated, truncated]
        over = terminated or truncated


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.filterwarnings("ignore::UserWarning")  # of infinite bounds and of wrappers, both gymnasium's own
def test_gymnasium_finds_nothing_wrong(name: str) -> None:
    env = get_spec(name).make(render_mode="rgb_array")
    check_env(env)
    env.reset(seed=0)
    picture = env.render()
    assert picture.shape == (400, 600, 3)
    assert picture.dtype == np.uint8
    env.close()


def test_random_actions_return_what_the_spec_says() -> None:
    lengths = get_spec("cartpole").score(generate(cartpole(), "random", 20_000, seed=1))["return"]
    assert abs(lengths.mean() - cartpole().random_return) < 4 * lengths.std() / np.sqrt(len(lengths))


@pytest.mark.parametrize("name", ["cartpole", "cartpole-position", "cartpole-velocity"])
def test_an_expert_who_sees_the_state_balances_every_episode_to_the_time_limit(name: str) -> None:
    spec = get_spec(name)
    episodes = generate(spec, "expert", 300, seed=0)
    scores = spec.score(episodes)
    assert (scores["return"] == spec.optimal_return).all()
    assert scores["stood"].all()
    assert episodes.truncated.sum() == 300
    assert not episodes.terminated.any()


@pytest.mark.parametrize(("name", "low", "high"), [("cartpole", 180, 215), *[(name, 104, 122) for name in VARIANTS]])
def test_medium_data_lies_near_the_middle_between_random_and_expert(name: str, low: float, high: float) -> None:
    returns = get_spec(name).score(generate(get_spec(name), "medium", 1500, seed=0))["return"]
    assert low < returns.mean() < high


@pytest.mark.parametrize("recipe", ["mixed", "replay"])
def test_mixtures_hold_both_short_and_full_episodes(recipe: str) -> None:
    spec = get_spec("cartpole-position")
    returns = spec.score(generate(spec, recipe, 500, seed=0))["return"]
    assert (returns < 40).mean() > 0.15
    assert (returns == 200).mean() > 0.25


def test_two_observations_of_positions_suffice_and_one_does_not() -> None:
    """The weights are the best of a random search over linear memoryless policies (300 draws, 6 rounds of refinement)."""
    previous: list[np.ndarray] = []

    def difference(env: Any) -> np.ndarray:
        previous.append(env.observations)
        velocity = (previous[-1] - previous[-2]) / 0.02 if len(previous) > 1 else np.zeros_like(env.observations)
        return (env.observations @ np.array([0.1, 3]) + velocity @ np.array([0.3, 1]) > 0).astype(np.int64)

    assert mean_return("cartpole-position", difference) == 200
    assert mean_return("cartpole-position", linear(-0.516, 1.849, 0.0035)) < 50
    assert get_spec("cartpole-position").needs_memory


def test_velocities_alone_suffice_for_200_timesteps() -> None:
    assert mean_return("cartpole-velocity", linear(0.412, 1.043, -0.0064)) == 200
    assert not get_spec("cartpole-velocity").needs_memory


def test_under_noise_a_filter_is_far_better_than_what_is_seen_at_one_time() -> None:
    assert mean_return("cartpole-noisy", lambda env: filtered_expert(env, 0, NOBODY, NOBODY)) > 197
    assert mean_return("cartpole-noisy", linear(-0.449, 5.25, 0.0152)) < 58
    assert get_spec("cartpole-noisy").needs_memory


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cartpole", {"max_steps": 99}, "env.max_steps is 99"),
        ("cartpole-position", {"max_steps": 200.0}, "env.max_steps is 200.0"),
        ("cartpole-noisy", {"noise": -0.1}, "env.noise is -0.1"),
        ("cartpole-noisy", {"noise": float("nan")}, "env.noise is nan"),
        ("cartpole-velocity", {"noise": 0.1}, "no option 'noise'"),
    ],
)
def test_a_bad_option_is_named_with_the_way_out(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        get_spec(name, **options)
