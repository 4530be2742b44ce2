"""The batched twin against gymnasium's environments to the last bit, and what the tasks say of themselves."""

from __future__ import annotations

import subprocess
import sys
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.envs import get_spec
from dsbench.envs.data import generate
from dsbench.envs.tasks import mujoco_episodes
from dsbench.envs.vector import LoopedEpisodes
from dsbench.errors import MissingExtra, UsageError

mujoco = pytest.importorskip("mujoco")
NAMES = ("hopper", "halfcheetah", "walker2d")


def mujoco_module() -> Any:
    get_spec("hopper")
    return sys.modules["dsbench.envs.tasks.mujoco"]


def original(name: str, physics: str) -> gym.Env[np.ndarray, np.ndarray]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return gym.make(f"{dict(zip(NAMES, ('Hopper', 'HalfCheetah', 'Walker2d'), strict=True))[name]}-{physics}")


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10, deadline=None)
@given(
    physics=st.sampled_from(["v4", "v5"]),
    seed=st.integers(0, 2**32 - 1),
    strength=st.sampled_from([0.0, 0.3, 1.0, 3.0]),
    threads=st.integers(1, 2),
)
def test_the_twin_equals_gymnasium_s_environments_bit_for_bit_past_their_ends(
    name: str, physics: str, seed: int, strength: float, threads: int
) -> None:
    spec, rng, rows = get_spec(name, physics=physics), np.random.default_rng(seed), 3
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(mujoco_episodes, "threads", lambda: threads)
        patched.setattr(mujoco_episodes, "ROWS_PER_THREAD", 1)
        seeds = [seed ^ row for row in range(rows)]
        twin, loop = spec.vector(seeds), LoopedEpisodes(lambda: original(name, physics), seeds)
        assert np.array_equal(twin.observations, np.asarray(loop.observations, np.float32))
        for _ in range(60):
            actions = (strength * rng.uniform(-1, 1, (rows, spec.draws_per_timestep - 1))).astype(np.float32)
            (seen, *after), (expected, *known) = twin.step(actions), loop.step(actions)
            assert np.array_equal(seen, np.asarray(expected, np.float32))
            assert all(np.array_equal(one, other) for one, other in zip(after, known, strict=True))
    if strength >= 1 and name != "halfcheetah":
        assert twin.over.any()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("asked", "taken"), [(None, 3), ("", 3), ("2", 2), ("9", 3), ("0", 1), ("2,1", 3)])
def test_threads_are_those_of_the_run_and_no_more_than_cores(
    asked: str | None, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1, 5})
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert mujoco_episodes.threads() == taken


def test_the_time_limit_ends_an_episode_as_gymnasium_s_does() -> None:
    spec, env = get_spec("halfcheetah"), original("halfcheetah", "v5")
    twin = spec.vector([3])
    env.reset(seed=3)
    actions = np.random.default_rng(0).uniform(-1, 1, (1000, 6)).astype(np.float32)
    for timestep, action in enumerate(actions):
        seen, rewards, terminated, truncated = twin.step(action[None])
        expected, reward, *known, _ = env.step(action)
        assert np.array_equal(seen[0], expected.astype(np.float32))
        assert rewards[0] == np.float32(reward)
        assert [terminated[0], truncated[0]] == known == [False, timestep == 999]
    assert np.array_equal(twin.step(action[None])[0], seen)


def test_data_of_episodes_that_are_over_and_gone_are_used_again_and_leave_no_trace() -> None:
    simulation = mujoco_episodes.Simulation(original("hopper", "v5").unwrapped)
    body, actions = mujoco_module().BODIES["hopper"], np.ones((4, 3), np.float32)

    def played() -> tuple[list[int], np.ndarray]:
        env = mujoco_episodes.MujocoEpisodes(simulation, body, range(4), 1000, pays_fall=False)
        seen = [env.step(actions)[0] for _ in range(15)]
        return [id(data) for data in env._data], np.stack(seen)

    (first, seen), (second, again) = played(), played()
    assert sorted(first) == sorted(second)
    assert np.array_equal(seen, again)
    held = mujoco_episodes.MujocoEpisodes(simulation, body, range(3), 1000, pays_fall=False)
    other = mujoco_episodes.MujocoEpisodes(simulation, body, range(3), 1000, pays_fall=False)
    assert not {id(data) for data in held._data} & {id(data) for data in other._data}


@pytest.mark.parametrize("name", NAMES)
def test_learners_see_single_precision_and_act_between_one_and_one(name: str) -> None:
    env = get_spec(name).make()
    assert env.observation_space.dtype == np.float32
    assert isinstance(env.action_space, gym.spaces.Box)
    assert (env.action_space.low == -1).all() and (env.action_space.high == 1).all()
    first, _ = env.reset(seed=5)
    assert env.observation_space.contains(first)
    assert np.array_equal(first, get_spec(name).vector([5]).observations[0])  # type: ignore[index]


def test_version_4_pays_a_walker_for_the_timestep_of_its_fall() -> None:
    actions = np.random.default_rng(1).uniform(-1, 1, (200, 3)).astype(np.float32)
    returns = {}
    for physics in ("v4", "v5"):
        env = get_spec("hopper", physics=physics).vector([0])
        steps = [env.step(action[None]) for action in actions]
        assert steps[-1][2][0]
        returns[physics] = sum(float(rewards[0]) for _, rewards, _, _ in steps)
    assert returns["v4"] - returns["v5"] == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "physics", "mean", "length"),
    [("hopper", "v4", 19.82, 22.5), ("walker2d", "v5", 1.59, 21.8), ("halfcheetah", "v5", -271.7, 1000)],
)
def test_random_torques_have_the_returns_measured_elsewhere(
    name: str, physics: str, mean: float, length: float
) -> None:
    scores = get_spec(name, physics=physics).score(
        generate(get_spec(name, physics=physics), "random", 10 if name == "halfcheetah" else 200, seed=0)
    )
    error = scores["return"].std() / len(scores["return"]) ** 0.5
    assert abs(scores["return"].mean() - mean) < 5 * error
    assert abs(scores["length"].mean() - length) < 3


def test_pictures_need_no_screen_and_no_opengl() -> None:
    code = (
        "from dsbench.envs import get_spec; env = get_spec('walker2d').make('rgb_array'); env.reset(seed=0);"
        "print(env.render().shape, env.render().std() > 10)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={}).stdout
    assert shown == "(200, 320, 3) True\n"


def test_the_picture_follows_the_machine_and_shows_both_legs() -> None:
    env = get_spec("halfcheetah").make("rgb_array")
    env.reset(seed=0)
    first = env.render()
    assert env.render_mode == "rgb_array"
    for _ in range(10):
        env.step(np.ones(6, np.float32))
    assert not np.array_equal(first, env.render())
    assert len(np.unique(np.asarray(first).reshape(-1, 3), axis=0)) > 4
    assert get_spec("halfcheetah").make().render() is None


@pytest.mark.filterwarnings("ignore::UserWarning")  # unlike ours, gymnasium's boxes are said to want bounds
@pytest.mark.parametrize("name", NAMES)
def test_gymnasium_finds_nothing_wrong(name: str) -> None:
    check_env(get_spec(name).make("rgb_array"), skip_render_check=True)


@pytest.mark.parametrize("name", NAMES)
def test_the_old_version_is_made_without_a_word_and_others_speak(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        get_spec(name, physics="v4").make()
    with pytest.warns(DeprecationWarning, match="out of date"):
        gym.make("Hopper-v4")


def test_the_spec_says_what_simulates_it() -> None:
    old, new = get_spec("hopper", physics="v4"), get_spec("hopper")
    assert dict(old.simulator) == {"gymnasium": "Hopper-v4", "mujoco": mujoco.__version__}
    assert (old.id, new.id, new.options) == ("hopper-v4", "hopper-v5", {"physics": "v5"})
    assert (new.random_return, new.optimal_return) == (-20.272305, 3234.3)
    assert get_spec("walker2d").normalised(4592.3) == pytest.approx(100)
    with pytest.raises(UsageError, match="env.physics is 'v3'; expected one of v5, v4"):
        get_spec("hopper", physics="v3")


def test_without_mujoco_the_task_is_described_and_playing_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mujoco", None)
    mujoco_module()._simulation.cache_clear()
    spec = get_spec("hopper")
    for played in (spec.make, lambda: spec.vector([0])):
        with pytest.raises(MissingExtra, match=r"Hopper-v5 needs the 'mujoco' extra.*\[mujoco\]"):
            played()
