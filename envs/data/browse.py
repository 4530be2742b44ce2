"""What lies in the cache of data sets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from dsbench.envs.data.folder import ARRAYS, MANIFEST, read_manifest
from dsbench.errors import DatasetError, UnknownName

SHOWN = ("env", "recipe", "seed", "episodes", "timesteps", "mean_return", "sha256")


def stored_sets(root: Path) -> list[dict[str, Any]]:
    """A line for each set under `root`, sorted by name; ``problem`` says what is wrong with one that cannot be used."""
    return [_line(root, path.parent) for path in sorted(root.glob(f"[!.]*/[!.]*/{MANIFEST}"))]


def find_set(text: str, root: Path) -> Path:
    """The folder of a set: a folder's path, a name as `stored_sets` gives it, or its unambiguous last part."""
    for folder in (Path(text), root / text):
        if os.path.isfile(folder / MANIFEST):
            return folder
    folders = [path.parent for path in root.glob(f"[!.]*/[!.]*/{MANIFEST}")]
    named = [folder for folder in folders if folder.name == text.removeprefix("imported:")]
    if len(named) != 1:
        raise UnknownName(
            "data set", text, [str(folder.relative_to(root)) for folder in folders], where="dsbench data list"
        )
    return named[0]


def _line(root: Path, folder: Path) -> dict[str, Any]:
    try:
        manifest, problem = read_manifest(folder), ""
    except DatasetError as error:
        manifest, problem = {}, str(error)
    file = folder / ARRAYS
    return {
        "set": str(folder.relative_to(root)),
        "path": str(folder),
        "problem": problem,
        "bytes": file.stat().st_size if file.is_file() else 0,
        **{name: manifest.get(name) for name in SHOWN},
    }
