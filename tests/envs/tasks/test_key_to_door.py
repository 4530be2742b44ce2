"""Key to door: twin against environment, exact chances against a second computation, and the probe's Bayes predictor."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.envs import get_spec
from dsbench.envs.data import generate
from dsbench.envs.spec import EnvSpec
from dsbench.envs.tasks import key_to_door_rooms as rooms
from dsbench.envs.tasks.key_to_door_env import KeyToDoorEnv
from dsbench.envs.vector import LoopedEpisodes
from dsbench.episodes import Episodes, Timestep, collect
from dsbench.errors import UsageError

SEEDS = [0, 1, 77, 2**33 + 5, 9, 10]


def _spec(**options: object) -> EnvSpec:
    return get_spec("key-to-door", **options)


@settings(max_examples=20, deadline=None)
@given(
    distractor_length=st.integers(0, 60),
    apples=st.booleans(),
    show_key=st.booleans(),
    skill=st.floats(0.5, 1.0),
    seed=st.integers(0, 2**32),
)
def test_the_twin_equals_the_environment_draw_for_draw(
    distractor_length: int, apples: bool, show_key: bool, skill: float, seed: int
) -> None:
    spec = _spec(distractor_length=distractor_length, apples=apples, show_key=show_key)
    seeds = [seed + other for other in SEEDS]
    twin, loop = spec.vector(seeds), LoopedEpisodes(spec.make, seeds)
    assert np.array_equal(twin.observations, loop.observations)
    generator = np.random.default_rng(seed)
    for t in range(spec.horizon + 2):  # past the end: rows that have ended stay as they are
        wise = spec.optimal(twin, t, generator.random((len(seeds), 2)), np.zeros(len(seeds)))
        actions = np.where(generator.random(len(seeds)) < skill, wise, generator.integers(4, size=len(seeds)))
        before = twin.observations
        for got, expected in zip(twin.step(actions), loop.step(actions), strict=True):
            assert np.array_equal(got, expected)
        assert twin.observations is not before


@pytest.mark.parametrize("options", [{}, {"apples": True, "show_key": True}])
def test_gymnasium_finds_nothing_wrong_and_an_episode_depends_on_its_seed_alone(options: dict[str, bool]) -> None:
    env = KeyToDoorEnv(**options, render_mode="rgb_array")
    check_env(env)
    again = [env.reset(seed=seed)[0] for seed in (1, 2, 1)]
    assert np.array_equal(again[0], again[2]) and not np.array_equal(again[0], again[1])


def test_every_room_has_its_own_picture() -> None:
    env = KeyToDoorEnv(distractor_length=2, apples=True, render_mode="rgb_array")
    env.reset(seed=0)
    pictures = []
    for _ in range(18):
        pictures.append(env.render())
        env.step(np.int64(1))
    assert all(picture.dtype == np.uint8 and picture.shape == pictures[0].shape for picture in pictures)
    assert len({pictures[t].tobytes() for t in (0, 15, 17)}) == 3


def _success_by_brute_force() -> float:
    """Random play's success from the plans alone, cell by cell in plain Python, over a joint walk of both phases."""

    def walk(floor: set[tuple[int, int]], start: tuple[int, int], goal: tuple[int, int]) -> float:
        mass, arrived = {start: 1.0}, 0.0
        for _ in range(15):
            after: dict[tuple[int, int], float] = {}
            for (row, column), share in mass.items():
                for down, right in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                    there = (row + down, column + right)
                    there = there if there in floor else (row, column)
                    after[there] = after.get(there, 0.0) + share / 4
            arrived += after.pop(goal, 0.0)
            mass = after
        return arrived

    upper = set(product((0, 1), range(5)))
    lower = set(product((3, 4), range(5)))
    first = upper | lower | {(2, 1), (2, 2), (2, 3)}
    last = set(product((1, 2, 3), range(3))) | {(0, 1)}
    key = np.mean([walk(first, start, goal) for start in lower for goal in upper])
    return float(key * walk(last, (2, 1), (0, 1)))


def test_random_play_succeeds_as_often_as_known() -> None:
    """2.8 % (Decision Transformer reports 3.1 % in rooms that it does not describe), by a second computation and by play."""
    exact = _spec().random_return
    assert exact == pytest.approx(_success_by_brute_force(), abs=1e-12)
    assert 0.028 <= exact <= 0.032
    episodes = generate(_spec(distractor_length=0), "random", 20_000, seed=3)
    assert abs(episodes.returns().mean() - exact) < 4 * np.sqrt(exact / 20_000)


def test_the_returns_with_apples_are_exact_too() -> None:
    spec = _spec(distractor_length=60, apples=True)
    for recipe, expected in (("random", spec.random_return), ("expert", spec.optimal_return)):
        returns = generate(spec, recipe, 4_000, seed=1).returns()
        assert abs(returns.mean() - expected) < 4 * returns.std() / np.sqrt(len(returns))


def test_an_apple_comes_back_after_its_time_and_pays_what_the_others_pay() -> None:
    env = KeyToDoorEnv(distractor_length=90, apples=True)
    env.reset(seed=3)
    for _ in range(15):
        env.step(np.int64(1))
    env.cell, env.bare_until, rewards = (0, 0), {(0, 0): 0}, []
    for _ in range(60):
        rewards.append(env.step(np.int64(0))[1])
    paid = np.flatnonzero(rewards)
    assert paid.tolist() == [0, 22, 44]  # bare for 20 moves, seen at the end of the 21st, taken by the next one
    assert {rewards[t] for t in paid} <= {1.0, 10.0} and len({rewards[t] for t in paid}) == 1


@pytest.mark.parametrize(
    ("recipe", "success", "slack"), [("expert", 1.0, 0.0), ("medium", 0.5, 0.05), ("mixed", 0.0767, 0.02)]
)
def test_recipes_succeed_as_often_as_they_say(recipe: str, success: float, slack: float) -> None:
    spec = _spec(distractor_length=0)
    assert abs(spec.score(generate(spec, recipe, 4_000, seed=0))["success"].mean() - success) <= slack


def test_the_expert_wastes_no_move_and_is_random_where_nothing_matters() -> None:
    spec = _spec(distractor_length=20)
    episodes = generate(spec, "expert", 2_000, seed=0)
    assert (episodes.lengths == 15 + 20 + 2).all()  # the door is two moves from the entrance
    between = episodes.actions[(episodes.timesteps() >= 15) & (episodes.timesteps() < 35)]
    assert np.abs(np.bincount(between, minlength=4) / len(between) - 0.25).max() < 0.01


def test_the_key_shows_in_the_first_phase_only_unless_asked_for() -> None:
    closed, open_ = (_spec(distractor_length=3, show_key=show) for show in (False, True))
    hidden = generate(closed, "medium", 500, seed=0)
    shown = generate(replace(open_, options=closed.options), "medium", 500, seed=0)  # the same streams
    later = hidden.timesteps() >= 15
    held = shown.observations[:, rooms.FEATURES] > 0  # type: ignore[index, call-overload]
    assert np.array_equal(hidden.observations, shown.observations[:, : rooms.FEATURES])  # type: ignore[index, call-overload]
    in_sight = hidden.observations[:, rooms.KEY_ROW : rooms.FEATURES].any(1)  # type: ignore[index, call-overload]
    assert np.array_equal(in_sight[~later], ~held[~later])
    assert not in_sight[later].any() and 0 < held[later].mean() < 1
    at_15 = shown.starts[:-1] + 15
    assert np.array_equal(_spec().score(hidden)["key"], held[at_15])


def _first_phases(actions: np.ndarray) -> Episodes:
    """Episodes of one start and key with these (E, 15) moves in the first phase, then any."""
    spec = _spec(distractor_length=0)
    seed = next(s for s in range(500) if rooms.PLACES[spec.vector([s]).place[0]][1] == (3, 4))  # type: ignore[attr-defined]
    twin, steps = spec.vector([seed] * len(actions)), []
    alive = np.ones(len(actions), bool)
    for t in range(30):
        seen, chosen = twin.observations, actions[:, t] if t < 15 else np.ones(len(actions), np.int64)
        after, rewards, terminated, truncated = twin.step(chosen)
        steps.append(Timestep(seen, chosen, rewards, terminated, truncated, alive, after))
    return collect(steps)


@pytest.mark.parametrize("recipe", ["random", "medium", "expert", "mixed", "replay"])
def test_the_probe_predicts_as_well_as_can_be(recipe: str) -> None:
    """Calibrated overall and within each tenth of its range, which only the true posterior is."""
    spec = _spec(distractor_length=0)
    assert spec.probe is not None
    episodes = generate(spec, recipe, 20_000, seed=5)
    chance, answer = spec.probe.bayes(episodes, recipe), spec.probe.label(episodes)
    assert ((chance >= 0) & (chance <= 1 + 1e-12)).all()
    for low in np.arange(0, 1, 0.1):
        bin_ = (chance >= low) & (chance < low + 0.1 + (low > 0.85))
        if bin_.any():
            slack = 4 * np.sqrt((chance[bin_] * (1 - chance[bin_])).sum()) / bin_.sum() + 1e-9
            assert abs(answer[bin_].mean() - chance[bin_].mean()) <= slack


def test_without_the_key_the_probe_says_no_and_at_random_it_says_one_chance_with_it() -> None:
    spec = _spec(distractor_length=0)
    assert spec.probe is not None
    episodes = generate(spec, "random", 3_000, seed=5)
    held = spec.score(episodes)["key"]
    assert np.array_equal(spec.probe.bayes(episodes, "random"), held * rooms.door_chance(1.0))
    with pytest.raises(UsageError, match="Did you mean 'random'"):
        spec.probe.bayes(episodes, "randon")


def test_the_mixture_weighs_qualities_by_bayes_rule() -> None:
    """Key two moves off by a wrong turn: no expert makes it, so the chance is that of random play."""
    spec = _spec(distractor_length=0)
    assert spec.probe is not None
    generator = np.random.default_rng(0)
    episodes = _first_phases(generator.integers(4, size=(2_000, 15)))
    chance = spec.probe.bayes(episodes, "mixed")
    held = spec.score(episodes)["key"] > 0
    first = episodes.actions[episodes.starts[:-1]]
    assert held.any() and np.allclose(
        chance[held & (first == 1)], rooms.door_chance(1.0)
    )  # south leads away from the key


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"distractor_length": -1}, "env.distractor_length is -1"),
        ({"distractor_length": 2.0}, "env.distractor_length is 2.0"),
        ({"apples": 1}, "env.apples is 1; expected true or false"),
        ({"show_keys": True}, "Did you mean 'show_key'"),
    ],
)
def test_a_bad_option_is_named_with_the_way_out(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        _spec(**options)


def test_the_yardstick_is_what_cloning_the_successes_by_counting_gives() -> None:
    spec = get_spec("key-to-door", distractor_length=0)
    episodes = generate(spec, "random", 10_000, seed=0)
    value = spec.yardsticks(episodes)["tabular_clone"]
    assert abs(value - 0.742) < 0.06  # facts of the layout: 74 % from 10,000 random walks
    failures = episodes.select(np.flatnonzero(episodes.returns() == 0))
    assert spec.yardsticks(failures) == {"tabular_clone": 0.0}
