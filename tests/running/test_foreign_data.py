"""Files in D4RL's and in Minari's form, from the file to the row of the run, or refused before anything is written."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from dsbench.cli import main
from dsbench.config import resolve, run_id
from dsbench.envs import ENVS
from dsbench.envs.tasks import antmaze
from dsbench.errors import DatasetError
from dsbench.records.run_folder import RunFolder
from dsbench.running.worker import ProgressPipe, work
from tests.envs.data.formats import write_d4rl
from tests.envs.data.simulated import ANT_KWARGS, d4rl_arrays, write_minari

OWN = f"{Path(__file__).with_name('simulated_task.py')}:drift"
TINY = (
    "train.updates=2", "train.warmup=0", "train.batch_size=2", "train.window=4", "train.eval_every=2",
    "eval.episodes=1", "eval.selection_episodes=1", "eval.decode=[argmax]", "measure.warmup=1", "measure.steps=2",
)  # fmt: skip
NEEDS = {"hopper": "mujoco", "antmaze-umaze": "gymnasium_robotics"}
HOPPER = gym.spaces.Box(-np.inf, np.inf, (11,), np.float64)
GOAL = gym.spaces.Dict(
    {name: gym.spaces.Box(-np.inf, np.inf, (size,), np.float64)
     for name, size in (("achieved_goal", 2), ("desired_goal", 2), ("observation", 27))}
)  # fmt: skip
RESULTS = Path("results")


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    monkeypatch.setenv("DSBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(antmaze, "HORIZON", 30)  # 700 take seconds
    monkeypatch.chdir(tmp_path)


def row_of(env: str, data: str, *overrides: str) -> dict[str, Any]:
    """The final row of a tiny run."""
    if env in NEEDS and (env not in ENVS.names() or importlib.util.find_spec(NEEDS[env]) is None):
        pytest.skip(f"{env} needs {NEEDS[env]}")
    config = resolve(
        preset="smoke", backbone="mlp", env=env, overrides=[*TINY, f"data.recipe={data}", *overrides], device="cpu"
    )
    assert work(config, RESULTS, False, ProgressPipe(None)) == 0
    found = RunFolder.open(RESULTS, run_id(config)).latest_result()
    assert found is not None and found["status"] == "ok" and np.isfinite(found["score_normalised"])
    return dict(found)


@pytest.mark.parametrize(("env", "fits"), [(OWN, True), ("hopper", True), ("antmaze-umaze", False)])
def test_a_d4rl_file_runs_end_to_end_in_its_physics_or_says_so(env: str, fits: bool) -> None:
    ant = env == "antmaze-umaze"
    write_d4rl(Path("x.hdf5"), d4rl_arrays(29, 8) if ant else d4rl_arrays(11, 3))
    with pytest.raises(DatasetError, match="physics of D4RL's own ant" if ant else "physics of Hopper-v4"):
        row_of(env, "d4rl:x.hdf5")
    assert not RESULTS.exists()
    row = row_of(env, "d4rl:x.hdf5", "env.physics=v4" if fits else "data.allow_other_physics=true")
    assert row["physics_note"] == (None if fits else "data made in D4RL's own ant, evaluated in AntMaze_UMaze-v5")
    assert row["target_return"] == 3600 or env != "hopper"  # the Decision Transformer's, not one of this data


@pytest.mark.parametrize(
    ("env", "env_id", "fits"),
    [(OWN, "Hopper-v5", "v5"), ("hopper", "Hopper-v5", "v5"), ("antmaze-umaze", "AntMaze_UMaze-v4", "v4")],
)
def test_a_minari_set_runs_end_to_end_in_its_physics(env: str, env_id: str, fits: str) -> None:
    ant, other = env == "antmaze-umaze", {"v4": "v5", "v5": "v4"}[fits]
    write_minari("test/set-v0", env_id, GOAL if ant else HOPPER, 8 if ant else 3, ANT_KWARGS if ant else {})
    with pytest.raises(DatasetError, match=f"--set env.physics={fits}"):
        row_of(env, "minari:test/set-v0", f"env.physics={other}")
    assert not RESULTS.exists()
    assert row_of(env, "minari:test/set-v0", f"env.physics={fits}")["physics_note"] is None


def test_an_imported_set_runs_and_its_row_says_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    write_d4rl(Path("x.hdf5"), d4rl_arrays(11, 3))
    arguments = ["data", "import", "d4rl:x.hdf5", "--env", OWN, "--name", "mine"]
    assert main(arguments) == 2
    assert "--allow-other-physics" in capsys.readouterr().err
    assert main([*arguments, "--allow-other-physics"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("--set data.allow_other_physics=true")
    with pytest.raises(DatasetError, match="physics of Hopper-v4"):
        row_of(OWN, "imported:mine")
    row = row_of(OWN, "imported:mine", "data.allow_other_physics=true")
    assert row["physics_note"] == "data made in Hopper-v4, evaluated in Hopper-v5"


@pytest.mark.slow
def test_the_command_refuses_in_one_line_and_runs_when_told_to(capsys: pytest.CaptureFixture[str]) -> None:
    write_d4rl(Path("x.hdf5"), d4rl_arrays(11, 3))
    settings = [part for one in TINY for part in ("--set", one)]
    command = ["run", "--backbone", "mlp", "--env", OWN, "--data", "d4rl:x.hdf5", "--preset", "smoke", *settings]
    assert main(command) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Error")]
    assert "choose that one with --set env.physics=v4" in line
    assert main([*command, "--set", "env.physics=v4"]) == 0
