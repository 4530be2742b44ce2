"""The cache of data sets: a folder each, arrays and a manifest with their hashes, written whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from dsbench.envs.data.generate import generate
from dsbench.envs.spec import EnvSpec
from dsbench.episodes import Episodes
from dsbench.errors import DatasetError
from dsbench.files import locked, read_json, to_json, write_atomic

FORMAT = 2  # part of a folder's name, so that data of another format is made anew and never misread
LIBRARIES = ("bsuite", "gymnasium", "numpy")
MANIFEST_KEYS = {
    "env",
    "options",
    "recipe",
    "seed",
    "episodes",
    "timesteps",
    "file_sha256",
    "sha256",
    "return_quantiles",
}
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True)
class DataInfo:
    """What a data set is; stored in its manifest and in every run that used it."""

    env: str
    options: dict[str, Any]
    recipe: str
    seed: int
    episodes: int
    timesteps: int
    sha256: str  # over all arrays
    return_quantiles: dict[str, float]
    path: str


def load_or_generate(
    spec: EnvSpec,
    recipe: str,
    n_episodes: int,
    seed: int,
    cache_dir: Path | None = None,
    on_block: Callable[[int], None] = lambda episodes: None,
) -> tuple[Episodes, DataInfo]:
    """The data set from the cache, or made now and cached; two processes at once make it once.

    Args:
        on_block: called with the number of episodes made so far, for progress.

    Raises:
        UnknownName: no such recipe.
        DatasetError: a cached file is not what its manifest says; names the folder to delete.
    """
    spec.recipe(recipe)
    folder = (cache_dir or data_folder()) / spec.id / _cache_name(spec, recipe, n_episodes, seed)
    with locked(folder.with_suffix(".lock")):
        if not (folder / "manifest.json").exists():
            _store(folder, generate(spec, recipe, n_episodes, seed, on_block), _header(spec, recipe, n_episodes, seed))
    return _load(folder)


def data_folder() -> Path:
    """Where data sets are cached: ``DSBENCH_DATA``, else ``XDG_DATA_HOME/dsbench``, else ``~/.local/share/dsbench``."""
    if chosen := os.environ.get("DSBENCH_DATA"):
        return Path(chosen)
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "dsbench"


def _header(spec: EnvSpec, recipe: str, n_episodes: int, seed: int) -> dict[str, Any]:
    """What the data is determined by; versions are stored beside it."""
    return {
        "format": FORMAT,
        "env": spec.id,
        "options": dict(spec.options),
        "stored": dict(spec.stored),
        "recipe": recipe,
        "episodes": n_episodes,
        "seed": seed,
    }


def _cache_name(spec: EnvSpec, recipe: str, n_episodes: int, seed: int) -> str:
    digest = hashlib.sha256(json.dumps(_header(spec, recipe, n_episodes, seed), sort_keys=True).encode()).hexdigest()
    return f"{recipe}-{n_episodes}-s{seed}-{digest[:10]}"


def _store(folder: Path, episodes: Episodes, header: dict[str, Any]) -> None:
    """Arrays first, the manifest last: a folder with a manifest is whole."""
    arrays = episodes.arrays()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    hashes = {name: _hash(array) for name, array in arrays.items()}
    returns = episodes.returns()
    manifest = header | {
        "arrays": hashes,
        "file_sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
        "sha256": hashlib.sha256("".join(hashes[name] for name in sorted(hashes)).encode()).hexdigest(),
        "timesteps": episodes.n_timesteps,
        "return_quantiles": {f"{q:g}": float(np.quantile(returns, q)) for q in QUANTILES},
        "libraries": {name: version(name) for name in LIBRARIES},
    }
    write_atomic(folder / "arrays.npz", buffer.getvalue())
    write_atomic(folder / "manifest.json", to_json(manifest))


def _load(folder: Path) -> tuple[Episodes, DataInfo]:
    manifest = read_json(folder / "manifest.json")
    if missing := MANIFEST_KEYS - set(manifest):
        raise DatasetError(
            f"{folder / 'manifest.json'} lacks {sorted(missing)}; delete the folder {folder} and run again to make it anew"
        )
    file = folder / "arrays.npz"
    way_out = f"delete the folder {folder} and run again to make it anew"
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DatasetError(f"{file} cannot be read ({error.strerror}); {way_out}") from error
    if hashlib.sha256(data).hexdigest() != manifest["file_sha256"]:  # before anything in it is parsed
        raise DatasetError(f"{file} is not what its manifest says; {way_out}")
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    info = DataInfo(
        env=manifest["env"],
        options=manifest["options"],
        recipe=manifest["recipe"],
        seed=manifest["seed"],
        episodes=manifest["episodes"],
        timesteps=manifest["timesteps"],
        sha256=manifest["sha256"],
        return_quantiles=manifest["return_quantiles"],
        path=str(folder),
    )
    return Episodes.from_arrays(arrays), info


def _hash(array: np.ndarray) -> str:
    """sha256 over dtype, shape and bytes."""
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
