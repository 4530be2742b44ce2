"""DoorKey: the tables against minigrid itself, its returns against exact dynamic programming."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from minigrid.envs.doorkey import DoorKeyEnv as MinigridEnv

from dsbench.envs import get_spec
from dsbench.envs.behaviour import noisy
from dsbench.envs.data import generate
from dsbench.envs.tasks.door_key import DoorKeyEnv, encode
from dsbench.envs.tasks.door_key_episodes import DoorKeyEpisodes
from dsbench.envs.tasks.door_key_planner import expert
from dsbench.envs.tasks.door_key_states import CLOSED, PICKUP, TOGGLE, tables
from dsbench.envs.vector import LoopedEpisodes
from dsbench.errors import UsageError


@settings(max_examples=12, deadline=None)
@given(
    size=st.sampled_from([5, 6, 8]),
    seeds=st.lists(st.integers(0, 2**33), min_size=2, max_size=4),
    epsilon=st.sampled_from([0.3, 0.7, 0.9, 1.0]),
    action_seed=st.integers(0, 99),
)
def test_the_twin_equals_a_loop_over_minigrid(size: int, seeds: list[int], epsilon: float, action_seed: int) -> None:
    """With an expert that errs, so that doors are opened and shut, keys dropped and some goals reached."""
    twin, loop = DoorKeyEpisodes(seeds, size), LoopedEpisodes(lambda: DoorKeyEnv(size), seeds)
    assert np.array_equal(twin.observations, loop.observations)
    behaviour, generator = noisy(expert, 7, epsilon), np.random.default_rng(action_seed)
    for timestep in range(120):
        actions = behaviour(twin, timestep, generator.random((len(seeds), 2)), np.zeros(len(seeds)))
        for got, expected in zip(twin.step(actions), loop.step(actions), strict=True):
            assert np.array_equal(got, expected)
            assert got.dtype == expected.dtype


def test_the_time_limit_is_minigrids_and_ended_rows_stay_as_they_are() -> None:
    seeds = [3, 4]
    twin, loop = DoorKeyEpisodes(seeds, 5), LoopedEpisodes(lambda: DoorKeyEnv(5), seeds)
    for timestep in range(253):  # row 0 goes to the goal, row 1 turns on the spot until the limit and beyond
        first = expert(twin, timestep, np.zeros((2, 2)), np.zeros(2))[0]
        actions = np.array([first, 0])
        for got, expected in zip(twin.step(actions), loop.step(actions), strict=True):
            assert np.array_equal(got, expected)


def test_the_equality_test_meets_what_is_rare() -> None:
    """The noisy expert of the test above drops keys, in either room, and shuts doors again."""
    twin = DoorKeyEpisodes(range(60), 6)
    shape, generator, behaviour = tables(6).shape, np.random.default_rng(0), noisy(expert, 7, 0.8)
    dropped_beyond = shut = False
    for timestep in range(120):
        twin.step(behaviour(twin, timestep, generator.random((60, 2)), np.zeros(60)))
        states = shape.states(twin.states)
        key_x = states.key % shape.inside + 1
        dropped_beyond |= bool(((states.key != shape.carried) & (key_x > states.split)).any())
        shut |= bool((states.door == CLOSED).any())
    assert dropped_beyond and shut


@pytest.mark.parametrize("size", [5, 8])
def test_a_vector_tells_what_minigrid_tells(size: int) -> None:
    """Two pictures that differ have vectors that differ, and the colours and the mission never say more."""
    env, generator = MinigridEnv(size), np.random.default_rng(size)
    meaning: dict[bytes, bytes] = {}
    behaviour = noisy(expert, 7, 0.7)
    for seed in range(25):
        raw, _ = env.reset(seed=seed)
        twin = DoorKeyEpisodes([seed], size)
        for timestep in range(60):
            whole = raw["image"].tobytes() + bytes([raw["direction"]]) + raw["mission"].encode()
            assert meaning.setdefault(encode(raw).tobytes(), whole) == whole
            action = behaviour(twin, timestep, generator.random((1, 2)), np.zeros(1))
            twin.step(action)
            raw, _, terminated, _, _ = env.step(int(action[0]))
            if terminated:
                break
    assert len(meaning) > 100


@pytest.mark.filterwarnings("ignore:.*render_fps.*")
def test_gymnasium_finds_nothing_wrong() -> None:
    check_env(DoorKeyEnv(5, render_mode="rgb_array"))


@pytest.mark.parametrize("size", [5, 6, 8])
def test_a_picture_is_about_320_pixels_wide(size: int) -> None:
    env = DoorKeyEnv(size, render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert picture.dtype == np.uint8
    assert picture.shape == (320 // size * size, 320 // size * size, 3)


def test_an_episode_depends_on_its_seed_and_the_seed_matters() -> None:
    env = DoorKeyEnv(8)
    again = [env.reset(seed=seed)[0] for seed in (1, 2, 1)]
    assert np.array_equal(again[0], again[2])
    assert not np.array_equal(again[0], again[1])
    env.reset(seed=1)
    unseeded = [env.reset()[0].tobytes() for _ in range(10)]
    assert len(set(unseeded)) > 1
    env.reset(seed=1)
    assert [env.reset()[0].tobytes() for _ in range(10)] == unseeded


def test_the_example_of_the_docstring() -> None:
    env = DoorKeyEnv(5)
    env.reset(seed=1)
    steps = [env.step(np.int64(action)) for action in (PICKUP, 0, TOGGLE, 2, 2, 1, 2)]
    assert [step[2] for step in steps] == [False] * 6 + [True]
    assert steps[-1][1] == pytest.approx(0.9748)


def test_recorded_observations_are_not_written_again() -> None:
    twin = DoorKeyEpisodes(range(5), 5)
    seen = twin.observations
    before = np.array(seen)
    twin.step(np.full(5, 0))
    assert np.array_equal(seen, before)


@pytest.mark.parametrize(
    ("recipe", "low", "high"),
    [
        ("random", 0.01, 0.06),
        ("medium", 0.87, 0.91),
        ("expert", 0.963, 0.966),
        ("mixed", 0.63, 0.71),
        ("replay", 0.76, 0.83),
    ],
)
def test_recipes_are_as_good_as_they_say(recipe: str, low: float, high: float) -> None:
    spec = get_spec("door-key")
    episodes = generate(spec, recipe, 1000, seed=0)
    scores = spec.score(episodes)
    assert low < scores["return"].mean() < high
    last = episodes.ends
    assert np.array_equal(scores["success"] > 0, episodes.terminated[last])
    assert episodes.lengths.max() <= spec.horizon


def test_mixed_data_shows_every_action_and_has_both_random_and_expert_episodes() -> None:
    spec = get_spec("door-key")
    episodes = generate(spec, "mixed", 300, seed=0)
    assert set(episodes.actions) == set(range(7))
    assert (episodes.returns() == 0).mean() > 0.1
    assert (episodes.returns() > 0.94).mean() > 0.2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 7}, "env.size is 7; expected one of 5, 6, 8"),
        ({"size": "5"}, "env.size is '5'"),
        ({"sise": 5}, "Did you mean 'size'"),
    ],
)
def test_a_bad_option_is_named_with_the_way_out(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        get_spec("door-key", **options)
