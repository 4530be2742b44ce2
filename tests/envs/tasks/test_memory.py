"""The memory chain against bsuite itself, and the facts that make it a test of memory."""

from __future__ import annotations

import numpy as np
import pytest
from bsuite.environments.memory_chain import MemoryChain
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.envs import get_spec
from dsbench.envs.data import generate
from dsbench.envs.tasks.memory import MemoryEnv, MemoryEpisodes
from dsbench.envs.vector import LoopedEpisodes
from dsbench.errors import UsageError

SEEDS = [0, 1, 77, 2**33 + 5]


@settings(max_examples=25, deadline=None)
@given(
    memory_length=st.integers(1, 8),
    num_bits=st.integers(1, 17),
    seeds=st.lists(st.integers(0, 2**40), min_size=1, max_size=5),
    action_seed=st.integers(0, 99),
)
def test_the_batched_twin_equals_bsuite_draw_for_draw(
    memory_length: int, num_bits: int, seeds: list[int], action_seed: int
) -> None:
    originals = [MemoryChain(memory_length, num_bits, seed=seed % 2**32) for seed in seeds]
    first = np.stack([env.reset().observation[0] for env in originals])
    twin = MemoryEpisodes(seeds, memory_length, num_bits)
    assert np.array_equal(twin.observations, first)
    generator = np.random.default_rng(action_seed)
    for _ in range(memory_length + 1):
        actions = generator.integers(2, size=len(seeds))
        steps = [env.step(int(action)) for env, action in zip(originals, actions, strict=True)]
        observations, rewards, terminated, truncated = twin.step(actions)
        assert np.array_equal(observations, np.stack([step.observation[0] for step in steps]))
        assert rewards.tolist() == [step.reward for step in steps]
        assert terminated.tolist() == [step.last() for step in steps]
        assert not truncated.any()


@pytest.mark.parametrize(("name", "options"), [("memory-len", {"memory_length": 4}), ("memory-size", {"num_bits": 7})])
def test_the_twin_equals_a_loop_over_the_gymnasium_environments(name: str, options: dict[str, int]) -> None:
    spec = get_spec(name, **options)
    twin, loop = spec.vector(SEEDS), LoopedEpisodes(spec.make, SEEDS)
    for t in range(spec.horizon + 2):  # two timesteps past the end: rows that have ended stay as they are
        actions = np.array([t % 2, 0, 1, 1])
        for got, expected in zip(twin.step(actions), loop.step(actions), strict=True):
            assert np.array_equal(got, expected)


@pytest.mark.parametrize(("memory_length", "num_bits"), [(1, 1), (20, 1), (2, 5)])
def test_gymnasium_finds_nothing_wrong(memory_length: int, num_bits: int) -> None:
    check_env(MemoryEnv(memory_length, num_bits), skip_render_check=True)


@pytest.mark.parametrize(("memory_length", "num_bits"), [(1, 1), (20, 1), (2, 45)])
def test_a_picture_shows_the_observation(memory_length: int, num_bits: int) -> None:
    env = MemoryEnv(memory_length, num_bits, render_mode="rgb_array")
    env.reset(seed=0)
    pictures = [env.render()]
    for _ in range(memory_length + 1):
        env.step(np.int64(0))
        pictures.append(env.render())
    assert {picture.shape for picture in pictures} == {pictures[0].shape}
    assert pictures[0].shape[1:] == (320, 3) and pictures[0].dtype == np.uint8
    shown = [bool((picture == (0, 114, 178)).all(2)[40:].any()) for picture in pictures]  # a blue cell is a bit of 1
    if num_bits == 45:
        assert shown == [True, True, False, False]
    assert not np.array_equal(pictures[-1], pictures[-2])


def test_an_episode_depends_on_its_seed_and_the_seed_matters() -> None:
    env = MemoryEnv(num_bits=30)
    again = [env.reset(seed=seed)[0] for seed in (1, 2, 1)]
    assert np.array_equal(again[0], again[2])
    assert not np.array_equal(again[0], again[1])


@pytest.mark.parametrize(
    ("recipe", "share"), [("random", 0.5), ("medium", 0.75), ("expert", 1.0), ("mixed", 0.75), ("replay", 0.75)]
)
@pytest.mark.parametrize("name", ["memory-len", "memory-size"])
def test_recipes_answer_right_as_often_as_they_say(name: str, recipe: str, share: float) -> None:
    spec = get_spec(name, memory_length=3)
    episodes = generate(spec, recipe, 8_000, seed=0)
    scores = spec.score(episodes)
    assert abs(scores["correct"].mean() - share) <= 4 * np.sqrt(share * (1 - share) / 8_000)
    assert np.array_equal(scores["return"], 2 * scores["correct"] - 1)
    assert np.array_equal(scores["regret"], 1 - scores["return"])
    assert (episodes.lengths == spec.horizon).all()


@pytest.mark.parametrize("recipe", ["random", "medium", "expert", "mixed", "replay"])
def test_neither_earlier_actions_nor_the_last_observation_tell_the_answer(recipe: str) -> None:
    """Each of them is as good as a coin, so only the context, gone by then, can say what to answer."""
    spec = get_spec("memory-len", memory_length=4)
    episodes = generate(spec, recipe, 8_000, seed=1)
    actions = episodes.actions.reshape(-1, spec.horizon)
    answers = episodes.observations.reshape(-1, spec.horizon, 3)[:, 0, 2] > 0
    agreement = (actions[:, :-1] == answers[:, None]).mean(0)
    assert np.abs(agreement - 0.5).max() <= 4 * 0.5 / np.sqrt(8_000)
    assert len(np.unique(episodes.observations[episodes.ends], axis=0)) == 1


def test_regret_is_what_bsuite_counts() -> None:
    spec = get_spec("memory-size", num_bits=6, memory_length=3)
    episodes = generate(spec, "random", 50, seed=1)
    env = MemoryChain(3, 6, seed=5)
    for begin, end in zip(episodes.starts[:-1], episodes.starts[1:], strict=True):
        env.reset()
        env._context = (episodes.observations[begin, 2:] > 0).astype(int)
        env._query = int(episodes.observations[end - 1, 1])
        for action in episodes.actions[begin:end]:
            env.step(int(action))
    info, scores = env.bsuite_info(), spec.score(episodes)
    assert scores["regret"].sum() == info["total_regret"]
    assert scores["correct"].sum() == info["total_perfect"]


@pytest.mark.parametrize(("name", "length", "needed"), [("memory-len", 1, False), ("memory-size", 2, True)])
def test_memory_is_needed_once_context_and_question_are_apart(name: str, length: int, needed: bool) -> None:
    spec = get_spec(name, memory_length=length, num_bits=4)
    assert spec.needs_memory == needed
    episodes = generate(spec, "random", 10, seed=0)
    context = episodes.observations[episodes.ends, 2:]
    assert bool((context == 0).all()) == needed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"memory_length": 0}, "env.memory_length is 0"),
        ({"num_bits": 0}, "env.num_bits is 0"),
        ({"num_bits": True}, "env.num_bits is True"),
        ({"memory_lenght": 5}, "Did you mean 'memory_length'"),
    ],
)
def test_a_bad_option_is_named_with_the_way_out(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        get_spec("memory-len", **options)
