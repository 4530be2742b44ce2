"""Importing Minari data sets: ``metadata.json`` as data, ``main_data.hdf5`` through our own reader.

Minari itself checks nothing, rebuilds environments by importing what a file names and reads what a link points at; so
nothing of Minari runs here but, when asked for, its download. An episode is a group ``episode_<i>`` with
``observations`` (T + 1), ``actions``, ``rewards``, ``terminations``, ``truncations`` (T) and ``infos``, of which only
``action_mask`` is read. The environment is known by the name in ``env_spec`` alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from dsbench.envs.closing import close_quietly
from dsbench.envs.data.contract import OTHER_ENV, RawData
from dsbench.envs.data.faults import DEFAULT_MAX_BYTES, fault, parse_json_object, read_foreign_json
from dsbench.envs.data.hdf5 import NO_CHECKSUMS, open_hdf5
from dsbench.envs.data.minari_episodes import EpisodeReader
from dsbench.envs.data.otherwise import differences
from dsbench.envs.data.physics import check_physics, minari_physics, own_physics, same_simulation, same_task
from dsbench.envs.spaces import made
from dsbench.envs.spec import EnvSpec
from dsbench.errors import DatasetError, MissingExtra, UsageError

METADATA, MAIN = "metadata.json", "main_data.hdf5"
OWN_KEY = "dsbench"  # our entry in the metadata of what we export
DATASET_ID = re.compile(r"(?:[\w-]+/)*[\w-]+-v\d+\Z")
# Environments of other names that are one of ours: name, options and what theirs is made with. Nothing in a file can add
# to this list.
SAME_ENV: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "CartPole-v1": ("cartpole", {}, {}),
    **{f"MiniGrid-DoorKey-{n}x{n}-v0": ("door-key", {"size": n}, {"size": n}) for n in (5, 6, 8)},
}


def minari_root() -> Path:
    """Where Minari keeps data sets: ``MINARI_DATASETS_PATH``, else ``~/.minari/datasets``."""
    chosen = os.environ.get("MINARI_DATASETS_PATH")
    return Path(chosen) if chosen else Path.home() / ".minari" / "datasets"


def find_minari(text: str, download: bool = False) -> Path:
    """The folder with ``metadata.json`` of a data set, given by a path or an id.

    Args:
        download: fetch an id that is not here with Minari; otherwise nothing touches the network.
    """
    for folder in (Path(text), Path(text) / "data"):
        if os.path.isfile(folder / METADATA):  # False too for what can be no path
            return folder
    if not DATASET_ID.match(text) or any(len(part) > 255 for part in text.split("/")):
        raise UsageError(
            f"{text!r} is neither the folder of a Minari data set nor an id such as mujoco/hopper/expert-v0"
        )
    folder = minari_root() / text / "data"
    if not folder.is_dir() and download:
        _download(text)
    if not folder.is_dir():
        raise UsageError(
            f"no Minari data set {text!r} in {minari_root()}; fetch it with dsbench data import --download, or give its path"
        )
    return folder


def read_minari(
    spec: EnvSpec,
    folder: Path,
    drop_bad_episodes: bool = False,
    max_bytes: int = DEFAULT_MAX_BYTES,
    on_episode: Callable[[int, int], None] = lambda done, total: None,
    allow_other_physics: bool = False,
) -> RawData:
    """The arrays of all episodes of a data set made in `spec`'s environment.

    Args:
        on_episode: called with the number of episodes read and that of all, for progress.
        allow_other_physics: take what another version of the environment made.

    Raises:
        DatasetError: it is damaged, of another environment or (unless allowed) other physics, or not to be trusted.
        MissingExtra: h5py is not installed.
    """
    metadata = read_foreign_json(folder / METADATA)
    stored_as = metadata.get("data_format", "hdf5")
    if stored_as != "hdf5":
        raise fault(
            folder / METADATA, "data_format", f"is {stored_as!r}; only 'hdf5' is read here",
            "convert it with minari.create_dataset_from_buffers(..., data_format='hdf5')",
        )  # fmt: skip
    warnings, physics = check_env(spec, folder, allow_other_physics)
    expected = _count(metadata, "total_episodes", folder / METADATA)
    with open_hdf5(folder / MAIN, max_bytes) as file:
        groups = [f"episode_{index}" for index in range(min(expected, file.size))]
        if file.names() != sorted(groups) or len(groups) != expected:
            raise fault(file.path, "", f"does not hold exactly the {expected} episodes of {METADATA}", "get it again")
        reader = EpisodeReader(file, spec.spaces, drop_bad_episodes, spec.foreign.joined)
        for index, group in enumerate(groups):
            on_episode(index, expected)
            reader.add(index, group)
        file.finish()
        checksummed = file.checksummed
    raw = reader.joined(warnings, physics)
    steps = _count(metadata, "total_steps", folder / METADATA)
    if not reader.dropped and steps != raw.starts[-1]:
        raise fault(folder / METADATA, "total_steps", f"is {steps} and the data has {raw.starts[-1]}", "get it again")
    if not checksummed and own_entry(metadata) is None:
        raw = replace(raw, warnings=(*raw.warnings, NO_CHECKSUMS))
    return raw


def own_entry(metadata: dict[str, Any]) -> dict[str, Any] | None:
    """What dsbench noted when it exported this data set; None for others."""
    entry = metadata.get(OWN_KEY)
    return entry if isinstance(entry, dict) and isinstance(entry.get("sha256"), str) else None


def check_env(spec: EnvSpec, folder: Path, allow_other_physics: bool) -> tuple[list[str], str | None]:
    """`DatasetError` unless the data says that it is of this task and (if not allowed) its physics.

    Returns:
        warnings where it says nothing, and what it was made in.
    """
    warnings, physics = _made_in(spec, read_foreign_json(folder / METADATA), folder / METADATA)
    check_physics(spec, folder / METADATA, physics, allow_other_physics)
    return warnings, physics


def _made_in(spec: EnvSpec, metadata: dict[str, Any], file: Path) -> tuple[list[str], str | None]:
    """Compare the environment that the data names with `spec`; warnings where it names none, and its physics."""
    entry = own_entry(metadata)
    if entry is not None:
        if not same_task(spec, entry.get("env"), entry.get("options")):
            made = f"{entry.get('env')} with {entry.get('options')}"
            raise fault(file, OWN_KEY, f"made in {made}, not in {spec.id} with {dict(spec.options)}", OTHER_ENV)
        return [], own_physics(spec, entry.get("physics"), entry["options"])
    described = metadata.get("env_spec")
    if described is None:
        return ["the data does not say which environment it was made in"], minari_physics(spec, None)
    if not isinstance(described, str):
        raise fault(file, "env_spec", f"is {type(described).__name__}, not text", "get the file again")
    parsed = parse_json_object(described, f"{file}: env_spec")
    name = parsed.get("id")
    if not isinstance(name, str):
        raise fault(file, "env_spec", f"made in {name!r}, which is not the environment {spec.name}", OTHER_ENV)
    task, options, kwargs = SAME_ENV.get(name, ("", {}, {}))
    same = task == spec.name and options.items() <= spec.options.items()
    if not (same or same_simulation(spec, name) or name in _own_ids(spec)):
        shown = f"{spec.name} with {dict(spec.options)}" if task == spec.name else f"{spec.name}"
        raise fault(file, "env_spec", f"made in {name!r}, which is not the environment {shown}", OTHER_ENV)
    return [], minari_physics(spec, parsed, differences(spec, parsed, metadata, kwargs if same else {}, file))


def _own_ids(spec: EnvSpec) -> set[str]:
    env = made(spec)
    close_quietly(env)
    return {f"dsbench/{spec.id}"} | ({env.spec.id} if env.spec is not None else set())


def _count(metadata: dict[str, Any], key: str, file: Path) -> int:
    value = metadata.get(key)
    if type(value) is not int or value < 1:
        raise fault(file, key, f"is {value!r}; expected a positive integer", "get the file again")
    return value


def _download(dataset_id: str) -> None:
    try:
        import minari
    except ModuleNotFoundError as error:
        raise MissingExtra("downloading Minari data", "minari") from error
    try:
        minari.download_dataset(dataset_id)
    except Exception as error:  # whatever its remote storages raise
        text = " ".join(str(error).split())
        raise DatasetError(
            f"Minari could not download {dataset_id!r} ({text}); check the id and the network"
        ) from error
