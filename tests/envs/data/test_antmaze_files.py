"""AntMaze's files in the forms in which they go round: cut where an episode ends, joined, and refused where they lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dsbench.envs.data.source import load_source, read_source
from dsbench.episodes import Episodes
from dsbench.errors import DatasetError
from tests.envs.data.formats import LENGTH, write_d4rl
from tests.envs.data.simulated import ANT_KWARGS, ant_like, d4rl_arrays, write_minari


def read(path: Path, arrays: dict[str, np.ndarray], **options: Any) -> Episodes:
    return read_source(ant_like(), f"d4rl:{write_d4rl(path, arrays)}", allow_other_physics=True, **options)[0]


def as_saved(flags: dict[str, np.ndarray], keep: np.ndarray) -> dict[str, np.ndarray]:
    """What D4RL's own function makes of a file: what followed each timestep, those of the timeouts left out."""
    following = np.concatenate([flags["observations"][1:], flags["observations"][:1]])
    whole = {"observations": flags["observations"], "next_observations": following}
    whole |= {name: flags[name] for name in ("actions", "rewards", "terminals")}
    return {name: array[keep] for name, array in whole.items()}


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), rate=st.floats(0.05, 0.3), with_timeouts=st.booleans())
def test_an_episode_also_ends_where_the_next_row_is_not_what_followed(
    seed: int, rate: float, with_timeouts: bool, tmp_path: Path
) -> None:
    rng, arrays = np.random.default_rng(seed), d4rl_arrays(29, 8, seed=seed)
    arrays["terminals"] = rng.random(60) < rate / 2
    arrays["timeouts"] = (rng.random(60) < rate) & ~arrays["terminals"]
    arrays["timeouts"][[4, 9]], arrays["terminals"][[4, 8, 9]] = (False, True), (True, False, False)
    arrays["timeouts"][8] = False  # so that one timeout is left to be seen by its jump
    saved = as_saved(arrays, ~arrays["timeouts"])
    rows = len(saved["rewards"])
    ends = [  # the rule in words, a timestep at a time
        row
        for row in range(rows)
        if saved["terminals"][row]
        or (row + 1 < rows and np.linalg.norm(saved["observations"][row + 1] - saved["next_observations"][row]) > 1e-6)
    ]
    given_flags = {"timeouts": np.zeros(rows, bool)} if with_timeouts else {}
    path = write_d4rl(tmp_path / "x.hdf5", saved | given_flags)
    episodes, _, report = read_source(ant_like(), f"d4rl:{path}", allow_other_physics=True)
    assert any("end where next_observations are not what follows" in warning for warning in report.warnings)
    assert episodes.ends.tolist() == ends
    assert np.flatnonzero(episodes.terminated).tolist() == np.flatnonzero(saved["terminals"]).tolist()
    assert np.array_equal(episodes.final_observations, saved["next_observations"][ends])


def test_the_published_form_is_cut_at_its_flags_and_its_goals_are_not_looked_at(tmp_path: Path) -> None:
    arrays = d4rl_arrays(29, 8)
    arrays["infos/goal"][:] = np.nan
    episodes = read(tmp_path / "x.hdf5", arrays)
    assert episodes.starts.tolist() == list(range(0, 61, LENGTH))
    assert episodes.returns().tolist() == [1, 0] * 3


@pytest.mark.parametrize(("length", "fits"), [(701, True), (1001, True), (1002, False)])
def test_timeouts_come_a_timestep_late_in_d4rl_s_files(tmp_path: Path, length: int, fits: bool) -> None:
    arrays = d4rl_arrays(29, 8, n=2 * length, length=length)
    if fits:
        assert read(tmp_path / "x.hdf5", arrays).lengths.tolist() == [length] * 2
    else:
        with pytest.raises(DatasetError, match="begins an episode of 1002 timesteps"):
            read(tmp_path / "x.hdf5", arrays)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("rewards", lambda a: a - 1, "rewards, episode 0, index 0: the entry is not 0 or 1"),
        ("rewards", lambda a: np.where(np.arange(60) == 23, np.nan, a), "rewards, episode 2, index 23.*not a finite"),
        ("observations", lambda a: a[:, :27], r"observations: has shape \(60, 27\) where \(60, 29\) is expected"),
        ("observations", lambda a: a.astype(np.float64) * 1e39, "observations.*cannot be held by float32"),
        ("actions", lambda a: 30 * a, r"actions, episode 0, index 0: the entry is outside Box"),
        ("terminals", lambda a: a + 2.0, "terminals, index 0: is 2.0, neither 0 nor 1"),
        ("timeouts", lambda a: a[:-1], "timeouts: has 59 timesteps and rewards has 60"),
        ("next_observations", lambda a: a, "next_observations: are not what follows at 59 of 60 timesteps"),
        ("next_observation", lambda a: a, "next_observation: is nothing that a D4RL file holds"),
    ],
)
def test_a_fault_is_named_as_in_any_file(tmp_path: Path, name: str, change: Any, message: str) -> None:
    arrays = d4rl_arrays(29, 8)
    arrays[name] = change(arrays.get(name, arrays["observations"]))
    with pytest.raises(DatasetError, match=f"x.hdf5: {message}"):
        read(tmp_path / "x.hdf5", arrays)


def test_a_file_that_breaks_off_is_refused(tmp_path: Path) -> None:
    path = write_d4rl(tmp_path / "x.hdf5", d4rl_arrays(29, 8))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(DatasetError):
        read_source(ant_like(), f"d4rl:{path}", allow_other_physics=True)


def test_one_episode_and_equal_returns_are_told(tmp_path: Path) -> None:
    for n, words in ((10, "a single episode: nothing is left for validation"), (20, "all returns are 0")):
        arrays = d4rl_arrays(29, 8, n=n) | {"rewards": np.zeros(n, np.float32)}
        path = write_d4rl(tmp_path / f"{n}.hdf5", arrays)
        report = read_source(ant_like(), f"d4rl:{path}", allow_other_physics=True)[2]
        assert any(words in warning for warning in report.warnings)


def goal_space(width: int, **more: int) -> gym.spaces.Dict:
    sizes = {"achieved_goal": 2, "desired_goal": 2, "observation": width} | more
    return gym.spaces.Dict({name: gym.spaces.Box(-np.inf, np.inf, (size,), np.float64) for name, size in sizes.items()})


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("physics", "width"), [("v4", 27), ("v5", 105)])
def test_minari_s_dictionaries_become_d4rl_s_29_numbers(root: Path, physics: str, width: int) -> None:
    made = write_minari("D4RL/antmaze/umaze-v1", f"AntMaze_UMaze-{physics}", goal_space(width), 8, ANT_KWARGS)
    episodes, info = load_source(ant_like(physics), "minari:D4RL/antmaze/umaze-v1", 1, 0)
    assert info.physics == f"AntMaze_UMaze-{physics}"
    for index, one in enumerate(made):
        seen, found = one["observations"], episodes.select([index])
        expected = np.concatenate([seen["achieved_goal"] + 4, seen["observation"][:, :27]], 1).astype(np.float32)
        assert np.array_equal(found.observations, expected[:-1])
        assert np.array_equal(found.final_observations[0], expected[-1])
        assert np.array_equal(found.actions, one["actions"])


def test_minari_s_own_sets_go_on_at_the_goal_which_is_told(root: Path) -> None:
    for number, (kwargs, words) in enumerate(
        [
            ({"maze_map": ANT_KWARGS["maze_map"]}, "AntMaze_UMaze-v4 with another continuing_task"),
            ({"continuing_task": False}, "AntMaze_UMaze-v4 with another maze_map"),
            ({}, "AntMaze_UMaze-v4 with another continuing_task and another maze_map"),
        ]
    ):
        name = f"D4RL/antmaze/umaze-v{number}"
        write_minari(name, "AntMaze_UMaze-v4", goal_space(27), 8, kwargs)
        with pytest.raises(DatasetError, match=f"physics of {words}, "):
            load_source(ant_like(), f"minari:{name}", 1, 0)
        assert load_source(ant_like(), f"minari:{name}", 1, 0, allow_other_physics=True)[1].physics == words


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (goal_space(20), r"has shape \(7, 22\) where \(7, 29\) is expected"),
        (goal_space(27, achieved_goal=1), r"has shape \(7, 28\) where \(7, 29\) is expected"),
        (gym.spaces.Dict({"observation": gym.spaces.Box(-1, 1, (27,))}), "achieved_goal: is missing"),
    ],
)
def test_parts_that_do_not_fit_are_refused(root: Path, space: gym.spaces.Dict, message: str) -> None:
    write_minari("D4RL/antmaze/umaze-v1", "AntMaze_UMaze-v4", space, 8, ANT_KWARGS)
    with pytest.raises(DatasetError, match=message):
        load_source(ant_like(), "minari:D4RL/antmaze/umaze-v1", 1, 0)
