"""D4RL files: cut where they say, and nothing in one is followed, believed or filled in."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import h5py
import numpy as np
import pytest

from dsbench.envs.data import source
from dsbench.envs.data.contract import build_episodes
from dsbench.envs.data.d4rl import read_d4rl
from dsbench.envs.data.source import read_source
from dsbench.episodes import Episodes
from dsbench.errors import DatasetError, MissingExtra, UsageError
from tests.envs.data.formats import LENGTH, N, flat_arrays, toy, write_d4rl


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    return flat_arrays()


def load(path: Path, **options: int) -> Episodes:
    return build_episodes(toy(), read_d4rl(path, **options))[0]


def split_step_by_step(arrays: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """The loop that everyone uses, as the oracle: cut after each flag, drop what is unfinished."""
    episodes, begin = [], 0
    for row in range(len(arrays["rewards"])):
        if arrays["terminals"][row] or arrays["timeouts"][row]:
            episodes.append({name: array[begin : row + 1] for name, array in arrays.items()})
            begin = row + 1
    return episodes


@pytest.mark.parametrize("how", [{"compression": "gzip"}, {"chunks": (7,), "fletcher32": True}, {"chunks": None}])
def test_episodes_are_those_of_the_plain_loop(tmp_path: Path, how: dict[str, object]) -> None:
    arrays = flat_arrays(seed=5, n=N + 7)
    chunks = how.get("chunks")
    with h5py.File(tmp_path / "x.hdf5", "w") as file:
        for name, array in arrays.items():
            own = {**how, "chunks": (*chunks, *array.shape[1:])} if isinstance(chunks, tuple) else how
            file.create_dataset(name, data=array, **own)
        file["infos/qpos"] = np.zeros((N, 2))
        file["metadata/algorithm"] = "SAC"
    expected, episodes = split_step_by_step(arrays), load(tmp_path / "x.hdf5")
    assert len(expected) == len(episodes) == N // LENGTH
    for index, one in enumerate(expected):
        found = episodes.select([index])
        assert np.array_equal(found.observations, one["observations"])
        assert np.array_equal(found.actions, one["actions"])
        assert np.array_equal(found.rewards, one["rewards"])
        assert np.array_equal(found.terminated, one["terminals"])
        assert np.array_equal(found.final_observations[0], one["next_observations"][-1])
    assert read_d4rl(tmp_path / "x.hdf5").dropped_timesteps == 7


def test_a_terminal_wins_over_a_timeout(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    both = arrays["terminals"] | arrays["timeouts"]
    episodes = load(write_d4rl(tmp_path / "x.hdf5", arrays | {"terminals": both, "timeouts": both}))
    assert np.array_equal(episodes.terminated, both)
    assert not episodes.truncated.any()


def test_without_timeouts_the_length_must_be_given(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    terminals = np.zeros(N, bool)
    terminals[[3, 29]] = True
    old = {name: array for name, array in arrays.items() if name in ("observations", "actions", "rewards")}
    path = write_d4rl(tmp_path / "x.hdf5", old | {"terminals": terminals})
    with pytest.raises(DatasetError, match=r"timeouts: is missing.*--max-episode-steps"):
        read_d4rl(path)
    raw = read_d4rl(path, max_episode_steps=LENGTH)
    assert raw.starts.tolist() == [0, 4, 14, 24, 30, 40, 50, 60]
    assert np.flatnonzero(raw.terminated).tolist() == [3, 29]
    episodes, report = build_episodes(toy(), raw)
    assert "last ones seen" in report.warnings[0]
    assert np.array_equal(episodes.final_observations, episodes.observations[episodes.ends])


def test_float64_is_cast_and_overflow_is_a_fault(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    wide = {name: array.astype(np.float64) for name, array in arrays.items()}
    episodes = load(write_d4rl(tmp_path / "x.hdf5", wide))
    assert episodes.observations.dtype == np.float32
    assert np.array_equal(episodes.observations, arrays["observations"])
    wide["observations"][23, 1] = 1e39
    with pytest.raises(DatasetError, match=r"observations, episode 2, index 23: the entry cannot be held by float32"):
        load(write_d4rl(tmp_path / "y.hdf5", wide))


def test_next_observations_that_do_not_follow_are_told(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    arrays["next_observations"][[3, 17, 19]] += 1  # 19 is the last of its episode, where anything may follow
    warnings = read_d4rl(write_d4rl(tmp_path / "x.hdf5", arrays)).warnings
    assert warnings == ("next_observations differ from the next row of observations at 2 timesteps",)


def test_a_known_file_that_was_changed_is_told(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    path = write_d4rl(tmp_path / "hopper_medium_replay-v2.hdf5", arrays)
    report = source.read_source(toy(), f"d4rl:{path}")[2]
    assert "is not the published file of that name" in report.warnings[0]


def test_a_sum_that_was_given_is_compared(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    path = write_d4rl(tmp_path / "x.hdf5", arrays)
    with pytest.raises(DatasetError, match="its sha256 is"):
        source.read_source(toy(), f"d4rl:{path}", sha256="0" * 64)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rewards": None}, "rewards: is missing"),
        ({"surprise": np.zeros(3)}, "surprise: is nothing that a D4RL file holds"),
        ({"rewards": np.zeros(N - 1)}, "observations: has 60 timesteps and rewards has 59"),
        ({"terminals": np.zeros(N), "timeouts": np.zeros(N)}, "terminals: no episode ends anywhere"),
        ({"terminals": np.full(N, 2)}, "terminals, index 0: is 2, neither 0 nor 1"),
        ({"terminals": np.zeros((N, 2))}, r"terminals: has shape \(60, 2\)"),
        ({"rewards": np.array(["a"] * N, dtype="S1")}, "rewards: holds something other than plain"),
        ({"rewards": np.zeros(N, "c8")}, "rewards: holds something other than plain"),
        ({"rewards": np.zeros(N, ">f4")}, "rewards: holds something other than plain little-endian"),
        ({"actions": np.zeros((N, 2), [("a", "f4")])}, "actions: holds something other than plain"),
        ({"rewards": "text"}, "rewards: holds something other than plain"),
        ({"rewards": 1.0}, "rewards: not an array of 1 to 8 axes"),
        ({"rewards": h5py.Empty("f4")}, "rewards: not an array of 1 to 8 axes"),
        ({"rewards": h5py.ExternalLink("other.hdf5", "/rewards")}, "rewards: a link to elsewhere"),
        ({"rewards": h5py.SoftLink("/actions")}, "rewards: a link to elsewhere"),
    ],
)  # fmt: skip
def test_a_fault_is_named(
    tmp_path: Path, arrays: dict[str, np.ndarray], change: dict[str, object], message: str
) -> None:
    with h5py.File(tmp_path / "x.hdf5", "w") as file:
        for name, value in (arrays | change).items():
            if value is not None:
                file[name] = value
    with pytest.raises(DatasetError, match=f"x.hdf5: {message}"):
        load(tmp_path / "x.hdf5")


def test_raw_data_in_another_file_is_not_read(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    (tmp_path / "secret").write_bytes(bytes(4 * N))
    with h5py.File(tmp_path / "x.hdf5", "w") as file:
        for name, array in arrays.items():
            if name != "rewards":
                file[name] = array
        file.create_dataset("rewards", (N,), "f4", external=[(str(tmp_path / "secret"), 0, 4 * N)])
    with pytest.raises(DatasetError, match="rewards: its data lies in another file"):
        read_d4rl(tmp_path / "x.hdf5")


def test_a_virtual_data_set_is_not_read(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    write_d4rl(tmp_path / "other.hdf5", arrays)
    layout = h5py.VirtualLayout((N,), "f4")
    layout[:] = h5py.VirtualSource(tmp_path / "other.hdf5", "rewards", (N,))
    path = write_d4rl(tmp_path / "x.hdf5", {name: value for name, value in arrays.items() if name != "rewards"})
    with h5py.File(path, "a") as file:
        file.create_virtual_dataset("rewards", layout)
    with pytest.raises(DatasetError, match="rewards: its data lies in another file"):
        read_d4rl(path)


def test_terabytes_in_a_kilobyte_are_refused_before_reading(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    path = write_d4rl(tmp_path / "x.hdf5", {name: value for name, value in arrays.items() if name != "rewards"})
    with h5py.File(path, "a") as file:
        file.create_dataset("rewards", (10**11,), "f4", chunks=(10**6,), compression="gzip")
    assert path.stat().st_size < 40_000
    with pytest.raises(DatasetError, match="rewards: declares 400,000,000,000 bytes"):
        read_d4rl(path)
    with pytest.raises(DatasetError, match="rewards: 0 of|rewards: .* chunks"):
        read_d4rl(path, max_bytes=1 << 40)
    with pytest.raises(DatasetError, match="more than the limit of 1,000"):
        read_d4rl(path, max_bytes=1000)


def test_what_is_missing_is_not_filled_with_zeros(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    path = write_d4rl(tmp_path / "x.hdf5", {name: value for name, value in arrays.items() if name != "rewards"})
    with h5py.File(path, "a") as file:
        file.create_dataset("rewards", (N,), "f4", chunks=(10,))[:10] = 1
    with pytest.raises(DatasetError, match="rewards: 1 of 6 chunks"):
        read_d4rl(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "the file is empty"), (b"<!DOCTYPE html>", "begins with an HTML page"), (b"PK\x03\x04", "not an HDF5 file")],
)
def test_what_is_no_hdf5_is_told_by_its_bytes(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.hdf5").write_bytes(content)
    with pytest.raises(DatasetError, match=f"x.hdf5: .*{message}"):
        read_d4rl(tmp_path / "x.hdf5")
    with pytest.raises(DatasetError, match="nowhere: no such file"):
        read_d4rl(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="not a regular file"):
        read_d4rl(tmp_path)


@pytest.mark.parametrize("limit", [1, LENGTH, 10**6])
def test_a_limit_that_would_not_act_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray], limit: int) -> None:
    path = write_d4rl(tmp_path / "x.hdf5", arrays)
    with pytest.raises(DatasetError, match="timeouts: says where episodes were cut.*leave out --max-episode-steps"):
        read_source(toy(), f"d4rl:{path}", max_episode_steps=limit)
    following = write_d4rl(tmp_path / "y.hdf5", {name: a for name, a in arrays.items() if name != "timeouts"})
    assert len(read_source(toy(), f"d4rl:{following}", max_episode_steps=LENGTH)[0]) == N // LENGTH
    jumping = replace(toy(), foreign=replace(toy().foreign, cut_at_jumps=True))
    with pytest.raises(DatasetError, match="next_observations: says where episodes were cut"):
        read_source(jumping, f"d4rl:{following}", max_episode_steps=limit)
    with pytest.raises(UsageError, match="--max-episode-steps is 0; expected at least 1"):
        read_source(toy(), f"d4rl:{following}", max_episode_steps=0)


def test_data_of_another_environment_shows_both_shapes(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    path = write_d4rl(tmp_path / "x.hdf5", arrays)
    other = toy(gym.spaces.Box(-1, 1, (5,), np.float32))
    with pytest.raises(
        DatasetError, match=r"observations: has shape \(60, 3\) where \(60, 5\) is expected; name the env"
    ):
        build_episodes(other, read_d4rl(path))


def test_without_h5py_the_install_line_is_shown(
    tmp_path: Path, arrays: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_d4rl(tmp_path / "x.hdf5", arrays)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtra, match=r"install .*\[d4rl\]"):
        read_d4rl(path)
