"""A source of data as one text: what it loads, how it is named in a run, and what it refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dsbench.envs import EnvSpec, get_spec
from dsbench.envs.data import generate, load_or_generate
from dsbench.envs.data.source import export_folder, import_source, load_source, source_hash
from dsbench.errors import DatasetError, UnknownName, UsageError
from tests.envs.data.formats import fingerprint, flat_arrays, toy, write_d4rl


@pytest.fixture
def spec() -> EnvSpec:
    return get_spec("umbrella", chain_length=3, n_distractor=2)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_d4rl(tmp_path / "x.hdf5", flat_arrays())


def test_a_recipe_is_itself(spec: EnvSpec, tmp_path: Path) -> None:
    episodes, info = load_source(spec, "mixed", 20, 3, cache_dir=tmp_path)
    assert fingerprint(episodes) == fingerprint(generate(spec, "mixed", 20, 3))
    assert (info.recipe, info.seed, info.source) == ("mixed", 3, None)
    assert source_hash("mixed") == "mixed"


def test_an_imported_set_is_what_the_file_holds_and_says_where_it_came_from(file: Path, tmp_path: Path) -> None:
    direct, said = load_source(toy(), f"d4rl:{file}", 1, 0)
    stored, report = import_source(toy(), f"d4rl:{file}", "mine", cache_dir=tmp_path)
    loaded, info = load_source(toy(), "imported:mine", 1, 0, cache_dir=tmp_path)
    assert fingerprint(direct) == fingerprint(loaded)
    assert stored == info
    assert said.sha256 == info.sha256
    assert (info.recipe, info.seed, report.episodes) == ("d4rl:x.hdf5", None, 6)
    assert info.source is not None and info.source["file"] == "x.hdf5"
    assert str(tmp_path) not in json.dumps([said.source, info.source, said.recipe])  # records travel, paths do not


def test_a_bad_file_leaves_nothing_behind_and_good_episodes_can_be_kept(tmp_path: Path) -> None:
    arrays = flat_arrays()
    arrays["rewards"][25] = np.nan
    file = write_d4rl(tmp_path / "x.hdf5", arrays)
    with pytest.raises(DatasetError, match="rewards, episode 2, index 25"):
        import_source(toy(), f"d4rl:{file}", "mine", cache_dir=tmp_path)
    with pytest.raises(UsageError, match="no data set in"):
        load_source(toy(), "imported:mine", 1, 0, cache_dir=tmp_path)
    info, report = import_source(toy(), f"d4rl:{file}", "mine", cache_dir=tmp_path, drop_bad_episodes=True)
    assert (info.episodes, report.dropped_episodes) == (5, 1)


def test_a_name_is_kept_unless_replacing_was_asked_for(file: Path, tmp_path: Path) -> None:
    import_source(toy(), f"d4rl:{file}", "mine", cache_dir=tmp_path)
    other = write_d4rl(tmp_path / "y.hdf5", flat_arrays(seed=1))
    with pytest.raises(UsageError, match="exists already; choose another --name"):
        import_source(toy(), f"d4rl:{other}", "mine", cache_dir=tmp_path)
    before = source_hash("imported:mine", tmp_path)
    import_source(toy(), f"d4rl:{other}", "mine", cache_dir=tmp_path, force=True)
    assert source_hash("imported:mine", tmp_path) != before


def test_the_hash_follows_the_content_and_not_the_place(file: Path, tmp_path: Path, spec: EnvSpec) -> None:
    moved = tmp_path / "elsewhere.hdf5"
    shutil.copy(file, moved)
    assert source_hash(f"d4rl:{file}") == source_hash(f"d4rl:{moved}")
    assert source_hash(f"d4rl:{write_d4rl(moved, flat_arrays(1))}") != source_hash(f"d4rl:{file}")
    episodes, info = load_or_generate(spec, "mixed", 20, 0, cache_dir=tmp_path)
    folder = export_folder(spec, episodes, info, tmp_path / "out")
    assert source_hash(f"folder:{folder}") == source_hash(f"folder:{info.path}") == f"folder:{info.sha256}"


def test_an_exported_folder_comes_back_and_is_not_overwritten(spec: EnvSpec, tmp_path: Path) -> None:
    episodes, info = load_or_generate(spec, "mixed", 20, 0, cache_dir=tmp_path)
    folder = export_folder(spec, episodes, info, tmp_path / "out")
    back, said = load_source(spec, f"folder:{folder}", 1, 0)
    assert fingerprint(back) == fingerprint(episodes)
    assert (said.recipe, said.seed, said.sha256) == ("mixed", 0, info.sha256)
    assert (folder / "arrays.npz").read_bytes() == (Path(info.path) / "arrays.npz").read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        export_folder(spec, episodes, info, folder)


def test_data_of_another_environment_or_other_options_is_refused(spec: EnvSpec, tmp_path: Path) -> None:
    episodes, info = load_or_generate(spec, "mixed", 20, 0, cache_dir=tmp_path)
    folder = export_folder(spec, episodes, info, tmp_path / "out")
    with pytest.raises(DatasetError, match=r"options: made in .*'chain_length': 3.* --set env.OPTION=VALUE"):
        load_source(get_spec("umbrella", chain_length=4, n_distractor=2), f"folder:{folder}", 1, 0)
    with pytest.raises(DatasetError, match="env: made in 'umbrella-v0', and this is 'toy-v0'"):
        load_source(toy(), f"folder:{folder}", 1, 0)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("d4r:x", UnknownName, "unknown kind of data source 'd4r'. Did you mean 'd4rl'"),
        ("d4rl:", UsageError, "names nothing after the colon"),
        ("d4rl:/nowhere/x.hdf5", DatasetError, "no such file"),
        ("d4rl:x\0y", UsageError, "names nothing"),
        ("imported:../x", UsageError, "cannot be a file name"),
        ("imported:nothing", UsageError, "no data set in"),
        ("folder:/nowhere", UsageError, "no data set in"),
        ("mixd", UnknownName, "Did you mean 'mixed'"),
    ],
)
def test_a_text_that_names_nothing_is_refused(
    spec: EnvSpec, tmp_path: Path, text: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        load_source(spec, text, 1, 0, cache_dir=tmp_path)


def test_a_recipe_is_not_imported_and_a_name_is_a_name(file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'mixed' cannot be imported"):
        import_source(toy(), "mixed", "mine", cache_dir=tmp_path)
    with pytest.raises(UsageError, match="name of the set"):
        import_source(toy(), f"d4rl:{file}", "../mine", cache_dir=tmp_path)


IMPORT = """
import sys
from pathlib import Path
from dsbench.envs.data.source import import_source
from tests.envs.data.formats import toy
import_source(toy(), f"d4rl:{sys.argv[1]}", "mine", cache_dir=Path(sys.argv[2]), force=True)
"""


def test_processes_that_import_at_once_leave_one_whole_set(file: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", IMPORT, str(file), str(tmp_path)]
    importing = [subprocess.Popen(command, cwd=Path(__file__).parents[3]) for _ in range(3)]
    assert [process.wait(timeout=60) for process in importing] == [0, 0, 0]
    assert load_source(toy(), "imported:mine", 1, 0, cache_dir=tmp_path)[1].episodes == 6
