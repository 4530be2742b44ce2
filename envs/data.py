"""Offline data: generated from recipes, cached as arrays with a manifest of hashes, and the controls made from it.

An episode depends on (environment, options, recipe, data.seed, its index) alone: not on how many are made, nor on how many
are stepped together.
"""

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

from dsbench import seeds
from dsbench.envs.spec import EnvSpec
from dsbench.episodes import Episodes, Timestep, collect, concatenate
from dsbench.errors import DatasetError, UsageError
from dsbench.files import locked, read_json, to_json, write_atomic

FORMAT = 1
BLOCK = 1000  # episodes whose draws come from one stream; part of the data's definition
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


def generate(
    spec: EnvSpec, recipe: str, n_episodes: int, seed: int, on_block: Callable[[int], None] = lambda episodes: None
) -> Episodes:
    """Make the episodes 0 .. n_episodes - 1 of a recipe, without the cache."""
    if n_episodes < 1:
        raise UsageError(f"data.episodes is {n_episodes}; expected at least 1")
    behaviour = spec.recipe(recipe).behaviour
    blocks = []
    for first in range(0, n_episodes, BLOCK):
        rows = min(BLOCK, n_episodes - first)
        # Seeds and episode draws of the whole block are drawn even if fewer rows are used: row i is always the same.
        generator = seeds.stream(seed, "data", spec.id, recipe, first)
        env_seeds = generator.integers(2**32, size=BLOCK)[:rows]
        episode_draw = generator.random(BLOCK)[:rows]
        env = spec.vector(env_seeds.tolist())
        alive, steps = np.ones(rows, bool), []
        for timestep in range(spec.horizon):
            draws = generator.random((BLOCK, 2))[:rows]
            seen, mask = env.observations, env.action_mask
            actions = behaviour(seen, timestep, draws, episode_draw)
            after, rewards, terminated, truncated = env.step(actions)
            steps.append(Timestep(seen, actions, rewards, terminated, truncated, alive, after, mask))
            alive = alive & ~(terminated | truncated)
            if not alive.any():
                break
        blocks.append(collect(steps))
        on_block(first + rows)
    return concatenate(blocks)


def permuted_returns(episodes: Episodes, seed: int) -> Episodes:
    """The control whose returns say nothing: rewards are dealt out to other episodes of the same length.

    Observations and actions stay; each episode receives the whole reward sequence of one drawn at random, so lengths, the
    distribution of returns and the noise within an episode are as before.
    """
    generator = seeds.stream(seed, "permute returns")
    order = np.arange(len(episodes))
    for length in np.unique(episodes.lengths):
        same = np.flatnonzero(episodes.lengths == length)
        order[same] = generator.permutation(same)
    arrays = episodes.arrays()
    return Episodes.from_arrays(arrays | {"rewards": episodes.select(order).rewards})


def target_return(episodes: Episodes, quantile: float) -> float:
    """The return at this quantile of the data, one that occurs: the next higher one from the median up, the next lower
    one below it, so that a high and a low target lie equally far out."""
    return float(np.quantile(episodes.returns(), quantile, method="higher" if quantile >= 0.5 else "lower"))


def data_folder() -> Path:
    """Where data sets are cached: ``DSBENCH_DATA``, else ``XDG_DATA_HOME/dsbench``, else ``~/.local/share/dsbench``."""
    if chosen := os.environ.get("DSBENCH_DATA"):
        return Path(chosen)
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "dsbench"


def _header(spec: EnvSpec, recipe: str, n_episodes: int, seed: int) -> dict[str, Any]:
    """What the data is determined by; versions are stored beside it."""
    options = dict(spec.options)
    return {
        "format": FORMAT,
        "env": spec.id,
        "options": options,
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
