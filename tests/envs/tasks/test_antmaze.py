"""AntMaze: D4RL's layout, coordinates and maze on gymnasium-robotics' ant; honest about what nobody knows."""

from __future__ import annotations

import glob
import sys
import tempfile

import numpy as np
import pytest

from dsbench.config import resolve
from dsbench.envs import EnvSpec, get_spec
from dsbench.envs.data import generate
from dsbench.errors import MissingExtra, UsageError
from dsbench.running.scripted import ScriptedExperiment

NAMES = ("antmaze-umaze", "antmaze-umaze-diverse")


@pytest.fixture(params=["v4", "v5"])
def spec(request: pytest.FixtureRequest) -> EnvSpec:
    pytest.importorskip("gymnasium_robotics")
    return get_spec("antmaze-umaze", physics=request.param)


@pytest.mark.parametrize("name", NAMES)
def test_another_recipe_is_answered_with_where_data_comes_from(name: str) -> None:
    spec = get_spec(name)
    assert list(spec.recipes) == ["random"]
    with pytest.raises(UsageError, match=f"{name} has no data recipe 'medium', only random: .*d4rl:FILE.*minari:ID"):
        spec.recipe("medium")


def test_nobody_knows_the_optimal_policy_and_asking_for_it_says_so() -> None:
    with pytest.raises(UsageError, match="no optimal policy of env 'antmaze-umaze' is known; --policy random"):
        ScriptedExperiment(resolve(policy="optimal", env="antmaze-umaze"), lambda *_: None)


def test_without_gymnasium_robotics_the_install_line_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium_robotics", None)
    spec = get_spec("antmaze-umaze")  # can be listed all the same
    with pytest.raises(MissingExtra, match=r"install .*\[robotics\]"):
        spec.make()


def test_physics_is_one_of_two() -> None:
    with pytest.raises(UsageError, match="env.physics is 'v3'; expected one of v4, v5"):
        get_spec("antmaze-umaze", physics="v3")
    assert get_spec("antmaze-umaze", physics="v4").simulator["gymnasium-robotics"] == "AntMaze_UMaze-v4"


def test_the_observation_is_the_whole_state_from_d4rl_s_origin(spec: EnvSpec) -> None:
    env = spec.make()
    seen, _ = env.reset(seed=1)
    rng = np.random.default_rng(0)
    for _ in range(30):
        data = env.unwrapped.ant_env.data  # type: ignore[attr-defined]
        expected = np.concatenate([data.qpos[:2] + 4, data.qpos[2:], data.qvel]).astype(np.float32)
        assert seen.dtype == np.float32 and np.array_equal(seen, expected)
        seen = env.step(rng.uniform(-1, 1, 8).astype(np.float32))[0]


def test_walls_start_and_goal_are_where_d4rl_has_them(spec: EnvSpec) -> None:
    d4rl = ["#####", "#S..#", "###.#", "#G..#", "#####"]  # x is 4 m times the column, y 4 m times the row, from S on
    expected = {(4 * col - 4, 4 * row - 4) for row in range(5) for col in range(5) if d4rl[row][col] == "#"}
    env = spec.make()
    env.reset(seed=0)
    model = env.unwrapped.ant_env.model  # type: ignore[attr-defined]
    blocks = [index for index in range(model.ngeom) if model.geom(index).name.startswith("block")]
    assert {tuple(np.rint(model.geom_pos[index][:2] + 4).astype(int).tolist()) for index in blocks} == expected
    starts, goals = [], []
    for seed in range(100):
        starts.append(env.reset(seed=seed)[0][:2])
        goals.append(env.unwrapped.goal + 4)  # type: ignore[attr-defined]
    assert np.abs(np.array(starts)).max() < 1
    assert np.abs(np.array(goals) - [0, 8]).max() < 1


def test_the_goal_pays_once_and_ends_the_episode(spec: EnvSpec) -> None:
    env = spec.make()
    env.reset(seed=0)
    hidden = env.unwrapped
    position = hidden.ant_env.data.qpos.copy()  # type: ignore[attr-defined]
    position[:2] = hidden.goal  # type: ignore[attr-defined]
    hidden.ant_env.set_state(position, hidden.ant_env.data.qvel.copy())  # type: ignore[attr-defined]
    _, reward, terminated, truncated, _ = env.step(np.zeros(8, np.float32))
    assert (reward, terminated, truncated) == (1, True, False)


def test_random_data_never_arrives_and_is_the_same_twice(spec: EnvSpec) -> None:
    first, again = (generate(spec, "random", 2, seed) for seed in (0, 0))
    assert first.lengths.tolist() == [700, 700] and first.truncated.sum() == 2
    assert first.returns().tolist() == [spec.random_return] * 2
    assert first.actions.shape == (1400, 8) and np.abs(first.actions).max() <= 1
    assert abs(first.actions.mean()) < 0.02 and abs(first.actions.std() - 1 / np.sqrt(3)) < 0.02
    assert np.array_equal(first.observations, again.observations)


def test_no_file_is_left_behind(spec: EnvSpec) -> None:
    pattern = f"{tempfile.gettempdir()}/ant_maze*.xml"
    before = set(glob.glob(pattern))
    spec.make().close()
    assert set(glob.glob(pattern)) <= before


@pytest.mark.parametrize("name", ["antmaze-umaze", "antmaze-umaze-diverse"])
def test_who_gives_no_file_is_told_where_data_comes_from(name: str) -> None:
    with pytest.raises(UsageError, match="--data d4rl:FILE or --data minari:ID"):
        get_spec(name).recipe(resolve(env=name, backbone="s4").data.recipe)
