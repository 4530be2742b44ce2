"""The selection of actors on trainings of known shape."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from dsbench.envs import get_spec
from dsbench.envs.behaviour_training import mujoco_levels
from dsbench.envs.behaviour_training.mujoco_levels import main, medium_of, path_to, playing
from dsbench.envs.tabular import play
from dsbench.envs.tasks.mujoco_actors import parse_actors
from tests.envs.tasks.simulated_actors import random_actors

pytest.importorskip("mujoco")


@pytest.mark.parametrize(
    ("returns", "medium"),
    [
        ([0, 10, 25, 36, 48, 60, 30, 100], 3),  # 36 is closest to 33 and stands before 60; the later 30 does not count
        ([0, 10, 25, 80, 33, 100], 2),  # 33 came after the first over 50
        ([90, 100], 0),  # all over a half: the first
        ([40, 30, 45], 1),
    ],
)
def test_medium_is_closest_to_a_third_before_the_half_was_passed(returns: list[float], medium: int) -> None:
    assert medium_of(returns, 100.0) == medium


@pytest.mark.parametrize("medium", [0, 1, 5, 12, 40])
def test_the_path_begins_with_the_first_snapshot_and_ends_before_medium(medium: int) -> None:
    path = path_to(medium)
    assert len(path) == min(medium, 12)
    assert path == sorted(set(path)) and medium not in path
    assert not path or path[0] == 0
    assert not path or max(np.diff([*path, medium])) - min(np.diff([*path, medium])) <= 1


def test_a_training_becomes_a_file_of_levels_with_all_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SNAPSHOT_EPISODES", "BEST_EPISODES"):
        monkeypatch.setattr(mujoco_levels, name, 4)
    monkeypatch.setattr(mujoco_levels, "MEASURED_EPISODES", dict.fromkeys(mujoco_levels.MEASURED_EPISODES, 4))
    snapshots = random_actors("hopper", 8, hidden=16)
    mujoco_levels.write(tmp_path / "actors.safetensors", snapshots, {"training": {"algorithm": "none"}})
    with (tmp_path / "curve.csv").open("w", newline="") as file:
        csv.writer(file).writerows([1000 * (place + 1), 1.5, 3, 60 * (place + 1)] for place in range(9))
    out = tmp_path / "levels.safetensors"
    main(["--training", str(tmp_path), "--env", "hopper", "--out", str(out)])
    shipped = parse_actors(out.read_bytes())
    figures = shipped.header["actors"]
    assert [one["level"] for one in figures[-2:]] == ["medium", "expert"]
    assert {one["level"] for one in figures[:-2]} <= {"path"}
    assert shipped.header["training"] == {"algorithm": "none"}
    assert (shipped.header["env"], len(shipped.header["snapshots"])) == ("hopper-v5", 8)
    assert shipped.header["best"][str(figures[-1]["timesteps"])] == max(shipped.header["best"].values())
    for place, one in enumerate(figures):
        snapshot = one["timesteps"] // 1000 - 1
        assert one["training_seconds"] == 60 * (snapshot + 1)
        for name, array in shipped.actors.arrays().items():
            assert np.array_equal(array[place], snapshots.arrays()[name][snapshot].astype(np.float16))
        again = play(get_spec("hopper"), playing(shipped.actors, place), 4, mujoco_levels.SEEDS["measured"])
        assert one["mean_return"] == pytest.approx(again.returns().mean(), abs=0.01)
        assert one["mean_length"] == again.lengths.mean()
