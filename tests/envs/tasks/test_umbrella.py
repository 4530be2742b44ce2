"""The umbrella chain against bsuite itself, and the facts that make it a test of return noise."""

from __future__ import annotations

import numpy as np
import pytest
from bsuite.environments.umbrella_chain import UmbrellaChain
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.envs import get_spec
from dsbench.envs.data import generate
from dsbench.envs.tasks.umbrella import UmbrellaEnv, UmbrellaEpisodes
from dsbench.envs.vector import LoopedEpisodes
from dsbench.errors import UsageError

SEEDS = [0, 1, 77, 2**33 + 5]


@settings(max_examples=25, deadline=None)
@given(chain_length=st.integers(1, 8), n_distractor=st.integers(0, 5), action_seed=st.integers(0, 99))
def test_the_batched_twin_equals_bsuite_draw_for_draw(chain_length: int, n_distractor: int, action_seed: int) -> None:
    originals = [UmbrellaChain(chain_length, n_distractor, seed=seed % 2**32) for seed in SEEDS]
    first = np.stack([env.reset().observation[0] for env in originals])
    twin = UmbrellaEpisodes(SEEDS, chain_length, n_distractor)
    assert np.array_equal(twin.observations, first)
    generator = np.random.default_rng(action_seed)
    for _ in range(chain_length):
        actions = generator.integers(2, size=len(SEEDS))
        steps = [env.step(int(action)) for env, action in zip(originals, actions, strict=True)]
        observations, rewards, terminated, truncated = twin.step(actions)
        assert np.array_equal(observations, np.stack([step.observation[0] for step in steps]))
        assert rewards.tolist() == [step.reward for step in steps]
        assert terminated.tolist() == [step.last() for step in steps]
        assert not truncated.any()


def test_the_twin_equals_a_loop_over_the_gymnasium_environments() -> None:
    twin, loop = get_spec("umbrella", chain_length=5).vector(SEEDS), LoopedEpisodes(lambda: UmbrellaEnv(5), SEEDS)
    for t in range(7):  # two timesteps past the end: rows that have ended stay as they are
        actions = np.array([t % 2, 0, 1, 1])
        for got, expected in zip(twin.step(actions), loop.step(actions), strict=True):
            assert np.array_equal(got, expected)


def test_gymnasium_finds_nothing_wrong() -> None:
    check_env(UmbrellaEnv(), skip_render_check=True)


@pytest.mark.parametrize("n_distractor", [0, 1, 20, 10_000])
def test_a_picture_shows_the_observation(n_distractor: int) -> None:
    env = UmbrellaEnv(4, n_distractor, render_mode="rgb_array")
    env.reset(seed=0)
    before = env.render()
    env.step(np.int64(1))
    after = env.render()
    assert before.shape == after.shape and before.shape[1:] == (320, 3) and before.dtype == np.uint8
    assert not np.array_equal(before, after)


def test_an_episode_depends_on_its_seed_and_the_seed_matters() -> None:
    env = UmbrellaEnv(chain_length=30)
    again = [env.reset(seed=seed)[0] for seed in (1, 2, 1)]
    assert np.array_equal(again[0], again[2])
    assert not np.array_equal(again[0], again[1])


def test_a_random_return_says_of_the_first_action_what_the_formula_says() -> None:
    """P(first action right | return R) = (1 + R / L) / 2 on random data; the return has the parity of L."""
    length = 6
    spec = get_spec("umbrella", chain_length=length, n_distractor=0)
    scores = spec.score(generate(spec, "random", 20_000, seed=3))
    for value in range(-length, length + 1, 2):
        chosen = scores["return"] == value
        right, expected = scores["first_action_accuracy"][chosen], (1 + value / length) / 2
        error = 4 * np.sqrt(expected * (1 - expected) / len(right)) + 1e-12
        assert abs(right.mean() - expected) <= error
    assert set(scores["return"] % 2) == {length % 2}


@pytest.mark.parametrize(
    ("recipe", "accuracy"), [("random", 0.5), ("medium", 0.75), ("expert", 1.0), ("mixed", 0.75), ("replay", 0.75)]
)
def test_recipes_take_the_right_first_action_as_often_as_they_say(recipe: str, accuracy: float) -> None:
    spec = get_spec("umbrella", chain_length=3, n_distractor=1)
    episodes = generate(spec, recipe, 8_000, seed=0)
    scores = spec.score(episodes)
    error = 4 * np.sqrt(accuracy * (1 - accuracy) / 8_000)
    assert abs(scores["first_action_accuracy"].mean() - accuracy) <= error
    assert np.array_equal(scores["regret"], 2 * (1 - scores["first_action_accuracy"]))
    later = episodes.actions[episodes.timesteps() > 0]
    assert abs(later.mean() - 0.5) < 0.02  # nobody copies the first action: that would be a memory


def test_regret_is_what_bsuite_counts() -> None:
    env = UmbrellaChain(4, 2, seed=5)
    total = 0.0
    spec = get_spec("umbrella", chain_length=4, n_distractor=2)
    episodes = generate(spec, "random", 50, seed=1)
    for begin, end in zip(episodes.starts[:-1], episodes.starts[1:], strict=True):
        env.reset()
        env._need_umbrella = int(episodes.observations[begin, 0])
        for action in episodes.actions[begin:end]:
            env.step(int(action))
    total = env.bsuite_info()["total_regret"]
    assert spec.score(episodes)["regret"].sum() == total


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chain_length": 0}, "env.chain_length is 0"),
        ({"n_distractor": -1}, "env.n_distractor is -1"),
        ({"chain_length": 2.5}, "env.chain_length is 2.5"),
        ({"chain_lenght": 5}, "Did you mean 'chain_length'"),
    ],
)
def test_a_bad_option_is_named_with_the_way_out(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        get_spec("umbrella", **options)
