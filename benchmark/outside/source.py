"""Outside code as a value: the files that a name stands for, their hash, and how they travel to another process."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from dsbench.errors import UsageError

INIT = "__init__.py"
GYM = "gym:"  # before the module and the id of an environment that it registers with gymnasium: ``gym:package:Env-v0``
PREFIX = "dsbench_outside_"  # begins the names of the packages that sources are loaded in


@dataclass(frozen=True)
class Source:
    """What ``path/file.py:attribute`` or ``package.module:attribute`` stands for.

    Attributes:
        module: dotted name of the module, below a root.
        attribute: what is taken of it.
        is_file: whether it was named by the path of a file.
        files: path below the root (POSIX) -> content: the module and all that it imports from outside; empty where the
            module belongs to an installed distribution.
        search: dotted packages below the root in which absolute imports look first; ``""`` is the root.
        requirement: ``name==version`` of the installed distribution, None for files.
        module_sha256: of the module's file, where it is installed.
        libraries: top-level names of installed packages that the files import.
        places: path below the root -> where the file was read, for messages and ``__file__``; no part of the digest.
        folders: where neighbours may lie, no part of the digest.
    """

    module: str
    attribute: str
    is_file: bool
    files: Mapping[str, bytes]
    search: tuple[str, ...] = ("",)
    requirement: str | None = None
    module_sha256: str | None = None
    libraries: tuple[str, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict, compare=False)
    folders: tuple[str, ...] = field(default=(), compare=False)

    @property
    def path(self) -> str:
        """Of the module's own file below the root."""
        plain = self.module.replace(".", "/")
        return f"{plain}.py" if f"{plain}.py" in self.files else f"{plain}/{INIT}"

    @property
    def place(self) -> str:
        """Where the code lies, for people."""
        return self.requirement or self.places.get(self.path, self.path)

    @cached_property
    def hashes(self) -> dict[str, str]:
        """Path -> sha256."""
        return {path: hashlib.sha256(data).hexdigest() for path, data in sorted(self.files.items())}

    @cached_property
    def file_sha256(self) -> str:
        """Of the module's own file."""
        return self.hashes.get(self.path, "") if self.files else self.module_sha256 or ""

    @cached_property
    def code_digest(self) -> str:
        """sha256 over all that is loaded, whatever is taken of it."""
        return _digest([self.module, self.hashes, list(self.search), self.requirement, self.module_sha256])

    @cached_property
    def digest(self) -> str:
        """sha256 over all that can run, wherever it lies; what a lone file is called is no part of it."""
        if self.is_file and len(self.files) == 1:
            return _digest([self.attribute, self.file_sha256])
        return _digest([self.attribute, self.code_digest])

    @property
    def identity(self) -> list[str]:
        """What stands for it in the name of a run."""
        if self.is_file:
            return [self.attribute, self.file_sha256, *([self.digest] if len(self.files) > 1 else ())]
        return [f"{self.module}:{self.attribute}", self.label]

    @property
    def label(self) -> str:
        """What stands for it in records: its digest, or the installed distribution."""
        return self.requirement or self.digest

    def to_json(self) -> dict[str, Any]:
        """JSON data that `from_json` reads; the files as base64."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        files = {path: base64.b64encode(data).decode() for path, data in self.files.items()}
        return {**plain, "files": files, "places": dict(self.places)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Source:
        """Inverse of `to_json`."""
        files = {path: base64.b64decode(text, validate=True) for path, text in data["files"].items()}
        lists = {name: tuple(data[name]) for name in ("search", "libraries", "folders")}
        return cls(**{**data, **lists, "files": files})


def split_reference(reference: str) -> tuple[str, str]:
    """(place, attribute) of ``package.module:attribute`` or ``path/file.py:attribute``; `UsageError` for other texts.

    Of ``gym:package.module:id`` the attribute is the id.
    """
    place, _, attribute = reference.removeprefix(GYM).rpartition(":")
    if not place or not attribute or "\0" in reference:
        raise UsageError(f"{reference!r} names no object; expected package.module:Class or path/file.py:Class")
    return place, attribute


def is_file_reference(reference: str) -> bool:
    """True for ``path/file.py:attribute``."""
    return ":" in reference and reference.removeprefix(GYM).rpartition(":")[0].endswith(".py")


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
