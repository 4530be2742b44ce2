"""Data of other physics is not taken for that of the task: refused, or allowed and then said on every row."""

from __future__ import annotations

import json
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from dsbench.envs.data.folder import DataInfo, describe, info_of, read_manifest
from dsbench.envs.data.minari_export import export_minari
from dsbench.envs.data.physics import UNNAMED, physics_note
from dsbench.envs.data.source import check_source, export_folder, import_source, load_source
from dsbench.envs.spec import EnvSpec
from dsbench.episodes import Episodes
from dsbench.errors import DatasetError
from tests.envs.data.formats import fingerprint, toy_episodes, write_d4rl
from tests.envs.data.simulated import ant_like, d4rl_arrays, edit_metadata, hopper_like, write_minari

HOPPER = gym.spaces.Box(-np.inf, np.inf, (11,), np.float64)


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return tmp_path / "minari"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_d4rl(tmp_path / "hopper_medium-v2.hdf5", d4rl_arrays(11, 3))


def info(spec: EnvSpec, episodes: Episodes) -> DataInfo:
    header = {"env": spec.id, "options": dict(spec.options), "recipe": "medium", "seed": 0}
    return info_of(describe(episodes, header), Path())


def test_d4rl_s_files_are_of_version_4(file: Path) -> None:
    with pytest.raises(DatasetError) as refused:
        load_source(hopper_like("v5"), f"d4rl:{file}", 1, 0)
    for words in ("hopper_medium-v2.hdf5", "physics of Hopper-v4", "those of Hopper-v5", "--set env.physics=v4"):
        assert words in str(refused.value)
    assert "--set data.allow_other_physics=true" in str(refused.value) and "\n" not in str(refused.value)
    taken, said = load_source(hopper_like("v5"), f"d4rl:{file}", 1, 0, allow_other_physics=True)
    fitting, fits = load_source(hopper_like("v4"), f"d4rl:{file}", 1, 0)
    assert fingerprint(taken) == fingerprint(fitting)
    assert physics_note(hopper_like("v5"), said.physics) == "data made in Hopper-v4, evaluated in Hopper-v5"
    assert (fits.physics, physics_note(hopper_like("v4"), fits.physics)) == ("Hopper-v4", None)


def test_d4rl_s_ant_is_another_machine_in_every_version(tmp_path: Path) -> None:
    file = write_d4rl(tmp_path / "x.hdf5", d4rl_arrays(29, 8))
    for physics in ("v4", "v5"):
        with pytest.raises(DatasetError, match="physics of D4RL's own ant") as refused:
            check_source(ant_like(physics), f"d4rl:{file}", False)
        assert "env.physics" not in str(refused.value)
        check_source(ant_like(physics), f"d4rl:{file}", True)


@pytest.mark.parametrize(
    ("made_in", "physics", "refused"),
    [
        ("Hopper-v5", "v5", ""),
        ("Hopper-v4", "v4", ""),
        ("Hopper-v4", "v5", "choose that one with --set env.physics=v4, or take"),
        ("Hopper-v5", "v4", "choose that one with --set env.physics=v5, or take"),
        ("Hopper-v2", "v5", "physics of Hopper-v2, .* those of Hopper-v5; take it all the same"),
        ("HalfCheetah-v5", "v5", "made in 'HalfCheetah-v5', which is not the environment toy"),
        (None, "v5", UNNAMED),
    ],
)
def test_minari_s_sets_are_of_the_version_that_they_name(
    made_in: str | None, physics: str, refused: str, root: Path
) -> None:
    write_minari("mujoco/hopper/medium-v0", made_in or "Hopper-v5", HOPPER, 3)
    if made_in is None:
        edit_metadata(root / "mujoco/hopper/medium-v0/data", env_spec=None)
    spec = hopper_like(physics)
    if not refused:
        assert load_source(spec, "minari:mujoco/hopper/medium-v0", 1, 0)[1].physics == f"Hopper-{physics}"
        return
    with pytest.raises(DatasetError, match=refused):
        load_source(spec, "minari:mujoco/hopper/medium-v0", 1, 0)
    if "not the environment" not in refused:
        taken = load_source(spec, "minari:mujoco/hopper/medium-v0", 1, 0, allow_other_physics=True)[1]
        assert (physics_note(spec, taken.physics) or "").startswith(f"data made in {made_in or UNNAMED}")


def test_an_imported_set_says_what_it_was_made_in_for_good(file: Path, tmp_path: Path) -> None:
    five, four = hopper_like("v5"), hopper_like("v4")
    with pytest.raises(DatasetError, match="--allow-other-physics"):
        import_source(five, f"d4rl:{file}", "mine", cache_dir=tmp_path)
    import_source(five, f"d4rl:{file}", "mine", cache_dir=tmp_path, allow_other_physics=True)
    assert read_manifest(tmp_path / "imported/mine")["physics"] == "Hopper-v4"
    with pytest.raises(DatasetError, match="physics of Hopper-v4.*--set env.physics=v4"):
        load_source(five, "imported:mine", 1, 0, cache_dir=tmp_path)
    with pytest.raises(DatasetError, match=r"physics of Hopper-v4"):
        check_source(five, "imported:mine", False, tmp_path)
    assert load_source(four, "imported:mine", 1, 0, cache_dir=tmp_path)[1].physics == "Hopper-v4"
    taken = load_source(five, "imported:mine", 1, 0, cache_dir=tmp_path, allow_other_physics=True)[1]
    assert physics_note(five, taken.physics) == "data made in Hopper-v4, evaluated in Hopper-v5"


def test_our_own_data_is_of_the_version_of_its_task(tmp_path: Path) -> None:
    four, five = hopper_like("v4"), hopper_like("v5")
    episodes = toy_episodes(four)
    folder = export_folder(four, episodes, info(four, episodes), tmp_path / "out")
    minari = export_minari(four, episodes, info(four, episodes), "test/hopper-v0") / "data"
    for source in (f"folder:{folder}", f"minari:{minari}"):
        assert fingerprint(load_source(four, source, 1, 0)[0]) == fingerprint(episodes)
        with pytest.raises(DatasetError, match="physics of Hopper-v4"):
            load_source(five, source, 1, 0)
        assert load_source(five, source, 1, 0, allow_other_physics=True)[1].physics == "Hopper-v4"
        with pytest.raises(DatasetError, match=r"made in .?toy-v4"):  # physics, and no other option
            load_source(hopper_like("v5", horizon=11), source, 1, 0, allow_other_physics=True)


def test_what_the_metadata_of_a_foreign_set_names_is_text(tmp_path: Path, root: Path) -> None:
    write_minari("mujoco/hopper/medium-v0", "Hopper-v5", HOPPER, 3)
    folder = root / "mujoco/hopper/medium-v0/data"
    described = json.loads(json.loads((folder / "metadata.json").read_text())["env_spec"])
    for name in (7, ["Hopper-v5"], {"Hopper-v5": 1}, None):
        edit_metadata(folder, env_spec=json.dumps(described | {"id": name}))
        with pytest.raises(DatasetError, match="which is not the environment toy"):
            load_source(hopper_like(), f"minari:{folder}", 1, 0)
    edit_metadata(folder, env_spec=json.dumps(described | {"kwargs": "evil()"}))
    with pytest.raises(DatasetError, match="its kwargs are str, not an object"):
        load_source(hopper_like(), f"minari:{folder}", 1, 0)
