"""A data set on disk: a folder with ``arrays.npz`` and ``manifest.json``, written whole or not at all, hashed throughout.

The manifest holds a sha256 for the file, one for each array, one over all arrays and one over itself, so no changed byte
of the folder goes unnoticed. The same episodes give the same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, TypeAdapter

import dsbench
from dsbench.envs.data.archive import array_sha256, pack, unpack
from dsbench.envs.data.faults import DEFAULT_MAX_BYTES, check_file, fault, file_sha256, make_anew, read_foreign_json
from dsbench.envs.data.report import return_quantiles
from dsbench.episodes import Episodes
from dsbench.errors import DatasetError
from dsbench.files import DATA_PLACE, cannot_write, fsync_folder, replace_folder, to_json
from dsbench.reading import Unparsable
from dsbench.reading.models import Document, checked
from dsbench.temporaries import discard_leftovers, temporary_beside

FORMAT = 2
ARRAYS, MANIFEST = "arrays.npz", "manifest.json"
LIBRARIES = ("bsuite", "gymnasium", "minigrid", "mujoco", "numpy", "popgym")


class Manifest(Document):
    """What a manifest must hold; a simulator's has ``physics`` too."""

    arrays: dict[str, str]
    env: str
    episodes: int = Field(ge=0)
    file_sha256: str
    format: int
    libraries: dict[str, str]
    manifest_sha256: str
    mean_return: float
    options: dict[str, Any]
    recipe: str
    return_quantiles: dict[str, float]
    seed: int | None
    sha256: str
    source: dict[str, Any] | None
    stored: dict[str, Any]
    timesteps: int = Field(ge=0)
    physics: str | None = None


_MANIFEST: TypeAdapter[Manifest] = TypeAdapter(Manifest)
_NEEDED = frozenset(name for name, known in Manifest.model_fields.items() if known.is_required())


@dataclass(frozen=True)
class DataInfo:
    """What a data set is; stored in its manifest and in every run that used it.

    Attributes:
        recipe: the recipe, or the kind and name of an imported set.
        seed: of a recipe; None for data from elsewhere.
        sha256: over all arrays.
        source: where imported data comes from, with the file's own sha256 and what the loader reported; None for recipes.
        physics: what a simulator's data was made in, see `dsbench.envs.data.physics`; None for tasks without one.
    """

    env: str
    options: dict[str, Any]
    recipe: str
    seed: int | None
    episodes: int
    timesteps: int
    sha256: str
    return_quantiles: dict[str, float]
    path: str
    mean_return: float
    libraries: dict[str, str] = field(default_factory=dict)
    source: dict[str, Any] | None = None
    physics: str | None = None


class IncompleteManifest(DatasetError):
    """A manifest of an older format, or one that lacks something."""


def store_folder(folder: Path, episodes: Episodes, header: Mapping[str, Any]) -> None:
    """Write a data set: into a folder beside it, read back and compared, then renamed; an existing `folder` is replaced.

    Args:
        header: ``env``, ``options``, ``stored``, ``recipe``, ``seed`` and, for imported data, ``source``.

    Raises:
        CannotWrite: no rights, or the disk is full.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        discard_leftovers(folder.parent)
        temporary = temporary_beside(folder)
        try:
            temporary.mkdir()
            data = pack(episodes.arrays())
            manifest = describe(episodes, header) | {"file_sha256": hashlib.sha256(data).hexdigest()}
            manifest |= {"manifest_sha256": hashlib.sha256(to_json(manifest)).hexdigest()}
            _write(temporary / ARRAYS, data)
            _write(temporary / MANIFEST, to_json(manifest))
            if file_sha256(temporary / ARRAYS) != manifest["file_sha256"]:
                raise OSError(None, "what was written does not read back as it was")
            fsync_folder(temporary)
            replace_folder(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise cannot_write(folder, error, DATA_PLACE) from error


def describe(episodes: Episodes, header: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest of a data set, but for the hashes of the file and of the manifest itself."""
    hashes = {name: array_sha256(array) for name, array in episodes.arrays().items()}
    return (
        {"source": None, "seed": None, "stored": {}}
        | dict(header)
        | {
            "format": FORMAT,
            "arrays": hashes,
            "episodes": len(episodes),
            "libraries": dict(sorted(_versions())),
            "mean_return": float(episodes.returns().mean()),
            "return_quantiles": return_quantiles(episodes),
            "sha256": _overall(hashes),
            "timesteps": episodes.n_timesteps,
        }
    )


def load_folder(folder: Path, max_bytes: int = DEFAULT_MAX_BYTES) -> tuple[Episodes, DataInfo]:
    """The episodes and what they are, every hash compared before a number is given out.

    Raises:
        IncompleteManifest: the manifest is of another format or lacks something.
        DatasetError: the folder is damaged; the message names what to delete.
    """
    manifest = read_manifest(folder)
    file, way_out = folder / ARRAYS, make_anew(folder)
    try:
        check_file(file, max_bytes)
        data = file.read_bytes()
    except (DatasetError, OSError) as error:
        raise DatasetError(f"{file} cannot be read ({error}); {way_out}") from error
    if hashlib.sha256(data).hexdigest() != manifest["file_sha256"]:  # before anything in it is parsed
        raise DatasetError(f"{file} is not what its manifest says; {way_out}")
    if _overall(manifest["arrays"]) != manifest["sha256"]:
        raise fault(folder / MANIFEST, "sha256", "is not that of its arrays", way_out)
    arrays = unpack(data, file, max_bytes)
    for name in arrays.keys() | manifest["arrays"].keys():
        if name not in arrays or array_sha256(arrays[name]) != manifest["arrays"].get(name):
            raise fault(file, name, "is not what the manifest says", way_out)
    try:
        episodes, info = Episodes.from_arrays(arrays), info_of(manifest, folder)
        if (info.episodes, info.timesteps) != (
            len(episodes),
            episodes.n_timesteps,
        ) or episodes.starts.dtype != np.int64:
            raise ValueError("the manifest counts others")
        return episodes, info
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise DatasetError(f"{file} does not hold episodes ({error}); {way_out}") from error


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest, complete and unchanged."""
    path = folder / MANIFEST
    if not path.exists():
        raise fault(folder, "", f"no data set: it has no {MANIFEST}", "name a folder that dsbench wrote")
    try:
        manifest = read_foreign_json(path, inside=folder)
    except (DatasetError, OSError) as error:
        raise DatasetError(f"{path} cannot be read ({error}); {make_anew(folder)}") from error
    lacking = sorted(_NEEDED - manifest.keys())
    if lacking or manifest["format"] != FORMAT:
        what = f"lacks {lacking}" if lacking else f"has format {manifest['format']}, and {FORMAT} is read here"
        raise IncompleteManifest(f"{path} {what}; {make_anew(folder)}")
    rest = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
    if hashlib.sha256(_json(rest, path)).hexdigest() != manifest["manifest_sha256"]:
        raise fault(path, "", "the manifest was changed after it was written", make_anew(folder))
    try:
        checked(_MANIFEST, manifest)
    except Unparsable as error:
        raise fault(path, "", error.reason, make_anew(folder)) from None
    return manifest


def info_of(manifest: Mapping[str, Any], folder: Path) -> DataInfo:
    """What a manifest says about the data in `folder`."""
    known = {name: manifest[name] for name in DataInfo.__dataclass_fields__ if name not in ("path", "physics")}
    return DataInfo(path=str(folder), physics=manifest.get("physics"), **known)


def _overall(hashes: Mapping[str, Any]) -> str:
    """One sha256 for those of all arrays."""
    return hashlib.sha256("".join(str(hashes[name]) for name in sorted(hashes)).encode()).hexdigest()


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _versions() -> list[tuple[str, str]]:
    found = [("dsbench", dsbench.__version__)]
    for name in LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            found.append((name, version(name)))
    return sorted(found)


def _json(value: Any, path: Path) -> bytes:
    try:
        return to_json(value)
    except (ValueError, RecursionError) as error:
        raise fault(path, "", f"holds what is no JSON ({error})", make_anew(path.parent)) from error
