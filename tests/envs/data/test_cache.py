"""Offline data: the same whatever the batch, whole or not at all in the cache, and controls that keep what they should."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.envs import EnvSpec, get_spec
from dsbench.envs import data as offline
from dsbench.envs.data.cache import cache_folder
from dsbench.envs.data.generate import BLOCK
from dsbench.envs.data.source import load_source
from dsbench.errors import CannotWrite, DatasetError, UnknownName, UsageError


@pytest.fixture
def spec() -> EnvSpec:
    return get_spec("umbrella", chain_length=3, n_distractor=2)


def test_an_episode_is_the_same_however_many_are_made(spec: EnvSpec) -> None:
    few = offline.generate(spec, "mixed", 7, seed=0)
    many = offline.generate(spec, "mixed", BLOCK + 5, seed=0)
    for name, array in few.arrays().items():
        assert np.array_equal(array, many.select(range(7)).arrays()[name]), name


@settings(max_examples=15, deadline=None)
@given(timesteps=st.integers(1, 60_000), largest=st.integers(1, 400), seed=st.integers(0, 3))
def test_timesteps_take_the_first_episodes_that_have_them_however_grouped(
    timesteps: int, largest: int, seed: int
) -> None:
    spec = get_spec("cartpole", max_steps=100)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(import_module("dsbench.envs.data.generate"), "LARGEST_GROUP", max(largest, timesteps // 600))
        some = offline.generate(spec, "random", 1, seed, timesteps=timesteps)
    assert some.n_timesteps >= timesteps > some.n_timesteps - some.lengths[-1]
    whole = offline.generate(spec, "random", len(some), seed)
    assert all(np.array_equal(array, whole.arrays()[name]) for name, array in some.arrays().items())


def test_a_set_of_timesteps_is_kept_apart_and_says_how_many_were_asked_for(spec: EnvSpec, tmp_path: Path) -> None:
    _, info = offline.load_or_generate(spec, "random", 30, 0, cache_dir=tmp_path, timesteps=100)
    assert (info.episodes, info.timesteps) == (34, 102)
    assert json.loads((Path(info.path) / "manifest.json").read_text())["asked_timesteps"] == 100
    assert Path(info.path).name.startswith("random-100steps-s0-")
    assert offline.load_or_generate(spec, "random", 30, 0, cache_dir=tmp_path)[1].episodes == 30


def test_data_of_another_simulator_is_not_taken(spec: EnvSpec, tmp_path: Path) -> None:
    versions = [replace(spec, simulator={"mujoco": version}) for version in ("3.11.0", "3.12.0")]
    folders = {cache_folder(one, "random", 30, 0, tmp_path) for one in (spec, *versions)}
    assert len(folders) == 3
    _, info = offline.load_or_generate(versions[0], "random", 30, 0, cache_dir=tmp_path)
    assert json.loads((Path(info.path) / "manifest.json").read_text())["simulator"] == {"mujoco": "3.11.0"}


def test_a_set_of_before_is_not_taken_for_one_of_now_and_stays_readable(
    spec: EnvSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first generation had seeds up to 2**32 and said nothing of its number."""
    cache, header = import_module("dsbench.envs.data.cache"), import_module("dsbench.envs.data.cache")._header
    with monkeypatch.context() as before:
        before.setattr(cache, "_header", lambda *given: {k: v for k, v in header(*given).items() if k != "generation"})
        old, info = offline.load_or_generate(spec, "random", 30, 0, cache_dir=tmp_path)
    assert "generation" not in json.loads((Path(info.path) / "manifest.json").read_text())
    _, now = offline.load_or_generate(spec, "random", 30, 0, cache_dir=tmp_path)
    assert now.path != info.path
    read, _ = load_source(spec, f"folder:{info.path}", 1, 0)
    assert all(np.array_equal(array, read.arrays()[name]) for name, array in old.arrays().items())


@pytest.mark.parametrize("changed", [{"seed": 1}, {"recipe": "medium"}])
def test_seed_and_recipe_change_the_data(spec: EnvSpec, changed: dict[str, object]) -> None:
    base = {"recipe": "random", "seed": 0}
    first, second = (offline.generate(spec, n_episodes=20, **kind) for kind in (base, base | changed))
    assert not np.array_equal(first.observations, second.observations)


def test_the_cache_gives_back_what_was_made_and_says_what_it_is(spec: EnvSpec, tmp_path: Path) -> None:
    made, info = offline.load_or_generate(spec, "random", 30, 0, cache_dir=tmp_path)
    cached, again = offline.load_or_generate(spec, "random", 30, 0, cache_dir=tmp_path)
    assert info == again
    assert all(np.array_equal(a, cached.arrays()[name]) for name, a in made.arrays().items())
    manifest = json.loads((Path(info.path) / "manifest.json").read_text())
    assert manifest["options"] == {"chain_length": 3, "n_distractor": 2}
    assert manifest["libraries"].keys() >= {"bsuite", "dsbench", "gymnasium", "numpy"}
    assert info.return_quantiles["1"] == made.returns().max()


def test_a_flipped_bit_is_found_wherever_it_is(spec: EnvSpec, tmp_path: Path) -> None:
    _, info = offline.load_or_generate(spec, "random", 30, 0, cache_dir=tmp_path)
    file = Path(info.path) / "arrays.npz"
    whole = file.read_bytes()
    for place in range(0, len(whole), 37):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        file.write_bytes(damaged)
        with pytest.raises(DatasetError, match="delete the folder"):
            offline.load_or_generate(spec, "random", 30, 0, cache_dir=tmp_path)


@pytest.mark.parametrize("change", [{"file_sha256": None}, {"manifest_sha256": None}, {"format": 1}])
def test_a_manifest_of_an_older_form_is_made_anew(spec: EnvSpec, tmp_path: Path, change: dict[str, object]) -> None:
    _, info = offline.load_or_generate(spec, "random", 30, 0, cache_dir=tmp_path)
    file = Path(info.path) / "manifest.json"
    whole = file.read_text()
    manifest = json.loads(whole) | change
    file.write_text(json.dumps({key: value for key, value in manifest.items() if value is not None or key == "source"}))
    assert offline.load_or_generate(spec, "random", 30, 0, cache_dir=tmp_path)[1] == info
    assert file.read_text() == whole


def test_a_changed_manifest_is_named(spec: EnvSpec, tmp_path: Path) -> None:
    _, info = offline.load_or_generate(spec, "random", 30, 0, cache_dir=tmp_path)
    file = Path(info.path) / "manifest.json"
    file.write_text(file.read_text().replace('"timesteps": 90', '"timesteps": 91'))
    with pytest.raises(DatasetError, match=r"manifest was changed after it was written; delete the folder"):
        offline.load_or_generate(spec, "random", 30, 0, cache_dir=tmp_path)


def test_data_made_twice_is_byte_equal(spec: EnvSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [offline.load_or_generate(spec, "mixed", 30, 0, cache_dir=tmp_path / name)[1].path for name in "ab"]
    later = time.time() + 1e6
    monkeypatch.setattr(time, "time", lambda: later)
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(later))
    folders.append(offline.load_or_generate(spec, "mixed", 30, 0, cache_dir=tmp_path / "c")[1].path)
    for name in ("arrays.npz", "manifest.json"):
        assert len({(Path(folder) / name).read_bytes() for folder in folders}) == 1


def test_what_numpy_reads_is_what_was_stored(spec: EnvSpec, tmp_path: Path) -> None:
    episodes, info = offline.load_or_generate(spec, "mixed", 30, 0, cache_dir=tmp_path)
    with np.load(Path(info.path) / "arrays.npz") as archive:
        assert all(np.array_equal(archive[name], array) for name, array in episodes.arrays().items())


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_manifest_that_cannot_be_read_is_named_with_the_way_out(spec: EnvSpec, tmp_path: Path, text: str) -> None:
    _, info = offline.load_or_generate(spec, "random", 30, 0, cache_dir=tmp_path)
    (Path(info.path) / "manifest.json").write_text(text)
    with pytest.raises(DatasetError, match=r"manifest.json cannot be read .*; delete the folder"):
        offline.load_or_generate(spec, "random", 30, 0, cache_dir=tmp_path)


def test_a_cache_that_cannot_be_written_is_told_with_the_way_out(spec: EnvSpec, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite, match="choose another folder with DSBENCH_DATA=DIR"):
        offline.load_or_generate(spec, "random", 30, 0, cache_dir=tmp_path / "file")


def test_a_missing_file_is_named(spec: EnvSpec, tmp_path: Path) -> None:
    _, info = offline.load_or_generate(spec, "random", 30, 0, cache_dir=tmp_path)
    (Path(info.path) / "arrays.npz").unlink()
    with pytest.raises(DatasetError, match=r"arrays.npz cannot be read"):
        offline.load_or_generate(spec, "random", 30, 0, cache_dir=tmp_path)


def test_a_folder_without_manifest_is_made_anew(spec: EnvSpec, tmp_path: Path) -> None:
    _, info = offline.load_or_generate(spec, "random", 30, 0, cache_dir=tmp_path)
    (Path(info.path) / "manifest.json").unlink()
    assert offline.load_or_generate(spec, "random", 30, 0, cache_dir=tmp_path)[1] == info


ASK = """
import sys
from pathlib import Path
from dsbench.envs import get_spec
from dsbench.envs.data import load_or_generate
spec = get_spec("umbrella", chain_length=3, n_distractor=2)
print(load_or_generate(spec, "random", 300, 0, cache_dir=Path(sys.argv[1]))[1].sha256)
"""


def test_processes_that_want_the_same_data_at_once_get_the_same(tmp_path: Path) -> None:
    asking = [
        subprocess.Popen([sys.executable, "-c", ASK, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    answers = {process.communicate(timeout=60)[0].strip() for process in asking}
    spec = get_spec("umbrella", chain_length=3, n_distractor=2)
    assert answers == {offline.load_or_generate(spec, "random", 300, 0, cache_dir=tmp_path)[1].sha256}


def test_permuted_returns_keep_all_but_the_link_between_action_and_return(spec: EnvSpec) -> None:
    episodes = offline.generate(spec, "expert", 4_000, seed=0)
    control = offline.permuted_returns(episodes, seed=0)
    assert np.array_equal(control.observations, episodes.observations)
    assert np.array_equal(control.actions, episodes.actions)
    assert sorted(control.returns()) == sorted(episodes.returns())
    assert not np.array_equal(control.returns(), episodes.returns())
    need = episodes.observations[episodes.starts[:-1], 0]
    assert abs(np.corrcoef(control.returns(), need)[0, 1]) < 0.06


def test_an_unknown_recipe_or_no_episodes_is_refused_in_a_sentence(spec: EnvSpec, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'expert'"):
        offline.load_or_generate(spec, "expret", 10, 0, cache_dir=tmp_path)
    with pytest.raises(UsageError, match="data.episodes is 0"):
        offline.generate(spec, "random", 0, seed=0)
