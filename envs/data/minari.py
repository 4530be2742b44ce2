"""Importing Minari data sets: ``metadata.json`` as data, ``main_data.hdf5`` through our own reader.

Minari itself checks nothing, rebuilds environments by importing what a file names and reads what a link points at; so
nothing of Minari runs here but, when asked for, its download. An episode is a group ``episode_<i>`` with
``observations`` (T + 1), ``actions``, ``rewards``, ``terminations``, ``truncations`` (T) and ``infos``, of which only
``action_mask`` is read. The environment is known by the name in ``env_spec`` alone.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dsbench.envs.data.casting import trailing_shape
from dsbench.envs.data.contract import DROP, OTHER_ENV, RawData, Spaces
from dsbench.envs.data.faults import DEFAULT_MAX_BYTES, BadEpisode, fault, parse_json_object, read_foreign_json
from dsbench.envs.data.hdf5 import NO_CHECKSUMS, SafeFile, open_hdf5
from dsbench.envs.spec import EnvSpec
from dsbench.episodes import Observations
from dsbench.errors import DatasetError, MissingExtra, UsageError
from dsbench.files import to_json

METADATA, MAIN = "metadata.json", "main_data.hdf5"
OWN_KEY = "dsbench"  # our entry in the metadata of what we export
DATASET_ID = re.compile(r"(?:[\w-]+/)*[\w-]+-v\d+\Z")
# Environments of other names that are one of ours. Nothing in a file can add to this list.
SAME_ENV = {
    "CartPole-v1": "cartpole",
    "MiniGrid-DoorKey-5x5-v0": "door-key",
    "MiniGrid-DoorKey-6x6-v0": "door-key",
    "MiniGrid-DoorKey-8x8-v0": "door-key",
}
NAMES = {"terminated": "terminations", "truncated": "truncations", "action_mask": "infos/action_mask"}


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
        if (folder / METADATA).is_file():
            return folder
    if not DATASET_ID.match(text):
        raise UsageError(
            f"{text!r} is neither the folder of a Minari data set nor an id such as mujoco/hopper/expert-v0"
        )
    folder = minari_root() / text / "data"
    if not folder.is_dir() and download:
        _download(text)
    if not folder.is_dir():
        raise UsageError(
            f"no Minari data set {text!r} in {minari_root()}; add --download to fetch it, or give its path"
        )
    return folder


def read_minari(
    spec: EnvSpec, folder: Path, drop_bad_episodes: bool = False, max_bytes: int = DEFAULT_MAX_BYTES
) -> RawData:
    """The arrays of all episodes of a data set made in `spec`'s environment.

    Raises:
        DatasetError: it is damaged, of another environment, or not to be trusted.
        MissingExtra: h5py is not installed.
    """
    metadata = read_foreign_json(folder / METADATA)
    stored_as = metadata.get("data_format", "hdf5")
    if stored_as != "hdf5":
        raise fault(
            folder / METADATA, "data_format", f"is {stored_as!r}; only 'hdf5' is read here",
            "convert it with minari.create_dataset_from_buffers(..., data_format='hdf5')",
        )  # fmt: skip
    warnings = _check_env(spec, metadata, folder / METADATA)
    expected = _count(metadata, "total_episodes", folder / METADATA)
    with open_hdf5(folder / MAIN, max_bytes) as file:
        groups = [f"episode_{index}" for index in range(min(expected, file.size))]
        if file.names() != sorted(groups) or len(groups) != expected:
            raise fault(file.path, "", f"does not hold exactly the {expected} episodes of {METADATA}", "get it again")
        reader = _Reader(file, Spaces.of(spec), drop_bad_episodes)
        for index, group in enumerate(groups):
            reader.add(index, group)
        file.finish()
        checksummed = file.checksummed
    raw = reader.joined(warnings)
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


@dataclass(frozen=True)
class _Episode:
    """Arrays of one episode, named as in `RawData` with the parts of an observation apart."""

    steps: dict[str, np.ndarray]
    observations: dict[str, np.ndarray]  # (T + 1, ...) by leaf


class _Reader:
    """Reads episodes one by one and joins them."""

    def __init__(self, file: SafeFile, spaces: Spaces, drop: bool) -> None:
        self.file, self.spaces, self.drop = file, spaces, drop
        self.leaves = {name: trailing_shape(space) for name, space in spaces.leaves().items()}
        self.episodes: list[_Episode] = []
        self.dropped = 0

    def add(self, index: int, group: str) -> None:
        """Read an episode; one that does not fit is left out if that was asked for."""
        try:
            episode = self._read(index, group)
            if self.episodes:
                self._same_kind(index, group, episode)
        except BadEpisode:
            if not self.drop:
                raise
            self.dropped += 1
        else:
            self.episodes.append(episode)

    def joined(self, warnings: list[str]) -> RawData:
        if not self.episodes:
            raise fault(self.file.path, "", "no episode without a fault", "get the file again")
        lengths = [len(episode.steps["rewards"]) for episode in self.episodes]
        steps = {name: np.concatenate([e.steps[name] for e in self.episodes]) for name in self.episodes[0].steps}
        before = {name: np.concatenate([e.observations[name][:-1] for e in self.episodes]) for name in self.leaves}
        final = {name: np.stack([e.observations[name][-1] for e in self.episodes]) for name in self.leaves}
        return RawData(
            file=self.file.path,
            observations=unflattened(before),
            final_observations=unflattened(final),
            starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            names=NAMES,
            actions=steps["actions"],
            rewards=steps["rewards"],
            terminated=steps["terminated"],
            truncated=steps["truncated"],
            action_mask=steps.get("action_mask"),
            flat=False,
            dropped_episodes=self.dropped,
            warnings=tuple(warnings),
        )

    def _read(self, index: int, group: str) -> _Episode:
        names = self.file.names(group)
        for name in ("observations", "actions", "rewards", "terminations", "truncations"):
            if name not in names:
                raise fault(self.file.path, f"{group}/{name}", "is missing", DROP, episode=index, kind=BadEpisode)
        steps = {
            "rewards": self.file.read(f"{group}/rewards"),
            "actions": self.file.read(f"{group}/actions"),
            "terminated": self.file.read(f"{group}/terminations"),
            "truncated": self.file.read(f"{group}/truncations"),
        }
        length = len(steps["rewards"])
        if "infos" in names and "action_mask" in self.file.names(f"{group}/infos"):
            steps["action_mask"] = self.file.read(f"{group}/infos/action_mask")[: max(length, 1)]
        for name, array in steps.items():
            shape = array.shape[1:] if array.shape[1:] != (1,) else ()  # a column of numbers is numbers
            wanted = {"actions": self._action_shape(array), "action_mask": array.shape[1:]}.get(name, ())
            if len(array) != length or shape != wanted or length == 0:
                what = f"has shape {array.shape} in an episode of {length} timesteps"
                raise fault(
                    self.file.path, f"{group}/{NAMES.get(name, name)}", what, DROP, episode=index, kind=BadEpisode
                )
            if name != "actions" and name != "action_mask":
                steps[name] = array.reshape(length)
        return _Episode(steps, self._observations(index, group, length))

    def _action_shape(self, array: np.ndarray) -> tuple[int, ...]:
        shape = trailing_shape(self.spaces.action)
        return () if shape == (1,) and array.shape[1:] == (1,) else shape

    def _observations(self, index: int, group: str, length: int) -> dict[str, np.ndarray]:
        name = f"{group}/observations"
        if self.file.is_group(name):
            found = {f"observations.{part}": self.file.read(f"{name}/{part}") for part in self.file.names(name)}
        else:
            found = {"observations": self.file.read(name)}
        if found.keys() != self.leaves.keys():
            what = f"has the parts {sorted(found)} and the environment {sorted(self.leaves)}"
            raise fault(self.file.path, name, what, OTHER_ENV)
        for leaf, array in found.items():
            expected = (length + 1, *self.leaves[leaf])
            if array.shape != expected:
                what = f"has shape {array.shape} where {expected} is expected"
                raise fault(self.file.path, name, what, f"{OTHER_ENV}, or {DROP}", episode=index, kind=BadEpisode)
        return found

    def _same_kind(self, index: int, group: str, episode: _Episode) -> None:
        """Arrays that are joined have one dtype, or numbers would change."""
        first = self.episodes[0]
        mine, theirs = episode.steps | episode.observations, first.steps | first.observations
        kinds = {name: (array.dtype, array.shape[1:]) for name, array in mine.items()}
        expected = {name: (array.dtype, array.shape[1:]) for name, array in theirs.items()}
        if kinds != expected:
            wrong = min(name for name in kinds.keys() | expected.keys() if kinds.get(name) != expected.get(name))
            what = "has another type or shape than in the first episode"
            raise fault(
                self.file.path, f"{group}/{NAMES.get(wrong, wrong)}", what, DROP, episode=index, kind=BadEpisode
            )


def _check_env(spec: EnvSpec, metadata: dict[str, Any], file: Path) -> list[str]:
    """Compare the environment that the data names with `spec`; warnings where it names none."""
    entry = own_entry(metadata)
    if entry is not None:
        if entry.get("env") != spec.id or entry.get("options") != json.loads(to_json(dict(spec.options))):
            made = f"{entry.get('env')} with {entry.get('options')}"
            raise fault(file, OWN_KEY, f"made in {made}, not in {spec.id} with {dict(spec.options)}", OTHER_ENV)
        return []
    described = metadata.get("env_spec")
    if described is None:
        return ["the data does not say which environment it was made in"]
    if not isinstance(described, str):
        raise fault(file, "env_spec", f"is {type(described).__name__}, not text", "get the file again")
    name = parse_json_object(described, f"{file}: env_spec").get("id")
    env = spec.make()
    own_ids = {f"dsbench/{spec.id}"} | ({env.spec.id} if env.spec is not None else set())
    env.close()
    if not isinstance(name, str) or (name not in own_ids and SAME_ENV.get(name) != spec.name):
        raise fault(file, "env_spec", f"made in {name!r}, which is not the environment {spec.name}", OTHER_ENV)
    return []


def _count(metadata: dict[str, Any], key: str, file: Path) -> int:
    value = metadata.get(key)
    if type(value) is not int or value < 1:
        raise fault(file, key, f"is {value!r}; expected a positive integer", "get the file again")
    return value


def unflattened(leaves: dict[str, np.ndarray]) -> Observations:
    """Inverse of `observation_leaves`, from a dictionary."""
    if "observations" in leaves:
        return leaves["observations"]
    return {name.removeprefix("observations."): array for name, array in leaves.items()}


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
