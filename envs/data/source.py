"""Where episodes come from, as one text: a recipe, or a kind and a place.

=====================  =================================================================
``mixed``              a recipe of the environment, made and cached
``d4rl:FILE``          an HDF5 file in D4RL's layout
``minari:ID``          a Minari data set under its root; ``minari:FOLDER`` works as well
``imported:NAME``      a set stored by ``dsbench data import``
``folder:FOLDER``      a folder written by ``dsbench data export`` or found in the cache
=====================  =================================================================
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from dsbench.envs.data.cache import IMPORTED, data_folder, load_or_generate, lock_of
from dsbench.envs.data.contract import RawData, build_episodes, raw_of
from dsbench.envs.data.d4rl import known_file_warning, read_d4rl
from dsbench.envs.data.faults import DEFAULT_MAX_BYTES, fault, file_sha256, read_foreign_json
from dsbench.envs.data.folder import (
    MANIFEST,
    DataInfo,
    describe,
    info_of,
    load_folder,
    read_manifest,
    store_folder,
)
from dsbench.envs.data.hashing import content_sha256, known_sha256
from dsbench.envs.data.hdf5 import load_h5py
from dsbench.envs.data.isolation import read_isolated
from dsbench.envs.data.minari import MAIN, METADATA, check_env, find_minari, own_entry, read_minari
from dsbench.envs.data.physics import check_physics, d4rl_physics, header_entry, own_physics, physics_of, same_task
from dsbench.envs.data.report import Report
from dsbench.envs.spec import EnvSpec
from dsbench.episodes import Episodes
from dsbench.errors import DatasetError, UnknownName, UsageError
from dsbench.files import check_name, locked, to_json

KINDS = ("d4rl", "minari", IMPORTED, "folder")


def load_source(
    spec: EnvSpec,
    text: str,
    n_episodes: int,
    seed: int,
    *,
    timesteps: int | None = None,
    cache_dir: Path | None = None,
    on_block: Callable[[int], None] = lambda made: None,
    **options: Any,
) -> tuple[Episodes, DataInfo]:
    """Episodes for `spec` from the source that `text` names.

    Args:
        n_episodes, timesteps, seed: of a recipe; what comes from elsewhere is taken whole.
        **options: of `read_source`.

    Raises:
        UsageError: no such source.
        DatasetError: the data cannot be trusted or belongs to another environment.
    """
    kind, place = split_source(text)
    if kind is None:
        episodes, info = load_or_generate(spec, text, n_episodes, seed, cache_dir, on_block, timesteps=timesteps)
        return episodes, replace(info, physics=physics_of(spec))
    allow = bool(options.get("allow_other_physics"))
    if kind == "folder":
        return _load_own(spec, Path(place), allow)
    if kind == IMPORTED:
        folder = _own_folder(kind, place, cache_dir)
        with locked(lock_of(folder)):  # it may be replaced meanwhile
            return _load_own(spec, folder, allow)
    episodes, header, _ = read_source(spec, text, **options)
    return episodes, info_of(describe(episodes, header), Path(place))


def check_source(spec: EnvSpec, text: str, allow_other_physics: bool, cache_dir: Path | None = None) -> None:
    """All that can be told of a source without reading its data: the recipe exists, the task and its physics fit."""
    kind, place = split_source(text)
    if kind is None:
        spec.recipe(text)
    elif kind == "d4rl":
        check_physics(spec, Path(place), d4rl_physics(spec), allow_other_physics)
    elif kind == "minari":
        check_env(spec, find_minari(place), allow_other_physics)
    else:
        _check_made_in(spec, _own_folder(kind, place, cache_dir), allow_other_physics)


def import_source(
    spec: EnvSpec, text: str, name: str, *, cache_dir: Path | None = None, force: bool = False, **options: Any
) -> tuple[DataInfo, Report]:
    """Read a source from elsewhere once, and keep what came out as ``imported:NAME``.

    Args:
        force: replace a set of that name.
        **options: of `read_source`.
    """
    folder = _own_folder(IMPORTED, check_name(name, "name of the set"), cache_dir)
    if split_source(text)[0] not in ("d4rl", "minari"):
        raise UsageError(f"{text!r} cannot be imported; expected d4rl:FILE or minari:ID")
    with locked(lock_of(folder)):
        if folder.exists() and not force:
            raise UsageError(f"{folder} exists already; choose another --name, or replace it with --force")
        episodes, header, report = read_source(spec, text, **options)
        store_folder(folder, episodes, header)
        return load_folder(folder)[1], report


def export_folder(spec: EnvSpec, episodes: Episodes, info: DataInfo, folder: Path) -> Path:
    """Write episodes as a folder that ``folder:FOLDER`` reads back; an existing one is never replaced."""
    if folder.exists():
        raise UsageError(f"{folder} exists already; delete it, or choose another folder")
    origin = {"recipe": info.recipe, "seed": info.seed, "source": info.source}
    store_folder(folder, episodes, _made_in(spec) | origin | header_entry(info.physics))
    return folder


def read_source(
    spec: EnvSpec,
    text: str,
    *,
    drop_bad_episodes: bool = False,
    max_episode_steps: int | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
    download: bool = False,
    sha256: str | None = None,
    allow_other_physics: bool = False,
    on_episode: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Episodes, dict[str, Any], Report]:
    """Episodes of a d4rl or minari source, the header of their manifest, and the loader's report.

    Args:
        drop_bad_episodes: leave out episodes with a fault instead of refusing them all.
        max_episode_steps: for D4RL files without ``timeouts``.
        max_bytes: largest file, and largest sum of what is read from it.
        download: let Minari fetch an id that is not here.
        sha256: what the file's sum must be.
        allow_other_physics: take what another version of the environment made, see `dsbench.envs.data.physics`.
        on_episode: called with the number of episodes read and that of all, for progress.
    """
    kind, place = split_source(text)
    if max_episode_steps is not None and max_episode_steps < 1:
        raise UsageError(f"--max-episode-steps is {max_episode_steps}; expected at least 1")
    if kind == "minari" and max_episode_steps is not None:
        raise UsageError(
            f"--max-episode-steps {max_episode_steps} says where a D4RL file without timeouts was cut, and a Minari set says "
            "that itself; leave it out"
        )
    folder = find_minari(place, download) if kind == "minari" else Path(place)
    file = folder / MAIN if kind == "minari" else folder
    found = file_sha256(file) if file.is_file() else ""
    if sha256 is not None and found != sha256.lower():
        raise fault(file, "", f"its sha256 is {found or 'none'}, not {sha256}", "get the file again")
    check_source(spec, text, allow_other_physics)
    load_h5py()  # before the child, which then has it

    def read(progress: Callable[[int, int], None]) -> RawData:
        if kind == "minari":
            return read_minari(spec, folder, drop_bad_episodes, max_bytes, progress, allow_other_physics)
        raw = read_d4rl(file, max_episode_steps, max_bytes, spec.foreign.cut_at_jumps)
        return replace(raw, physics=d4rl_physics(spec))

    raw = read_isolated(file, read, max_bytes, on_episode)
    if kind == "d4rl" and (changed := known_file_warning(file, found)):
        raw = replace(raw, warnings=(*raw.warnings, changed))
    episodes, report = build_episodes(spec, raw, drop_bad_episodes)
    header = _made_in(spec) | header_entry(raw.physics)
    header |= {
        "recipe": f"{kind}:{_short_name(folder)}",
        "source": {"file": file.name, "file_sha256": found, "report": asdict(report)},
    }
    if kind == "minari" and not report.dropped_episodes:
        _compare_with_export(folder, episodes, header)
    return episodes, header, report


def source_hash(text: str, cache_dir: Path | None = None) -> str:
    """What stands for a source in the name of a run: the text of a recipe, else kind and hash of the content.

    The hash is computed from the data; what a manifest claims is compared with it. Of a file that did not change since
    it is known.
    """
    kind, place = split_source(text)
    if kind is None:
        return text
    if kind in (IMPORTED, "folder"):
        return f"{kind}:{content_sha256(_own_folder(kind, place, cache_dir))}"
    if kind == "minari":
        folder = find_minari(place)
        sums = known_sha256(folder / METADATA) + known_sha256(folder / MAIN)
        return f"{kind}:{hashlib.sha256(sums.encode()).hexdigest()}"
    return f"{kind}:{known_sha256(Path(place))}"


def split_source(text: str) -> tuple[str | None, str]:
    """(kind, place); the kind is None for a recipe."""
    kind, colon, place = text.partition(":")
    if not colon:
        return None, text
    if kind not in KINDS:
        raise UnknownName("kind of data source", kind, KINDS, where="such as d4rl:FILE or minari:ID")
    if not place or "\0" in place:
        raise UsageError(f"data source {text!r} names nothing after the colon")
    return kind, place


def _own_folder(kind: str, place: str, cache_dir: Path | None) -> Path:
    if kind == "folder":
        return Path(place)
    return (cache_dir or data_folder()) / IMPORTED / check_name(place, "name of the set")


def _load_own(spec: EnvSpec, folder: Path, allow_other_physics: bool) -> tuple[Episodes, DataInfo]:
    """A folder of ours, whoever gave it to us: the hashes first, then the same judgement as for foreign data."""
    physics = _check_made_in(spec, folder, allow_other_physics)
    episodes, info = load_folder(folder)
    judged, _ = build_episodes(spec, raw_of(episodes, folder))
    return judged, replace(info, physics=physics)


def _check_made_in(spec: EnvSpec, folder: Path, allow_other_physics: bool) -> str | None:
    """`DatasetError` unless a folder of ours is of this task and its physics; what it was made in."""
    if not folder.is_dir():
        raise UsageError(f"no data set in {folder}; see dsbench data list")
    manifest = read_manifest(folder)
    in_this_task = same_task(spec, manifest["env"], manifest["options"])
    for key, mine in _made_in(spec).items():
        if manifest[key] != mine and not (in_this_task and key in ("env", "options")):
            what = f"made in {manifest[key]!r}, and this is {mine!r}"
            raise fault(folder / MANIFEST, key, what, "choose the same with --env and --set env.OPTION=VALUE")
    physics = own_physics(spec, manifest.get("physics"), manifest["options"])
    check_physics(spec, folder / MANIFEST, physics, allow_other_physics)
    return physics


def _made_in(spec: EnvSpec) -> dict[str, Any]:
    """What says in which environment data was made, as JSON gives it back."""
    made_in = {"env": spec.id, "options": dict(spec.options), "stored": dict(spec.stored)}
    return json.loads(to_json(made_in))


def _compare_with_export(folder: Path, episodes: Episodes, header: dict[str, Any]) -> None:
    """What we exported must come back as it was."""
    entry = own_entry(read_foreign_json(folder / METADATA))
    if entry is not None and describe(episodes, header)["sha256"] != entry["sha256"]:
        raise DatasetError(f"{folder / MAIN} is not what was exported; export it again")


def _short_name(folder: Path) -> str:
    """A name without the path: records travel, paths do not."""
    return folder.parent.name if folder.name == "data" else folder.name
