"""Running outside code from the bytes that were hashed, under a private name, apart from every other version of it.

A source is a package of its own, ``dsbench_outside_<digest>``. Its modules are given an ``__import__`` that looks among
the source's own files first, so that two versions of a plug-in, each with its own ``helper.py``, live side by side.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.abc
import importlib.util
import linecache
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from dsbench.errors import DsbenchError, UsageError, suggestion
from dsbench.outside import blame
from dsbench.outside.locating import in_folder
from dsbench.outside.source import INIT, PREFIX, Source

_packages: dict[str, Source] = {}
_Importer = Callable[..., ModuleType]


def load(source: Source) -> Any:
    """The object that a source stands for; its code runs the first time.

    Raises:
        UsageError: it cannot be imported, or has no such attribute.
    """
    module = _import_installed(source) if not source.files else _import_private(source)
    try:
        return getattr(module, source.attribute)
    except AttributeError:
        public = [name for name in vars(module) if not name.startswith("_")]
        hint = suggestion(source.attribute, public)
        raise UsageError(f"{source.place} has no {source.attribute!r}. {hint}".rstrip()) from None


def package_of(source: Source) -> str:
    """Name of the package that its modules are loaded in."""
    return f"{PREFIX}{source.code_digest[:12]}"


def _import_installed(source: Source) -> ModuleType:
    blame.note_installed(source.module)
    try:
        return importlib.import_module(source.module)
    except ModuleNotFoundError as error:
        # Only the named module itself missing is the user's mistake; a module that it imports is another matter.
        if error.name and f"{source.module}.".startswith(f"{error.name}."):
            raise UsageError(f"cannot import {source.module!r}: no module named {error.name!r}") from None
        raise


def _import_private(source: Source) -> ModuleType:
    package = package_of(source)
    if package not in _packages:
        _packages[package] = source
        if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
            sys.meta_path.insert(0, _Finder())
    try:
        return importlib.import_module(f"{package}.{source.module}")
    except Exception as error:
        for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
            del sys.modules[name]
        if isinstance(error, DsbenchError | MemoryError):
            raise
        what = f"{source.place} cannot be imported: "
        raise blame.blamed(error, what) or blame.FaultyCode(f"{what}{blame.one_line(error)}") from error


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of sources, and refuses what is not among their files."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, inner = fullname.partition(".")
        source = _packages.get(package)
        if source is None:
            return None
        plain = inner.replace(".", "/")
        for file, is_package in ((f"{plain}/{INIT}", True), (f"{plain}.py", False)):
            if file in source.files:
                spec = ModuleSpec(fullname, _Loader(source, file, package), origin=_name_of(source, file, package))
                spec.has_location = True
                spec.submodule_search_locations = [] if is_package else None
                return spec
        if not inner or any(file.startswith(f"{plain}/") for file in source.files):
            return ModuleSpec(fullname, None, is_package=True)
        raise ModuleNotFoundError(_unread(inner, source), name=fullname)


class _Loader(importlib.abc.ExecutionLoader):
    """One file of a source."""

    def __init__(self, source: Source, path: str, package: str) -> None:
        self._source, self._path, self._package = source, path, package
        self._name = _name_of(source, path, package)

    def get_filename(self, fullname: str) -> str:
        return self._name

    def get_source(self, fullname: str) -> str:
        return importlib.util.decode_source(self._source.files[self._path])

    def is_package(self, fullname: str) -> bool:
        return self._path.endswith(f"/{INIT}")

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": _importer(self._source, self._package)}
        text = self.get_source(module.__name__)
        linecache.cache[self._name] = (len(text), None, text.splitlines(keepends=True), self._name)
        super().exec_module(module)


def _name_of(source: Source, path: str, package: str) -> str:
    """The file's real name, unless another version of it was loaded under that; tracebacks show what ran."""
    place = source.places.get(path, f"<{package}>/{path}")
    known = linecache.cache.get(place)
    text = importlib.util.decode_source(source.files[path])
    return place if known is None or len(known) < 4 or "".join(known[2]) == text else f"<{package}>/{path}"


def _importer(source: Source, package: str) -> _Importer:
    """``__import__`` for the modules of a source."""
    own = _own_names(source)

    def resolved(name: str) -> str | None:
        top, dot, rest = name.partition(".")
        if top in own:
            return f"{package}.{own[top]}{dot}{rest}"
        if _lies_beside(top, source):
            raise ModuleNotFoundError(_unread(top, source), name=name)
        return None

    def import_module(name: str, package: str | None = None) -> ModuleType:
        private = None if name.startswith(".") else resolved(name)
        return importlib.import_module(private or name, package)

    scoped = _Importlib(import_module)

    def importer(
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        private = None if level else resolved(name)
        if private is None:
            found = builtins.__import__(name, globals, locals, fromlist or (), level)
            return scoped if found is importlib else found
        found = builtins.__import__(private, globals, locals, fromlist or (), 0)
        return found if fromlist else sys.modules[f"{package}.{own[name.partition('.')[0]]}"]

    return importer


class _Importlib(ModuleType):
    """`importlib` for a source: its ``import_module`` finds neighbours as a statement does."""

    def __init__(self, import_module: _Importer) -> None:
        super().__init__("importlib", importlib.__doc__)
        self.import_module = import_module

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib, name)


def _own_names(source: Source) -> dict[str, str]:
    """Name in an absolute import -> dotted name below the root, for all that the source has."""
    own: dict[str, str] = {}
    for package in dict.fromkeys((*source.search, "")):
        above = f"{package.replace('.', '/')}/" if package else ""
        for path in source.files:
            name = path.removeprefix(above).partition("/")[0].removesuffix(".py")
            if path.startswith(above) and name.isidentifier() and name != "__init__":
                own.setdefault(name, f"{package}.{name}" if package else name)
    return own


def _lies_beside(name: str, source: Source) -> bool:
    """Whether there is a neighbour of that name, which was not among the imports that were read."""
    if name == "dsbench" or name in sys.builtin_module_names:
        return False
    found = [in_folder(Path(folder), name) for folder in source.folders]
    return any(one is not None and one.file is not None for one in found)


def _unread(name: str, source: Source) -> str:
    return (
        f"{name!r} is not among the files that were read as {source.place} and what it imports; "
        "import it by a plain import statement, so that it is seen"
    )
