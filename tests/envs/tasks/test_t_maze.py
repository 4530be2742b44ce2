"""The T-maze: twin against environment, exact returns over all ways, and that the junction does not tell the turn."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.envs import get_spec
from dsbench.envs.data import generate
from dsbench.envs.tasks.t_maze import (
    DOWN,
    FLAG,
    HINT,
    LEFT,
    MAX_CORRIDOR,
    N_ACTIONS,
    NOISE,
    RIGHT,
    UP,
    TMazeEnv,
    TMazeEpisodes,
    Y,
)
from dsbench.envs.vector import LoopedEpisodes
from dsbench.errors import UsageError
from dsbench.rollout import evaluate_scripted

SEEDS = st.lists(st.integers(0, 2**40), min_size=1, max_size=5)
RECIPES = ["random", "medium", "expert", "mixed", "replay"]


@settings(max_examples=25, deadline=None)
@given(corridor=st.integers(1, 9), seeds=SEEDS, skill=st.floats(0, 1), action_seed=st.integers(0, 99))
def test_the_twin_equals_the_environment_draw_for_draw(
    corridor: int, seeds: list[int], skill: float, action_seed: int
) -> None:
    twin, loop = TMazeEpisodes(seeds, corridor), LoopedEpisodes(lambda: TMazeEnv(corridor), seeds)
    assert np.array_equal(twin.observations, loop.observations)
    generator = np.random.default_rng(action_seed)
    for _ in range(corridor + 3):  # two timesteps past the end: rows that have ended stay as they are
        wise = np.where(twin.on_junction, UP, RIGHT)
        actions = np.where(generator.random(len(seeds)) < skill, wise, generator.integers(4, size=len(seeds)))
        for got, expected in zip(twin.step(actions), loop.step(actions), strict=True):
            assert np.array_equal(got, expected)


@settings(max_examples=15, deadline=None)
@given(trained=st.integers(1, 9), seeds=SEEDS, action_seed=st.integers(0, 99))
def test_a_row_of_data_is_an_episode_of_a_corridor_of_its_own_length(
    trained: int, seeds: list[int], action_seed: int
) -> None:
    twin = TMazeEpisodes(seeds, trained, mixed=True)
    envs = [TMazeEnv(int(length)) for length in twin.corridor]
    seen = [env.reset(seed=seed)[0] for env, seed in zip(envs, seeds, strict=True)]
    assert np.array_equal(twin.observations, seen)
    generator, over = np.random.default_rng(action_seed), np.zeros(len(seeds), bool)
    for _ in range(trained + 2):
        actions = np.where(generator.random(len(seeds)) < 0.9, np.where(twin.on_junction, DOWN, RIGHT), LEFT)
        rewards = np.zeros(len(seeds))
        for row in np.flatnonzero(~over):
            seen[row], rewards[row], over[row], _, _ = envs[row].step(actions[row])
        got = twin.step(actions)
        assert np.array_equal(got[0], seen) and np.array_equal(got[1], rewards) and np.array_equal(got[2], over)
    assert over.all()


def test_the_rules_by_hand() -> None:
    env = TMazeEnv(2)
    seed = next(seed for seed in range(20) if env.reset(seed=seed)[0][HINT] == -1)

    def played(*actions: int) -> tuple[list[list[float]], float, bool]:
        env.reset(seed=seed)
        steps = [env.step(np.int64(action)) for action in actions]
        return [step[0].tolist()[:3] for step in steps], sum(float(step[1]) for step in steps), steps[-1][2]

    assert played(RIGHT, RIGHT, DOWN) == ([[0, 0, 0], [0, 0, 1], [-1, 0, 0]], 1.0, True)
    assert played(RIGHT, RIGHT, UP) == ([[0, 0, 0], [0, 0, 1], [1, 0, 0]], 0.0, True)
    assert played(RIGHT, RIGHT, RIGHT) == ([[0, 0, 0], [0, 0, 1], [0, 0, 1]], 0.0, True)  # a wall
    assert played(RIGHT, RIGHT, LEFT) == ([[0, 0, 0], [0, 0, 1], [0, 0, 0]], 0.0, True)
    assert played(RIGHT, UP, RIGHT) == ([[0, 0, 0], [0, 0, 0], [0, 0, 1]], 0.0, True)  # there, and too late
    assert played(LEFT, DOWN) == ([[0, 0, 0], [0, 0, 0]], 0.0, False)


@pytest.mark.parametrize("corridor", [1, 2, 3, 4])
def test_of_all_ways_one_in_four_to_the_power_of_their_length_wins(corridor: int) -> None:
    spec, seeds = get_spec("t-maze", corridor=corridor), [0, 1, 77, 2**33 + 5]
    returns = []
    for actions in product(range(N_ACTIONS), repeat=spec.horizon):
        env = spec.vector(seeds)
        returns.append(sum(env.step(np.full(len(seeds), action))[1] for action in actions))
    assert (np.mean(returns, 0, np.float64) == spec.random_return).all()
    assert (np.max(returns, 0) == spec.optimal_return).all()
    assert spec.random_return == 4.0 ** -(corridor + 1)


def test_the_measures_tell_who_turned_wrong_from_who_did_not_arrive() -> None:
    spec = get_spec("t-maze", corridor=5)
    expected = {"expert": (1, 1), "medium": (0.5, 1), "random": (4.0**-6, 4.0**-5), "mixed": (0.5, 2 / 3)}
    for recipe, means in expected.items():
        scores = spec.score(generate(spec, recipe, 10_000, seed=0))
        assert np.array_equal(scores["success"], scores["return"])
        assert (scores["success"] <= scores["reached"]).all()
        for measure, mean in zip(("success", "reached"), means, strict=True):
            error = 4 * np.sqrt(mean * (1 - mean) / 10_000)
            assert abs(scores[measure].mean() - mean) <= error + 1e-3, (recipe, measure)
    assert spec.chance == 0.5 and spec.foot == pytest.approx(0.55)


def test_of_a_replay_those_win_whose_every_action_was_right() -> None:
    spec = get_spec("t-maze", corridor=3)
    scores = spec.score(generate(spec, "replay", 20_000, seed=0))
    exact = 4 / (3 * 5) * (1 - 0.25**5)  # of (1 - 3/4 e)^4, e evenly from 0 to 1
    assert abs(scores["success"].mean() - exact) <= 4 * np.sqrt(exact / 20_000)


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_is_seen_and_was_done_at_the_junction_does_not_tell_the_turn(recipe: str) -> None:
    episodes = generate(get_spec("t-maze", corridor=2), recipe, 30_000, seed=1)
    seen, actions = episodes.observations.reshape(-1, 3, 4), episodes.actions.reshape(-1, 3)
    there = seen[:, 2, FLAG] == 1
    assert there.sum() > 1_000 and (actions[there, :2] == RIGHT).all()
    above = seen[there, 0, HINT] > 0
    assert (seen[:, 1:, HINT] == 0).all() and (seen[:, :, Y] == 0).all()
    for noise in (-1, 0, 1):  # all that varies
        share = above[seen[there, 2, NOISE] == noise].mean()
        assert abs(share - 0.5) <= 4 * 0.5 / np.sqrt(there.sum() / 3)


def test_hints_and_noise_are_drawn_evenly() -> None:
    seen = generate(get_spec("t-maze", corridor=2), "expert", 9_000, seed=0).observations.reshape(-1, 3, 4)
    assert abs((seen[:, 0, HINT] > 0).mean() - 0.5) <= 4 * 0.5 / np.sqrt(9_000)
    for t, noise in product(range(3), (-1, 0, 1)):
        assert abs((seen[:, t, NOISE] == noise).mean() - 1 / 3) <= 4 * np.sqrt(2 / 9 / 9_000)


@pytest.mark.parametrize(("corridor", "trained"), [(40, 6), (6, 6), (2, 6)])
def test_data_has_all_lengths_up_to_the_trained_one_and_evaluation_the_asked_one(corridor: int, trained: int) -> None:
    spec = get_spec("t-maze", corridor=corridor, trained=trained)
    episodes = generate(spec, "expert", 6_000, seed=0)  # held to the contract of data
    shares = np.bincount(episodes.lengths - 1, minlength=trained + 1) / 6_000
    assert len(shares) == trained + 1 and shares[0] == 0
    assert np.abs(shares[1:] - 1 / trained).max() <= 4 * np.sqrt(1 / trained / 6_000)
    assert (spec.score(episodes)["success"] == 1).all()
    scores = evaluate_scripted(spec.optimal, spec, split="eval", episodes=20, seed=0)
    assert scores.means() == {"return": 1.0, "success": 1.0, "reached": 1.0}
    assert (spec.vector([0, 1]).corridor == corridor).all()  # type: ignore[attr-defined]


def test_the_expert_is_optimal_in_the_longest_corridor() -> None:
    spec = get_spec("t-maze", corridor=MAX_CORRIDOR, trained=150)
    assert spec.random_return == 0 and spec.horizon == MAX_CORRIDOR + 1
    assert evaluate_scripted(spec.optimal, spec, split="eval", episodes=10, seed=0).means()["success"] == 1


def test_an_episode_depends_on_its_seed_and_on_no_generator_of_numpy() -> None:
    state = np.random.get_state()[1].tolist()
    first, again = TMazeEpisodes([1, 2], 40), TMazeEpisodes([2, 1], 40)
    assert np.array_equal(first.noise, again.noise[::-1]) and np.array_equal(first.goal, again.goal[::-1])
    assert not np.array_equal(first.noise[0], first.noise[1])
    assert np.random.get_state()[1].tolist() == state


def test_gymnasium_finds_nothing_wrong() -> None:
    check_env(TMazeEnv(render_mode="rgb_array"))


@pytest.mark.parametrize("corridor", [1, 30, MAX_CORRIDOR])
def test_a_picture_of_any_corridor_has_one_size_and_follows_the_way(corridor: int) -> None:
    env = TMazeEnv(corridor, render_mode="rgb_array")
    env.reset(seed=0)
    pictures = [env.render()]
    for action in [RIGHT] * min(corridor, 400) + [UP]:
        env.step(np.int64(action))
    pictures.append(env.render())
    assert {(picture.shape, picture.dtype) for picture in pictures} == {((130, 320, 3), np.dtype(np.uint8))}
    assert (pictures[0] != pictures[1]).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"corridor": 0}, "env.corridor is 0; expected an integer from 1 to 9600"),
        ({"corridor": 9_601}, "env.corridor is 9601"),
        ({"trained": 0}, "env.trained is 0; expected an integer from 1 to 9600"),
        ({"trained": False}, "env.trained is False"),
        ({"corridors": 5}, "Did you mean 'corridor'"),
    ],
)
def test_a_bad_option_is_named_with_the_way_out(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        get_spec("t-maze", **options)
