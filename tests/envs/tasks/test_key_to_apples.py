"""Key to apples: twin against environment, exact returns, and that hiding the inventory takes memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.envs import get_spec
from dsbench.envs.data import generate
from dsbench.envs.spec import EnvSpec
from dsbench.envs.tabular import TabularClone, play
from dsbench.envs.tasks import key_to_apples_rooms as rooms
from dsbench.envs.tasks.key_to_apples_env import PLACE_FEATURES, KeyToApplesEnv
from dsbench.envs.vector import LoopedEpisodes
from dsbench.errors import UsageError

LEFT, RIGHT, UP, DOWN, PICK_UP, NEXT_ROOM = range(6)


def _spec(reveal_inventory: bool = False) -> EnvSpec:
    return get_spec("key-to-apples", reveal_inventory=reveal_inventory)


@settings(max_examples=15, deadline=None)
@given(reveal=st.booleans(), skill=st.floats(0.2, 1.0), seed=st.integers(0, 2**33))
def test_the_twin_equals_the_environment_draw_for_draw(reveal: bool, skill: float, seed: int) -> None:
    spec = _spec(reveal)
    seeds = [seed + other for other in range(5)]
    twin, loop = spec.vector(seeds), LoopedEpisodes(spec.make, seeds)
    assert np.array_equal(twin.observations, loop.observations)
    generator = np.random.default_rng(seed)
    for t in range(spec.horizon):
        wise = spec.optimal(twin, t, generator.random((len(seeds), 2)), np.zeros(len(seeds)))
        actions = np.where(generator.random(len(seeds)) < skill, wise, generator.integers(6, size=len(seeds)))
        before, running = twin.observations, ~twin.over  # type: ignore[attr-defined]
        got, expected = twin.step(actions), loop.step(actions)
        assert np.array_equal(got[0], expected[0]) and np.array_equal(got[1], expected[1])
        for one, other in zip(got[2:], expected[2:], strict=True):  # how an episode ended counts when it does
            assert np.array_equal(one[running], other[running])
        assert not got[1][~running].any()
        assert twin.observations is not before


@pytest.mark.parametrize("reveal", [False, True])
def test_gymnasium_finds_nothing_wrong_and_an_episode_depends_on_its_seed_alone(reveal: bool) -> None:
    env = KeyToApplesEnv(reveal, render_mode="rgb_array")
    check_env(env)
    again = [env.reset(seed=seed)[0] for seed in (1, 3, 1)]
    assert np.array_equal(again[0], again[2]) and not np.array_equal(again[0], again[1])


def _play(env: KeyToApplesEnv, actions: list[int]) -> list[float]:
    return [float(env.step(np.int64(action))[1]) for action in actions]


def test_the_rules_by_hand() -> None:
    env = KeyToApplesEnv(reveal_inventory=True)
    env.reset(seed=0)
    env.cell = 24  # the first door
    assert _play(env, [NEXT_ROOM]) == [0] and env.room == 0  # shut without the key
    env.cell = 0
    observation = env.step(np.int64(PICK_UP))[0]
    assert observation[PLACE_FEATURES] == 0 and observation[PLACE_FEATURES + 1 :].all()
    assert _play(env, [NEXT_ROOM]) == [0] and env.room == 0  # only in the door
    env.cell = 24
    assert _play(env, [NEXT_ROOM]) == [0] and (env.room, env.cell) == (1, 0)
    assert _play(env, [UP, RIGHT, DOWN, PICK_UP, PICK_UP]) == [0, 0, 0, 1, 0]  # an apple can be taken once
    env.cell = 24
    assert _play(env, [NEXT_ROOM]) == [0] and env.room == 1  # the first key does not open the second door
    env.cell = 22
    assert _play(env, [PICK_UP, RIGHT, RIGHT]) == [0, 0, 0]
    assert env.step(np.int64(NEXT_ROOM))[1:4] == (1.0, True, False)


def test_the_expert_takes_everything_from_every_start() -> None:
    spec = _spec()
    episodes = generate(spec, "expert", 3_000, seed=0)
    assert isinstance(episodes.observations, np.ndarray)
    assert len(np.unique(episodes.observations[episodes.starts[:-1]], axis=0)) == 25
    scores = spec.score(episodes)
    assert (scores["return"] == spec.optimal_return).all() and (scores["apples"] == 10).all()
    assert scores["third_room"].all() and episodes.lengths.max() < spec.horizon


def test_random_play_gains_what_was_computed() -> None:
    """The exact chains against 20,000 episodes; random data never shows the optimum, so a mixture is needed."""
    spec = _spec()
    returns = generate(spec, "random", 20_000, seed=1).returns()
    assert abs(returns.mean() - spec.random_return) < 4 * returns.std() / np.sqrt(len(returns))
    assert returns.max() < spec.optimal_return


@pytest.mark.parametrize(("recipe", "least", "most"), [("medium", 4.5, 6.5), ("mixed", 6.5, 8.5), ("replay", 6.5, 8.5)])
def test_recipes_are_as_good_as_they_say(recipe: str, least: float, most: float) -> None:
    spec = _spec()
    returns = generate(spec, recipe, 2_000, seed=0).returns()
    assert least < returns.mean() < most
    assert (returns == spec.optimal_return).any()  # there is something to find


def test_scores_count_apples_and_the_third_room() -> None:
    spec = _spec(reveal_inventory=True)
    episodes = generate(spec, "mixed", 500, seed=0)
    scores = spec.score(episodes)
    assert isinstance(episodes.final_observations, np.ndarray)
    left = episodes.final_observations[:, PLACE_FEATURES + 2 :].sum(1)
    assert np.array_equal(scores["apples"], 10 - left)
    assert np.array_equal(scores["third_room"], episodes.final_observations[:, PLACE_FEATURES - 1])
    assert np.array_equal(scores["return"], scores["apples"] + scores["third_room"])


def test_both_views_are_of_the_same_episodes() -> None:
    hidden = generate(_spec(False), "medium", 200, seed=0)
    revealed = generate(replace(_spec(True), options=_spec(False).options), "medium", 200, seed=0)  # the same streams
    assert np.array_equal(hidden.actions, revealed.actions)
    assert np.array_equal(hidden.observations, revealed.observations[:, :PLACE_FEATURES])  # type: ignore[index, call-overload]


@pytest.mark.parametrize("by_timestep", [False, True])
@pytest.mark.parametrize("decode", ["sample", "argmax"])
def test_no_memoryless_table_gets_far_unless_the_inventory_is_revealed(by_timestep: bool, decode: str) -> None:
    """Clones of flawless experts: what is lost is lost to hiding alone."""
    found = {}
    for reveal in (False, True):
        spec = _spec(reveal)
        clone = TabularClone(generate(spec, "expert", 3_000, seed=0), 6, by_timestep, decode)  # type: ignore[arg-type]
        found[reveal] = play(spec, clone, 500, seed=1).returns().mean()
    assert found[False] < 4 and found[True] > 10.5


def test_what_is_hidden_follows_from_the_history() -> None:
    """A policy that replays its own observations and actions knows all that the expert knows, and reaches 11 too."""
    spec = _spec()
    seeds = list(range(50))
    twin, left = spec.vector(seeds), np.full(50, rooms.ALL_LEFT)
    generator, total = np.random.default_rng(0), np.zeros(50)

    class Remembered:
        """What follows from the history; the twin's own `left` is never read."""

        action_mask = None

    for t in range(spec.horizon):
        seen = twin.observations
        assert isinstance(seen, np.ndarray)
        memory = Remembered()
        memory.cell = seen[:, 5:10].argmax(1) * 5 + seen[:, :5].argmax(1)  # type: ignore[attr-defined]
        memory.room, memory.left = seen[:, 10:].argmax(1), left  # type: ignore[attr-defined]
        actions = spec.optimal(memory, t, generator.random((50, 2)), np.zeros(50))
        item = rooms.ITEM_AT[memory.room, memory.cell]  # type: ignore[attr-defined]
        left = np.where((actions == PICK_UP) & (item >= 0), left & ~(1 << np.maximum(item, 0)), left)
        total += twin.step(actions)[1]
    assert (total == 11).all()


def test_every_room_has_its_own_picture() -> None:
    env = KeyToApplesEnv(render_mode="rgb_array")
    env.reset(seed=0)
    first = env.render()
    env.cell, env.left, env.room = 0, env.left - 1, 1
    second = env.render()
    assert (
        first.dtype == np.uint8
        and first.ndim == 3
        and first.shape == second.shape
        and not np.array_equal(first, second)
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reveal_inventory": "yes"}, "env.reveal_inventory is 'yes'; expected true or false"),
        ({"reveal": True}, "Did you mean 'reveal_inventory'"),
    ],
)
def test_a_bad_option_is_named_with_the_way_out(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        get_spec("key-to-apples", **options)
