"""Catalogues of names: one static table per kind, plus outside code by path or entry point.

A catalogue holds strings, so that listing names imports nothing heavy; the object behind a name is imported when it is
used. Importing a module never changes a catalogue.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from dsbench.errors import MissingExtra, UnknownName, UsageError, suggestion


@dataclass(frozen=True)
class Entry:
    """One name of a catalogue."""

    name: str
    summary: str  # one line: what it is
    source: str  # paper or library it comes from
    target: str  # "package.module:attribute"
    extra: str | None = None  # optional-dependency group that it needs


@dataclass(frozen=True)
class Family:
    """Names of the form ``prefix:member`` that share one line of a catalogue, such as ``hf:<model_type>``."""

    prefix: str
    placeholder: str  # what stands for the member in that line
    summary: str
    source: str
    targets: Mapping[str, str]  # member -> "package.module:attribute"
    extra: str | None = None

    def line(self) -> Entry:
        """The line to show; its name stands for all members and cannot be loaded."""
        return Entry(f"{self.prefix}:<{self.placeholder}>", self.summary, self.source, "", self.extra)

    def members(self) -> Iterator[Entry]:
        for member, target in self.targets.items():
            yield Entry(f"{self.prefix}:{member}", self.summary, self.source, target, self.extra)


class Catalogue:
    """Names of one kind (``backbone``, ``env``): the built-in table first, then entry points of `group`.

    Iteration gives all but the members of families, which need packages of their own.
    """

    def __init__(self, kind: str, entries: Iterable[Entry], group: str, families: Iterable[Family] = ()) -> None:
        self.kind, self.group = kind, group
        self._built_in = {entry.name: entry for entry in entries}
        self._families = {family.prefix: family for family in families}

    def __iter__(self) -> Iterator[Entry]:
        yield from self._built_in.values()
        for point in _points(self.group):
            if point.name not in self._built_in:
                origin = point.dist.name if point.dist else point.value
                yield Entry(point.name, f"from {origin}", origin, point.value)

    def names(self) -> list[str]:
        return [entry.name for entry in self]

    def lines(self) -> list[Entry]:
        """What a listing shows: every entry, and one line for each family."""
        return [*self, *(family.line() for family in self._families.values())]

    def is_reference(self, name: str) -> bool:
        """True for ``package.module:attribute`` and ``path/file.py:attribute``, False for a name of this catalogue."""
        return ":" in name and name.partition(":")[0] not in self._families

    def entry(self, name: str) -> Entry:
        """The entry called `name`; `UnknownName` with the closest match otherwise."""
        family = self._families.get(name.partition(":")[0]) if ":" in name else None
        known = list(family.members() if family else self)
        for entry in known:
            if entry.name == name:
                return entry
        names = [entry.name for entry in known]
        raise UnknownName(self.kind, name, names, where=f"dsbench list {self.kind}s")

    def load(self, name: str) -> Any:
        """The object behind a name of this catalogue, ``package.module:attribute`` or ``path/file.py:attribute``."""
        if self.is_reference(name):
            return load_object(name)
        entry = self.entry(name)
        try:
            return load_object(entry.target)
        except ModuleNotFoundError as error:
            if entry.extra is None:
                raise
            raise MissingExtra(f"{self.kind} {name!r}", entry.extra) from error


@cache
def _points(group: str) -> tuple[EntryPoint, ...]:
    """Entry points of `group`, asked for once a process: finding them reads a file of every installed distribution."""
    return tuple(sorted(entry_points(group=group), key=lambda point: point.name))


def is_file_reference(spec: str) -> bool:
    """True for ``path/file.py:attribute``."""
    return ":" in spec and spec.rpartition(":")[0].endswith(".py")


def load_object(spec: str) -> Any:
    """Import ``package.module:attribute`` or ``path/file.py:attribute``; `UsageError` names what is missing."""
    place, _, attribute = spec.rpartition(":")
    if not place or not attribute:
        raise UsageError(f"{spec!r} names no object; expected package.module:Class or path/file.py:Class")
    module = _load_file(Path(place)) if place.endswith(".py") else _import(place, spec)
    try:
        return getattr(module, attribute)
    except AttributeError:
        public = [name for name in vars(module) if not name.startswith("_")]
        raise UsageError(f"{place} has no {attribute!r}. {suggestion(attribute, public)}".rstrip()) from None


def source_hash(spec: str) -> str | None:
    """sha256 of the file behind ``path/file.py:attribute``; None for anything that is not a file reference."""
    if not is_file_reference(spec):
        return None
    path = Path(spec.rpartition(":")[0])
    if not path.is_file():
        raise UsageError(f"no file {str(path)!r} to load {spec.rpartition(':')[2]!r} from")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _import(name: str, spec: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Only the named module itself missing is the user's mistake; a module that it imports is another matter.
        if error.name and (name == error.name or name.startswith(error.name + ".")) and not name.startswith("dsbench."):
            raise UsageError(f"cannot import {name!r} (from {spec!r}): no module named {error.name!r}") from None
        raise


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"no file {str(path)!r}; expected path/file.py:Class")
    name = "dsbench_user_" + hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    if name in sys.modules:
        return sys.modules[name]
    module_spec = importlib.util.spec_from_file_location(name, path)
    assert module_spec is not None and module_spec.loader is not None  # a .py file always has a loader
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = module  # dataclasses and inspect.getsource look the module up by name
    try:
        module_spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
