"""Where a module would be imported from, found without importing anything."""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import platform
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dsbench.outside.source import INIT

_EXTENSIONS = tuple(importlib.machinery.EXTENSION_SUFFIXES)
_INSTALLED = ("site-packages", "dist-packages")


@dataclass(frozen=True)
class Found:
    """A module: its file, None for a folder without ``__init__.py``; where its submodules lie, if it is a package."""

    file: Path | None
    folders: tuple[Path, ...] = ()

    @property
    def is_compiled(self) -> bool:
        return self.file is not None and self.file.name.endswith(_EXTENSIONS)


def in_folder(folder: Path, name: str) -> Found | None:
    """The module `name` in a folder, in Python's order: package, compiled, plain file, folder without ``__init__.py``."""
    package = folder / name
    if (package / INIT).is_file():
        return Found(package / INIT, (package,))
    for suffix in (*_EXTENSIONS, ".py"):
        file = folder / f"{name}{suffix}"
        if file.exists() and not file.is_dir():
            return Found(file)
    return Found(None, (package,)) if package.is_dir() else None


def in_folders(folders: Sequence[Path], name: str) -> Found | None:
    """The first real module of that name; where there is none, all folders of that name together."""
    found = [one for folder in folders if (one := in_folder(folder, name)) is not None]
    real = next((one for one in found if one.file is not None), None)
    if real is not None or not found:
        return real
    return Found(None, tuple(folder for one in found for folder in one.folders))


def on_path(name: str) -> Found | None:
    """The top-level module `name` as this process would import it, without a file where it is built in; None: none."""
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        spec = find(name, None) if find is not None else None
        if spec is None:
            continue
        folders = tuple(Path(place) for place in spec.submodule_search_locations or ())
        if spec.origin is None or not spec.has_location:
            return Found(None, folders)
        return Found(Path(spec.origin), folders)
    return None


def is_installed(found: Found) -> bool:
    """Whether it belongs to an installed distribution or to Python itself; what is installed to be edited does not."""
    places = [found.file] if found.file is not None else list(found.folders)
    return all(_is_library(place) for place in places)


def requirement_of(top: str) -> str:
    """``name==version`` of the distribution that the top-level module `top` comes from."""
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return f"python=={platform.python_version()}"
    names = _distributions().get(top, ())
    return "+".join(f"{name}=={importlib.metadata.version(name)}" for name in sorted(set(names))) or f"{top}==unknown"


def _is_library(place: Path) -> bool:
    if any(part in _INSTALLED for part in place.parts):
        return True
    return any(place.is_relative_to(sysconfig.get_path(kind)) for kind in ("stdlib", "platstdlib"))


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())
