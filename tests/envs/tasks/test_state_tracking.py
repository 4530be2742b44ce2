"""State tracking: places against sympy's permutations and against matrices, chance by enumeration, and the copy trap."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy.combinatorics import Permutation, PermutationGroup

from dsbench.config import resolve
from dsbench.config.presets import PRESETS
from dsbench.envs import get_spec
from dsbench.envs.data import generate
from dsbench.envs.tasks.state_tracking import ITEMS, StateTrackingEnv, StateTrackingEpisodes, letters_of, word_of
from dsbench.envs.vector import LoopedEpisodes
from dsbench.errors import UsageError

GROUPS, ASKED = st.sampled_from(list(ITEMS)), st.sampled_from(["end", "always"])
SEEDS = st.lists(st.integers(0, 2**40), min_size=1, max_size=5)
ORDERS = {"parity": 2, "s3": 6, "s5": 120}


@settings(max_examples=25, deadline=None)
@given(group=GROUPS, asked=ASKED, length=st.integers(2, 9), seeds=SEEDS, action_seed=st.integers(0, 99))
def test_the_twin_equals_the_environment_draw_for_draw(
    group: str, asked: str, length: int, seeds: list[int], action_seed: int
) -> None:
    word = word_of(group, length, asked)
    twin, loop = StateTrackingEpisodes(seeds, word), LoopedEpisodes(lambda: StateTrackingEnv(word), seeds)
    assert np.array_equal(twin.observations, loop.observations)
    generator = np.random.default_rng(action_seed)
    for _ in range(length + 2):  # two timesteps past the end: rows that have ended stay as they are
        actions = generator.integers(word.items, size=len(seeds))
        for got, expected in zip(twin.step(actions), loop.step(actions), strict=True):
            assert np.array_equal(got, expected)


@pytest.mark.parametrize("group", ITEMS)
def test_letters_generate_the_group_and_lead_from_each_place_to_each_other_equally_often(group: str) -> None:
    items = ITEMS[group]
    letters = letters_of(items)
    assert PermutationGroup([Permutation(letter.tolist()) for letter in letters]).order() == ORDERS[group]
    assert len(np.unique(letters, axis=0)) == len(letters)
    for place in range(items):
        assert set(np.bincount(letters[:, place], minlength=items)) == {len(letters) // items}
    signs = {Permutation(letter.tolist()).signature() for letter in letters}
    assert signs == {1, -1}  # the timestep does not tell the sign of the product
    assert len(letters) == ORDERS[group] or group == "s5"


@settings(max_examples=25, deadline=None)
@given(group=GROUPS, asked=ASKED, length=st.integers(2, 12), seed=st.integers(0, 2**40))
def test_the_right_answer_is_what_sympy_and_matrices_say_of_the_product(
    group: str, asked: str, length: int, seed: int
) -> None:
    word, items = word_of(group, length, asked), ITEMS[group]
    env, whole, matrix, total = StateTrackingEnv(word), Permutation(items - 1), np.eye(items), 0.0
    letter = env.reset(seed=seed)[0]
    for t in range(length):
        moves = letters_of(items)[letter]
        whole = whole * Permutation(moves.tolist())  # sympy applies the left factor first
        matrix = np.eye(items)[:, moves] @ matrix
        place = whole(0)
        assert matrix[:, 0].argmax() == place
        letter, reward, terminated, truncated, _ = env.step(np.int64(place))
        counts = t > 0 if asked == "always" else t == length - 1
        assert (reward > 0) == counts and terminated == (t == length - 1) and not truncated
        total += reward
    assert total == pytest.approx(1)


@pytest.mark.parametrize(("group", "length"), [("parity", 6), ("s3", 4), ("s5", 3)])
def test_no_answer_to_the_present_letter_is_better_than_another(group: str, length: int) -> None:
    """All words at once: from the second timestep on each place is as frequent as any other after every letter."""
    letters, items = letters_of(ITEMS[group]), ITEMS[group]
    words = np.array(list(product(range(len(letters)), repeat=length)))
    place = letters[words[:, 0], 0]
    for t in range(1, length):
        place = letters[words[:, t], place]
        table = np.zeros((len(letters), items), int)
        np.add.at(table, (words[:, t], place), 1)
        assert len(np.unique(table)) == 1


@pytest.mark.parametrize("asked", ["end", "always"])
@pytest.mark.parametrize(("group", "length"), [("parity", 5), ("s3", 4), ("s5", 3)])
def test_the_stated_returns_are_the_mean_over_all_answers_and_that_of_the_right_ones(
    group: str, length: int, asked: str
) -> None:
    spec, seeds = get_spec("state-tracking", group=group, length=length, asked=asked), [0, 1, 2**33 + 5]
    returns, right = [], []
    for actions in product(range(ITEMS[group]), repeat=length):
        env = spec.vector(seeds)
        rewards = np.array([env.step(np.full(len(seeds), action))[1] for action in actions], np.float64)
        returns.append(rewards.sum(0))
        right.append((rewards > 0).sum(0) / (length - 1 if asked == "always" else 1))
    assert np.mean(returns, 0) == pytest.approx(spec.random_return, abs=1e-7)
    assert np.max(returns, 0) == pytest.approx(spec.optimal_return, abs=1e-6)
    assert np.mean(right, 0) == pytest.approx(spec.chance) and spec.chance == 1 / ITEMS[group]


@pytest.mark.parametrize("asked", ["end", "always"])
@pytest.mark.parametrize("group", ITEMS)
@pytest.mark.parametrize("recipe", ["random", "medium", "expert", "mixed", "replay"])
def test_recipes_answer_right_as_often_as_they_say(group: str, asked: str, recipe: str) -> None:
    spec, made = get_spec("state-tracking", group=group, length=6, asked=asked), 4_000
    share = spec.chance + (1 - spec.chance) * {"random": 0, "expert": 1}.get(recipe, 0.5)
    episodes = generate(spec, recipe, made, seed=0)
    scores = spec.score(episodes)
    assert abs(scores["correct"].mean() - share) <= 4 * scores["correct"].std() / np.sqrt(made) + 1e-12
    assert scores["return"] == pytest.approx((scores["correct"] - spec.chance) / (1 - spec.chance), abs=1e-6)
    letters, actions = episodes.observations.reshape(made, 6), episodes.actions.reshape(made, 6)
    place, right = np.zeros(made, int), np.zeros((made, 6))
    for t in range(6):
        place = letters_of(ITEMS[group])[letters[:, t], place]
        right[:, t] = actions[:, t] == place
    counted = right[:, 1:] if asked == "always" else right[:, 5:]
    assert np.array_equal(scores["correct"], counted.mean(1))


def test_the_expert_is_optimal_and_acts_at_random_where_no_answer_counts() -> None:
    for asked, silent in (("always", 1), ("end", 7)):
        spec = get_spec("state-tracking", group="s3", length=8, asked=asked)
        episodes = generate(spec, "expert", 4_000, seed=0)
        assert spec.score(episodes)["correct"].min() == 1
        place, right = np.zeros(4_000, int), np.zeros((8, 4_000))
        letters, actions = (array.reshape(-1, 8) for array in (episodes.observations, episodes.actions))
        for t in range(8):
            place = letters_of(3)[letters[:, t], place]
            right[t] = actions[:, t] == place
        assert np.abs(right[:silent].mean(1) - 1 / 3).max() <= 4 * np.sqrt(2 / 9 / 4_000)
        assert right[silent:].all()


@pytest.mark.parametrize("group", ITEMS)
def test_who_sees_the_last_answer_remembers_nothing_and_is_right(group: str) -> None:
    """Why this task hides it: the right answer is a function of the last one and the present letter."""
    episodes = generate(get_spec("state-tracking", group=group, length=12), "expert", 500, seed=0)
    letters, actions = (array.reshape(-1, 12) for array in (episodes.observations, episodes.actions))
    assert np.array_equal(letters_of(ITEMS[group])[letters[:, 2:], actions[:, 1:-1]], actions[:, 2:])


@pytest.mark.parametrize("preset", ["smoke", "quick", "paper"])
def test_the_previous_action_is_hidden_from_everybody(preset: str) -> None:
    assert preset in PRESETS
    for asked in ("end", "always"):
        config = resolve(preset=preset, backbone="lstm", env="state-tracking", overrides=[f"env.asked={asked}"])
        assert config.wrapper.previous_action is False


def test_gymnasium_finds_nothing_wrong_and_an_episode_depends_on_its_seed_alone() -> None:
    word = word_of("s5", 20, "always")
    check_env(StateTrackingEnv(word, render_mode="rgb_array"))
    letters = word.draw([1, 2, 1]).T.tolist()
    assert letters[0] == letters[2] != letters[1]


@pytest.mark.parametrize("group", ITEMS)
def test_a_picture_shows_letter_and_answer(group: str) -> None:
    env = StateTrackingEnv(word_of(group, 3, "always"), render_mode="rgb_array")
    env.reset(seed=0)
    pictures = [env.render()]
    for _ in range(3):
        env.step(np.int64(1))
        pictures.append(env.render())
    assert {(picture.shape, picture.dtype) for picture in pictures} == {((180, 320, 3), np.dtype(np.uint8))}
    assert len({picture.tobytes() for picture in pictures}) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"group": "s4"}, "env.group is 's4'; expected one of parity, s3, s5"),
        ({"group": 2}, "env.group is 2"),
        ({"length": 1}, "env.length is 1; expected an integer from 2"),
        ({"length": True}, "env.length is True"),
        ({"asked": "never"}, "env.asked is 'never'; expected one of end, always"),
        ({"lenght": 5}, "Did you mean 'length'"),
    ],
)
def test_a_bad_option_is_named_with_the_way_out(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        get_spec("state-tracking", **options)
