"""The cache of data sets made from recipes: a folder each, made once however many processes ask for it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dsbench.envs.data.folder import (
    FORMAT,
    MANIFEST,
    DataInfo,
    IncompleteManifest,
    load_folder,
    read_manifest,
    store_folder,
)
from dsbench.envs.data.generate import generate
from dsbench.envs.spec import EnvSpec
from dsbench.episodes import Episodes
from dsbench.files import locked
from dsbench.stopping import raise_if_asked

GENERATION = 3  # raised when the same recipe and seed begin to give other episodes; the sets of before stay readable
KEY = "key"  # of a manifest: sha256 over all that the data is determined by
IMPORTED = "imported"  # folder of the sets that came from elsewhere; no environment is called so


def load_or_generate(
    spec: EnvSpec,
    recipe: str,
    n_episodes: int,
    seed: int,
    cache_dir: Path | None = None,
    on_block: Callable[[int], None] = lambda made: None,
    *,
    timesteps: int | None = None,
) -> tuple[Episodes, DataInfo]:
    """The data set from the cache, or made now and cached; two processes at once make it once.

    A folder without a manifest, or with one that lacks something or was written for other data, is made anew.

    Args:
        n_episodes, on_block, timesteps: as of `generate`.

    Raises:
        UnknownName: no such recipe.
        DatasetError: a cached file is not what its manifest says; names the folder to delete.
    """
    spec.recipe(recipe)
    folder = cache_folder(spec, recipe, n_episodes, seed, cache_dir, timesteps=timesteps)
    with locked(lock_of(folder), on_wait=lambda: _waiting(on_block)):
        header = _header(spec, recipe, n_episodes, seed, timesteps)
        key = _digest(header)
        if not _is_current(folder, key):
            del header["format"]
            header |= {KEY: key}
            episodes = generate(spec, recipe, n_episodes, seed, on_block, timesteps=timesteps)
            if not _is_current(folder, key):  # where locks do not hold between hosts, another one may have been quicker
                store_folder(folder, episodes, header)
    return load_folder(folder)


def cache_folder(
    spec: EnvSpec,
    recipe: str,
    n_episodes: int,
    seed: int,
    cache_dir: Path | None = None,
    *,
    timesteps: int | None = None,
) -> Path:
    """Where this data set is kept."""
    size = f"{n_episodes}" if timesteps is None else f"{timesteps}steps"
    key = key_of(spec, recipe, n_episodes, seed, timesteps=timesteps)
    return (cache_dir or data_folder()) / spec.id / f"{recipe}-{size}-s{seed}-{key[:10]}"


def key_of(spec: EnvSpec, recipe: str, n_episodes: int, seed: int, *, timesteps: int | None = None) -> str:
    """sha256 over all that these episodes are determined by."""
    return _digest(_header(spec, recipe, n_episodes, seed, timesteps))


def data_folder() -> Path:
    """Where data sets are cached: ``DSBENCH_DATA``, else ``XDG_DATA_HOME/dsbench``, else ``~/.local/share/dsbench``."""
    if chosen := os.environ.get("DSBENCH_DATA"):
        return Path(chosen)
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "dsbench"


def lock_of(folder: Path) -> Path:
    """The file that is locked while `folder` is looked at or written."""
    return folder.parent / f".{folder.name}.lock"


def _waiting(on_block: Callable[[int], None]) -> None:
    """Another process makes the set; whoever asked is told that nothing hangs, and may be asked to stop."""
    on_block(0)
    raise_if_asked()


def _is_current(folder: Path, key: str) -> bool:
    """Whether a whole set of the present format that was made under this key is there, damaged or not."""
    try:
        return (folder / MANIFEST).exists() and read_manifest(folder).get(KEY) == key
    except IncompleteManifest:
        return False


def _header(spec: EnvSpec, recipe: str, n_episodes: int, seed: int, timesteps: int | None) -> dict[str, Any]:
    """All that can change the data: who makes it and how it was asked for, and the libraries that it is made with."""
    size = {"episodes": n_episodes} if timesteps is None else {"asked_timesteps": timesteps}
    return {
        **({"simulator": dict(spec.simulator)} if spec.simulator else {}),
        **size,
        "format": FORMAT,
        "generation": GENERATION,
        "env": spec.id,
        "options": dict(spec.options),
        "stored": dict(spec.stored),
        "origin": asdict(spec.origin),
        "recipe": recipe,
        "seed": seed,
    }


def _digest(header: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()
