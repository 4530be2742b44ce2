"""Catalogues of names: one static table per kind, plus outside code by path or entry point.

A catalogue holds strings, so that listing names imports nothing heavy; the object behind a name is imported when it is
used. Importing a module never changes a catalogue.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

from dsbench.errors import MissingExtra, UnknownName, UsageError
from dsbench.outside import loading, trust
from dsbench.outside.listing import Roots, is_file_alone, the_class_in
from dsbench.outside.source import Source


@dataclass(frozen=True)
class Entry:
    """One name of a catalogue."""

    name: str
    summary: str  # one line: what it is
    source: str  # paper or library it comes from
    target: str  # "package.module:attribute"
    extra: str | None = None  # optional-dependency group that it needs
    libraries: tuple[str, ...] = ()  # distributions that make an environment's data, beside numpy and gymnasium


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


@dataclass(frozen=True)
class OpenFamily:
    """Names of the form ``prefix:member`` of what installed packages bring, looked up by a module of ours when one is used.

    ``prefix:package:member`` names the package too, and is code from outside.

    Attributes:
        keeper: ``package.module`` that has ``target(member) -> "package.module:attribute"``, which raises `UnknownName`,
            ``load(member)``, and ``load_outside(source)``.
    """

    prefix: str
    placeholder: str
    summary: str
    source: str
    keeper: str

    def line(self) -> Entry:
        """As of `Family`."""
        return Entry(f"{self.prefix}:<{self.placeholder}>", self.summary, self.source, "")

    def ask(self, what: str, about: Any) -> Any:
        """What the keeper's function `what` says."""
        return getattr(importlib.import_module(self.keeper), what)(about)


class Catalogue:
    """Names of one kind (``backbone``, ``env``): the built-in table first, then entry points of `group`.

    Iteration gives all but the members of families, which need packages of their own.

    Args:
        roots: what classes of the kind are built on, so that they can be found in a file; None where it holds no classes.
    """

    def __init__(
        self,
        kind: str,
        entries: Iterable[Entry],
        group: str,
        families: Iterable[Family] = (),
        open_families: Iterable[OpenFamily] = (),
        roots: Roots | None = None,
    ) -> None:
        self.kind, self.group, self._roots = kind, group, roots
        self._built_in = {entry.name: entry for entry in entries}
        self._families = {family.prefix: family for family in families}
        self._open = {family.prefix: family for family in open_families}

    def __iter__(self) -> Iterator[Entry]:
        yield from self._built_in.values()
        yield from self._installed().values()

    def names(self) -> list[str]:
        return [entry.name for entry in self]

    def members(self) -> list[str]:
        """Names of all members of families."""
        return [entry.name for family in self._families.values() for entry in family.members()]

    def lines(self) -> list[Entry]:
        """What a listing shows: every entry, and one line for each family."""
        return [*self, *self.families()]

    def families(self) -> list[Entry]:
        """A line for each family."""
        closed = [family.line() for family in self._families.values()]
        return [*closed, *(family.line() for family in self._open.values())]

    def is_reference(self, name: str) -> bool:
        """True for ``package.module:attribute`` and ``path/file.py:attribute``, False for a name of this catalogue."""
        prefix, colon, member = name.partition(":")
        return ":" in member if prefix in self._open else bool(colon) and prefix not in self._families

    def entry(self, name: str) -> Entry:
        """The entry called `name`; `UnknownName` with the closest match otherwise."""
        if (opened := self._opened(name)) is not None:
            return Entry(name, opened.summary, opened.source, opened.ask("target", name.partition(":")[2]))
        family = self._families.get(name.partition(":")[0]) if ":" in name else None
        known = list(family.members() if family else self)
        for entry in known:
            if entry.name == name:
                return entry
        names = [entry.name for entry in known]
        raise UnknownName(self.kind, name, names, where=f"dsbench list {self.kind}s")

    def load(self, name: str) -> Any:
        """The object behind a name of this catalogue, ``package.module:attribute`` or ``path/file.py:attribute``.

        Raises:
            Untrusted: the name stands for code from outside that the user did not name.
        """
        if self.is_outside(name):
            source = trust.find(name)
            trust.check(source)
            opened = self._open.get(name.partition(":")[0])
            return loading.load(source) if opened is None else opened.ask("load_outside", source)
        if (opened := self._opened(name)) is not None:
            return opened.ask("load", name.partition(":")[2])
        entry = self._own(name) or self.entry(name)
        try:
            return load_object(entry.target)
        except ModuleNotFoundError as error:
            if entry.extra is None:
                raise
            raise MissingExtra(f"{self.kind} {name!r}", entry.extra) from error

    def spelled_out(self, name: str) -> str:
        """``path/file.py:Class`` of ``path/file.py`` with a single class of this kind; every other name as it is.

        Raises:
            UsageError: there is none, or there are several.
        """
        if self._roots is None or not is_file_alone(name):
            return name
        return the_class_in(name, self._roots, self.kind)

    def named(self, name: str) -> None:
        """The user gave this name on the command line or in Python: if it stands for code from outside, that may run."""
        if self.is_outside(name):
            trust.named(name)

    def is_outside(self, name: str) -> bool:
        """Whether a name stands for code that neither dsbench nor an installed entry point offers by name."""
        return self.is_reference(name) and self._own(name) is None

    def is_own(self, name: str) -> bool:
        """Whether dsbench itself offers the name, with whatever is installed beside it; a member of an open family is another
        package's."""
        return name in self._built_in or name.partition(":")[0] in self._families or self._own(name) is not None

    def source(self, name: str) -> Source | None:
        """The code from outside that a name stands for, entry points included; None for what dsbench offers itself.

        Raises:
            UsageError: the file or module is not there.
        """
        if self.is_outside(name):
            return trust.find(name)
        if (opened := self._opened(name)) is not None:
            return _source_of_point(opened.ask("target", name.partition(":")[2]))
        point = None if name in self._built_in else self._installed().get(name)
        return None if point is None else _source_of_point(point.target)

    def _opened(self, name: str) -> OpenFamily | None:
        """The open family that `name` is a member of, no package being named."""
        prefix, colon, member = name.partition(":")
        return self._open.get(prefix) if colon and ":" not in member else None

    def _own(self, reference: str) -> Entry | None:
        """The entry whose target is named in its place."""
        if not reference.startswith("dsbench."):
            return None
        members = (entry for family in self._families.values() for entry in family.members())
        return next((entry for entry in (*self._built_in.values(), *members) if entry.target == reference), None)

    def _installed(self) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        for point in installed_points(self.group):
            if point.name not in self._built_in:
                origin = point.dist.name if point.dist else point.value
                entries.setdefault(point.name, Entry(point.name, f"from {origin}", origin, point.value))
        return entries


def _source_of_point(target: str) -> Source | None:
    """Code of an entry point; None where it is too much to be read: it is installed and trusted all the same."""
    try:
        return trust.find(target)
    except UsageError:
        return None


def load_object(target: str) -> Any:
    """Import ``package.module:attribute`` of dsbench itself or of an installed entry point."""
    place, _, attribute = target.partition(":")
    try:
        return getattr(_import(place, target), attribute)
    except AttributeError:
        raise UsageError(f"{place} has no {attribute!r}, which the entry point {target!r} names") from None


@cache
def installed_points(group: str) -> tuple[EntryPoint, ...]:
    """Entry points of a group, by name. Asked once a process: it reads every installed distribution."""
    return tuple(sorted(entry_points(group=group), key=lambda point: point.name))


def _import(name: str, target: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Only the named module itself missing is the entry point's mistake; a module that it imports is another matter.
        if error.name and f"{name}.".startswith(f"{error.name}.") and not name.startswith("dsbench."):
            raise UsageError(f"cannot import {name!r} (from {target!r}): no module named {error.name!r}") from None
        raise
