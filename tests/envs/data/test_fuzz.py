"""Damaged and hostile files: the outcome is a refusal in one line or exactly the original data, and nothing else.

A file without checksums (a D4RL file written without gzip, a Minari file of others) cannot show a flipped bit in its
numbers to anyone; for these the sum must be given, as ``--sha256``, or only the manner of failing can be tested.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dsbench.envs import get_spec
from dsbench.envs.data import generate, load_or_generate
from dsbench.envs.data.archive import pack, unpack
from dsbench.envs.data.contract import build_episodes
from dsbench.envs.data.d4rl import read_d4rl
from dsbench.envs.data.faults import file_sha256
from dsbench.envs.data.folder import describe, info_of, load_folder, store_folder
from dsbench.envs.data.minari_export import export_minari
from dsbench.envs.data.source import export_folder, load_source, read_source
from dsbench.episodes import Episodes
from dsbench.errors import DatasetError
from tests.envs.data.formats import N, damaged, fingerprint, flat_arrays, outcome, toy, toy_episodes, write_d4rl

SMALL, LARGE = 60, 20_000
HARMLESS = {"refused", "reader died", "same"}
FORMATS = ("d4rl gzip", "d4rl sum", "minari data", "minari metadata", "folder arrays", "folder manifest")


def target(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Callable[[], Episodes]]:
    """The file to damage, and the loader that reads it."""
    spec = toy()
    if kind.startswith("d4rl"):
        path = write_d4rl(folder / "x.hdf5", flat_arrays(), **({} if kind == "d4rl gzip" else {"chunks": None}))
        known = {} if kind == "d4rl gzip" else {"sha256": file_sha256(path)}
        return path, lambda: read_source(spec, f"d4rl:{path}", **known)[0]
    episodes = toy_episodes(spec)
    info = info_of(describe(episodes, {"env": spec.id, "options": dict(spec.options), "recipe": "mixed"}), folder)
    if kind.startswith("minari"):
        monkeypatch.setenv("MINARI_DATASETS_PATH", str(folder))
        data = export_minari(spec, episodes, info, "test/data-v0") / "data"
        name = "main_data.hdf5" if kind == "minari data" else "metadata.json"
        return data / name, lambda: read_source(spec, f"minari:{data}")[0]
    export_folder(spec, episodes, info, folder / "set")
    name = "arrays.npz" if kind == "folder arrays" else "manifest.json"
    return folder / "set" / name, lambda: load_source(spec, f"folder:{folder / 'set'}", 1, 0)[0]


def campaign(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch, count: int, seed: int) -> Counter[str]:
    path, load = target(kind, folder, monkeypatch)
    whole, original = path.read_bytes(), fingerprint(load())
    rng, seen = np.random.default_rng(seed), Counter[str]()
    for _ in range(count):
        path.write_bytes(damaged(whole, rng))
        seen[outcome(load, original)] += 1
    return seen


@pytest.mark.parametrize("kind", FORMATS)
def test_a_damaged_file_is_refused_or_harmless(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = campaign(kind, tmp_path, monkeypatch, SMALL, seed=0)
    assert set(seen) <= HARMLESS, seen
    assert seen["refused"] > SMALL / 5


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", FORMATS)
def test_many_damaged_files_are_refused_or_harmless(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = int(os.environ.get("DSBENCH_FUZZ", LARGE))
    seen = campaign(kind, tmp_path, monkeypatch, count, seed=1)
    print(f"{kind}: {count:,} inputs, {dict(seen)}")
    assert set(seen) <= HARMLESS, seen


def test_without_checksums_damage_still_fails_in_one_manner(tmp_path: Path) -> None:
    path = write_d4rl(tmp_path / "x.hdf5", flat_arrays(), chunks=None)
    assert "no checksums" in read_d4rl(path).warnings[0]
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(SMALL):
        path.write_bytes(damaged(whole, rng))
        try:
            episodes = read_source(toy(), f"d4rl:{path}")[0]
        except DatasetError:
            continue
        assert np.isfinite(episodes.observations).all() and np.isfinite(episodes.rewards).all()
        assert (abs(episodes.actions) <= 1).all()


SHAPES = st.lists(st.sampled_from([0, 1, 2, 3, N - 1, N]), max_size=3).map(tuple)
DTYPES = st.sampled_from(["f4", "f8", "f2", "i1", "i8", "u1", "u8", "?", "S3", "c8", ">f4", "f4,i2"])
VALUES = st.sampled_from([0, 1, -1, 0.5, 3, 1e6, np.nan, np.inf])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(flat_arrays())),
    shape=st.none() | SHAPES,
    dtype=DTYPES,
    value=VALUES,
    drop=st.booleans(),
)
def test_any_array_in_any_place_is_data_or_refused(
    tmp_path: Path, name: str, shape: tuple[int, ...] | None, dtype: str, value: float, drop: bool
) -> None:
    arrays = flat_arrays()
    with np.errstate(all="ignore"):
        strange = np.full(arrays[name].shape if shape is None else shape, value).astype(dtype)
    with h5py.File(tmp_path / "x.hdf5", "w") as file:
        for key, array in (arrays | {name: strange}).items():
            file[key] = array
    try:
        episodes, _ = build_episodes(toy(), read_d4rl(tmp_path / "x.hdf5"), drop)
    except DatasetError:
        return
    assert np.isfinite(episodes.observations).all() and np.isfinite(episodes.rewards).all()
    assert (abs(episodes.actions) <= 1).all()
    assert (episodes.lengths <= toy().horizon).all()


class Crafted:
    """Has the interface of episodes and checks nothing."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays = lambda: arrays
        self.returns = lambda: np.zeros(3)
        self.n_timesteps = int(arrays["starts"].max())
        self.count = len(arrays["starts"]) - 1

    def __len__(self) -> int:
        return self.count


def crafted() -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Sets whose hashes are all right and whose arrays are not."""
    good = toy_episodes(toy()).arrays()
    n = len(good["rewards"])
    yield "too few rewards", good | {"rewards": good["rewards"][:-1]}
    yield "no actions", {name: array for name, array in good.items() if name != "actions"}
    yield "float starts", good | {"starts": good["starts"].astype(float)}
    yield "starts backwards", good | {"starts": good["starts"][::-1].copy()}
    yield "huge starts", good | {"starts": np.array([0, 2**62])}
    yield "a number for actions", good | {"actions": np.array(3)}
    yield "text for rewards", good | {"rewards": np.array(["x"] * n)}
    yield "NaN", good | {"rewards": good["rewards"] * np.nan}
    yield "wild actions", good | {"actions": good["actions"] + 5}
    yield "no end", good | {"terminated": np.zeros(n, bool), "truncated": np.zeros(n, bool)}
    yield "records", good | {"rewards": np.zeros(n, "f4,i2")}


@pytest.mark.parametrize(("name", "arrays"), list(crafted()))
def test_a_crafted_folder_with_right_hashes_is_refused(tmp_path: Path, name: str, arrays: Any) -> None:
    spec = toy()
    header = {"env": spec.id, "options": dict(spec.options), "recipe": "mixed", "seed": 0}
    store_folder(tmp_path / "set", Crafted(arrays), header)  # type: ignore[arg-type]
    with pytest.raises(DatasetError):
        load_source(spec, f"folder:{tmp_path / 'set'}", 1, 0)


def test_an_archive_is_never_unpickled_nor_larger_than_it_says(tmp_path: Path) -> None:
    def archive(*members: tuple[str, bytes]) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
            for name, data in members:
                file.writestr(name, data)
        return buffer.getvalue()

    def npy(array: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=True)
        return buffer.getvalue()

    huge = npy(np.zeros(4)).replace(b"(4,)", b"(4000000000000,)").replace(b" " * 12 + b"\n", b"\n")
    cases = {
        "objects": archive(("a.npy", npy(np.array([{}, open], dtype=object)))),
        "huge": archive(("a.npy", huge)),
        "nothing": archive(("a.npy", b"")),
        "a bomb": archive(("a.npy", bytes(10**7))),
        "no zip": b"<html>",
    }
    for name, data in cases.items():
        with pytest.raises(DatasetError):
            unpack(data, tmp_path / name / "arrays.npz", max_bytes=10**6)
    good = {"a": np.arange(6).reshape(2, 3), "b": np.zeros((0, 4), np.float32)}
    back = unpack(pack(good), tmp_path, 10**6)
    assert all(np.array_equal(back[name], array) and back[name].dtype == array.dtype for name, array in good.items())


def test_an_interrupted_write_leaves_no_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = get_spec("umbrella", chain_length=3, n_distractor=0)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", stop)
        with pytest.raises(KeyboardInterrupt):
            load_or_generate(spec, "random", 20, 0, cache_dir=tmp_path)
    assert [path.suffix for path in tmp_path.glob("*/*")] == [".lock"]
    episodes, info = load_or_generate(spec, "random", 20, 0, cache_dir=tmp_path)
    assert fingerprint(episodes) == fingerprint(generate(spec, "random", 20, 0))
    store_folder(Path(info.path), episodes, {"env": spec.id, "options": {}, "recipe": "random", "seed": 0})
    assert load_folder(Path(info.path))[1].options == {}


@pytest.mark.parametrize("death", [os.abort, lambda: os.kill(os.getpid(), 9), lambda: os._exit(3), exit])
def test_a_file_that_kills_its_reader_is_refused(
    death: Callable[[], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from dsbench.envs.data import source

    path = write_d4rl(tmp_path / "x.hdf5", flat_arrays())
    monkeypatch.setattr(source, "read_d4rl", lambda *_: death())
    with pytest.raises(DatasetError, match=r"x.hdf5: so damaged that the process reading it ended by (signal|code) \d"):
        read_source(toy(), f"d4rl:{path}")
    assert capfd.readouterr().err == ""
