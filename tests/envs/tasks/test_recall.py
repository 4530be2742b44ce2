"""Recall: twin against environment, the answer looked up from what was shown, and that nothing else tells it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.envs import get_spec
from dsbench.envs.data import generate
from dsbench.envs.tasks.recall import ASKED, KEYS, VALUES, RecallEnv, RecallEpisodes
from dsbench.envs.vector import LoopedEpisodes
from dsbench.episodes import Episodes
from dsbench.errors import UsageError

SEEDS = st.lists(st.integers(0, 2**40), min_size=1, max_size=5)
RECIPES = ["random", "medium", "expert", "mixed", "replay"]


def shown(episodes: Episodes) -> tuple[np.ndarray, np.ndarray]:
    """(E, n + 1) keys and values as they were seen."""
    seen = episodes.observations
    return seen["key"].reshape(len(episodes), -1), seen["value"].reshape(len(episodes), -1)


@settings(max_examples=25, deadline=None)
@given(pairs=st.integers(2, KEYS), seeds=SEEDS, action_seed=st.integers(0, 99))
def test_the_twin_equals_the_environment_draw_for_draw(pairs: int, seeds: list[int], action_seed: int) -> None:
    twin, loop = RecallEpisodes(seeds, pairs), LoopedEpisodes(lambda: RecallEnv(pairs), seeds)
    generator = np.random.default_rng(action_seed)
    for _ in range(pairs + 3):  # two timesteps past the end: rows that have ended stay as they are
        for key in ("key", "value"):
            assert np.array_equal(twin.observations[key], loop.observations[key])
        actions = generator.integers(VALUES, size=len(seeds))
        for got, expected in zip(twin.step(actions)[1:], loop.step(actions)[1:], strict=True):
            assert np.array_equal(got, expected)


@settings(max_examples=25, deadline=None)
@given(pairs=st.integers(2, KEYS), seed=st.integers(0, 2**40))
def test_the_key_asked_for_was_shown_once_and_the_answer_is_the_value_shown_with_it(pairs: int, seed: int) -> None:
    rewards = np.empty(VALUES)
    for answer in range(VALUES):
        env, memory = RecallEnv(pairs), {}
        seen = env.reset(seed=seed)[0]
        for _ in range(pairs):
            assert env.observation_space.contains(seen) and seen["value"] != ASKED
            memory[int(seen["key"])] = int(seen["value"])
            seen, reward, terminated, truncated, _ = env.step(np.int64(answer))
            assert (reward, terminated, truncated) == (0.0, False, False)
        assert seen["value"] == ASKED and len(memory) == pairs
        _, rewards[answer], terminated, truncated, _ = env.step(np.int64(answer))
        assert terminated and not truncated
    assert np.argmax(rewards) == memory[int(seen["key"])]


def test_spaces_are_the_same_at_every_size() -> None:
    spaces = {str(get_spec("recall", pairs=pairs).make().observation_space) for pairs in (2, 8, KEYS)}
    assert len(spaces) == 1


@pytest.mark.parametrize("pairs", [2, KEYS])
def test_gymnasium_finds_nothing_wrong_and_an_episode_depends_on_its_seed_alone(pairs: int) -> None:
    env = RecallEnv(pairs, render_mode="rgb_array")
    check_env(env)
    twice = RecallEpisodes([1, 2, 1], pairs)
    keys, values = twice.keys.T.tolist(), twice.values.T.tolist()
    assert (keys[0], values[0]) == (keys[2], values[2]) != (keys[1], values[1])


@settings(max_examples=10, deadline=None)
@given(seeds=SEEDS)
def test_the_stated_returns_are_the_mean_over_all_answers_and_that_of_the_right_one(seeds: list[int]) -> None:
    """Every sequence of actions of an episode of two pairs, each as likely as any other at random."""
    spec = get_spec("recall", pairs=2)
    returns = []
    for actions in product(range(VALUES), repeat=spec.horizon):
        env = spec.vector(seeds)
        returns.append(sum(env.step(np.full(len(seeds), action))[1].astype(np.float64) for action in actions))
    assert np.mean(returns, 0) == pytest.approx(spec.random_return, abs=1e-7)
    assert np.max(returns, 0) == pytest.approx(spec.optimal_return, abs=0)
    assert (np.mean(np.array(returns) > 0, 0) == spec.chance).all()


@pytest.mark.parametrize(
    ("recipe", "share"), [("random", 0.25), ("medium", 0.625), ("expert", 1.0), ("mixed", 0.625), ("replay", 0.625)]
)
def test_recipes_answer_right_as_often_as_they_say(recipe: str, share: float) -> None:
    spec = get_spec("recall", pairs=3)
    episodes = generate(spec, recipe, 8_000, seed=0)
    scores = spec.score(episodes)
    assert abs(scores["correct"].mean() - share) <= 4 * np.sqrt(share * (1 - share) / 8_000)
    assert scores["return"] == pytest.approx((4 * scores["correct"] - 1) / 3)
    keys, values = shown(episodes)
    asked = np.argmax(keys[:, :-1] == keys[:, -1:], 1)
    right = values[np.arange(len(values)), asked] == episodes.actions[episodes.ends]
    assert np.array_equal(scores["correct"], right)
    assert (spec.score(episodes.heads(2))["correct"] == 0).all()  # cut before the question


@pytest.mark.parametrize("recipe", RECIPES)
def test_neither_place_nor_key_nor_an_earlier_action_tells_the_answer(recipe: str) -> None:
    """Each is independent of it, so only the pairs, gone by then, can say what to answer."""
    pairs, made = 5, 20_000
    episodes = generate(get_spec("recall", pairs=pairs), recipe, made, seed=1)
    keys, values = shown(episodes)
    rows, asked = np.arange(made), np.argmax(keys[:, :-1] == keys[:, -1:], 1)
    answers, actions = values[rows, asked], episodes.actions.reshape(made, -1)
    assert (values[:, -1] == ASKED).all()
    for share, counts in (
        (1 / pairs, np.bincount(asked, minlength=pairs)),
        (1 / VALUES, np.bincount(answers, minlength=VALUES)),
        (1 / KEYS, np.bincount(keys[:, -1], minlength=KEYS)),
        (1 / KEYS, np.bincount(keys[:, 0], minlength=KEYS)),
    ):
        assert np.abs(counts / made - share).max() <= 4.5 * np.sqrt(share / made)
    for t in range(pairs):  # values of other pairs, and earlier actions
        others = rows[asked != t]
        for seen in (values[others, t], actions[others, t], keys[others, t] % VALUES, keys[others, -1] % VALUES):
            assert abs((seen == answers[others]).mean() - 0.25) <= 4.5 * np.sqrt(0.1875 / len(others))


def test_the_expert_is_optimal_at_every_size() -> None:
    for pairs in (2, 9, KEYS):
        spec = get_spec("recall", pairs=pairs)
        assert (generate(spec, "expert", 50, seed=0).returns() == spec.optimal_return).all()


def test_a_picture_shows_the_pair_and_then_the_question() -> None:
    env = RecallEnv(3, render_mode="rgb_array")
    env.reset(seed=0)
    pictures = [env.render()]
    for _ in range(4):
        env.step(np.int64(1))
        pictures.append(env.render())
    assert {(picture.shape, picture.dtype) for picture in pictures} == {((120, 320, 3), np.dtype(np.uint8))}
    assert len({picture.tobytes() for picture in pictures}) == 5  # three pairs, the question, the answer


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pairs": 1}, "env.pairs is 1; expected an integer from 2 to 64"),
        ({"pairs": 65}, "env.pairs is 65"),
        ({"pairs": 8.0}, "env.pairs is 8.0"),
        ({"pair": 8}, "Did you mean 'pairs'"),
    ],
)
def test_a_bad_option_is_named_with_the_way_out(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        get_spec("recall", **options)
