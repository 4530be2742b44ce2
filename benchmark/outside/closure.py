"""From a name to the code that it stands for: the named file and everything that it imports from outside.

Nothing is run. Modules are looked for as Python would when the file is started as a script: beside it, then where this
process looks. What belongs to an installed distribution is not followed; folders on PYTHONPATH and packages that are
installed to be edited are.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from dsbench.errors import UsageError
from dsbench.outside.imports import Import, exported, imports_of, parsed
from dsbench.outside.locating import Found, in_folders, is_installed, on_path, requirement_of
from dsbench.outside.source import INIT, Source, is_file_reference, split_reference
from dsbench.reading import Unparsable, read_regular

MAX_FILES, MAX_FILE_BYTES, MAX_BYTES = 500, 1 << 20, 8 << 20
_NEVER = {"dsbench", "__main__", "__future__", *sys.builtin_module_names}  # no neighbour is taken for these
_ENTRY = "__entry__"  # the name of a file whose own no import statement could write
_SETTLED_S = 1.0  # a file changed a moment ago may change again without its time showing it


class _Seen(NamedTuple):
    source: Source
    stamps: tuple[tuple[str, int, int, int], ...]  # of every file and folder that was looked at
    path: tuple[str, ...]  # where this process looked for modules
    read_at: float


_seen: dict[tuple[str, str], _Seen] = {}


def read_source(reference: str) -> Source:
    """The code behind ``path/file.py:attribute`` or ``package.module:attribute``; read again only if a file changed.

    Raises:
        UsageError: there is no such file or module, it is compiled, or more is imported than is read.
    """
    key = os.getcwd(), reference
    seen = _seen.get(key)
    if seen is None or not _is_current(seen):
        seen = _seen[key] = _read(reference)
    return seen.source


def _is_current(seen: _Seen) -> bool:
    newest = max((stamp[1] for stamp in seen.stamps), default=0) / 1e9
    if seen.path != tuple(sys.path) or seen.read_at - newest < _SETTLED_S:
        return False
    return all(_stamp(Path(stamp[0])) == stamp for stamp in seen.stamps)


def _read(reference: str) -> _Seen:
    begun = time.time()
    closure = _Closure(reference)
    source = closure.read_file() if is_file_reference(reference) else closure.read_module()
    stamps = tuple(_stamp(place) for place in sorted(closure.looked_at))
    return _Seen(source, stamps, tuple(sys.path), begun)


def _stamp(place: Path) -> tuple[str, int, int, int]:
    try:
        status = place.stat()
    except OSError:
        return str(place), 0, 0, 0
    return str(place), status.st_mtime_ns, status.st_size, status.st_ino


class _Closure:
    """Modules by their dotted name below the root, found one after another."""

    def __init__(self, reference: str) -> None:
        self.reference = reference
        self.place, self.attribute = split_reference(reference)
        self.looked_at: set[Path] = set()
        self._search: list[tuple[str, Path]] = []  # (dotted package, its folder), looked in before sys.path
        self._found: dict[str, Found] = {}
        self._tops: dict[
            str, str | None
        ] = {}  # name in an import -> dotted name below the root, None: not from outside
        self._files: dict[str, bytes] = {}
        self._places: dict[str, str] = {}
        self._libraries: set[str] = set()
        self._waiting: list[str] = []
        self._trees: dict[str, ast.Module] = {}
        importlib.invalidate_caches()

    def read_file(self) -> Source:
        """Of ``path/file.py:attribute``."""
        file = Path(os.path.abspath(self.place))
        if not file.is_file():
            raise UsageError(f"no file {self.place!r} to load {self.attribute!r} from")
        levels = max((one.level for one in imports_of(parsed(self._bytes(file)))), default=0)
        root, module = _root_of(file, levels)
        own = module.rpartition(".")[0]
        self._search = [(own, file.parent)] if file.name != INIT else [(module, file.parent)]
        if root != file.parent:
            self._search.append(("", root))
        self._found[""] = Found(None, (root,))
        self._down("", module.split(".")[:-1])
        self._register(module, Found(file, (file.parent,) if file.name == INIT else ()))
        return self._source(module, is_file=True)

    def read_module(self) -> Source:
        """Of ``package.module:attribute``."""
        top, *rest = self.place.split(".")
        found = on_path(top) if top else None
        if found is None:
            raise UsageError(f"cannot import {self.place!r} (from {self.reference!r}): no module named {top!r}")
        if top == "dsbench" or is_installed(found):
            return self._installed(top, found, rest)
        key = self._absolute(self.place)
        if key is None or self._found[key].file is None:
            raise UsageError(f"cannot import {self.place!r} (from {self.reference!r}): no such module in {top!r}")
        return self._source(key, is_file=False)

    def _installed(self, top: str, found: Found, rest: list[str]) -> Source:
        for name in rest if found.folders else ():
            below = in_folders(found.folders, name)
            if below is None:
                raise UsageError(f"cannot import {self.place!r} (from {self.reference!r}): no module named {name!r}")
            found = below
        return Source(
            module=self.place, attribute=self.attribute, is_file=False, files={}, requirement=requirement_of(top),
            module_sha256=None if found.file is None else hashlib.sha256(found.file.read_bytes()).hexdigest(),
        )  # fmt: skip

    def _source(self, module: str, *, is_file: bool) -> Source:
        while self._waiting:
            self._follow(self._waiting.pop(0))
        libraries = self._libraries - sys.stdlib_module_names
        return Source(
            module=module, attribute=self.attribute, is_file=is_file, files=self._files,
            search=tuple(package for package, _ in self._search) or ("",), libraries=tuple(sorted(libraries)),
            places=self._places, folders=tuple(str(folder) for _, folder in self._search),
        )  # fmt: skip

    # ------------------------------------------------------------------ one module after another

    def _register(self, key: str, found: Found) -> None:
        self._found[key] = found
        if found.file is None:
            return
        if found.is_compiled:
            raise UsageError(
                f"{self.reference!r} imports {found.file}, which is compiled; expected Python source beside it, or an "
                "installed package"
            )
        plain = key.replace(".", "/")
        path = f"{plain}/{INIT}" if found.folders else f"{plain}.py"
        self._files[path], self._places[path] = self._bytes(found.file), str(found.file)
        if len(self._files) > MAX_FILES or sum(map(len, self._files.values())) > MAX_BYTES:
            raise UsageError(
                f"{self.reference!r} imports more than {MAX_FILES} files or {MAX_BYTES:,} bytes from outside; name a "
                "smaller file, or install what it imports"
            )
        self._trees[key] = parsed(self._files[path])
        self._waiting.append(key)

    def _bytes(self, file: Path) -> bytes:
        self.looked_at.add(file)
        try:
            return read_regular(file, MAX_FILE_BYTES)
        except FileNotFoundError:
            raise UsageError(f"no file {str(file)!r}; expected path/file.py:Class") from None
        except Unparsable as error:
            raise UsageError(f"{str(file)!r} {error.reason}; expected path/file.py:Class") from None

    def _follow(self, key: str) -> None:
        package = key if self._found[key].folders else key.rpartition(".")[0]
        for one in imports_of(self._trees[key]):
            base = self._relative(package, one) if one.level else self._absolute(one.module)
            if base is not None:
                self._members(base, one.names)

    def _members(self, base: str, names: Iterable[str]) -> None:
        for name in names:
            if name == "*":
                self._members(base, exported(self._trees.get(base, ast.Module([], []))))
            elif self._found[base].folders:
                self._child(base, name)

    def _absolute(self, dotted: str) -> str | None:
        """The name below the root of a module that is all there; None where it is not, or not from outside."""
        top, *rest = dotted.split(".")
        if top not in self._tops:
            self._tops[top] = self._top(top)
        key = self._tops[top]
        return None if key is None else self._down(key, rest)

    def _relative(self, package: str, one: Import) -> str | None:
        kept = (len(package.split(".")) if package else 0) - (one.level - 1)
        start = ".".join(package.split(".")[: max(kept, 0)])
        if kept < 0 or start not in self._found:
            return None
        return self._down(start, one.module.split(".") if one.module else ())

    def _down(self, key: str, names: Iterable[str]) -> str | None:
        for name in names:
            below = self._child(key, name)
            if below is None:
                return None
            key = below
        return key

    def _child(self, key: str, name: str) -> str | None:
        below = f"{key}.{name}" if key else name
        if below not in self._found:
            folders = self._found[key].folders
            self.looked_at.update(folders)
            found = in_folders(folders, name)
            if found is None:
                return None
            self._register(below, found)
        return below

    def _top(self, name: str) -> str | None:
        if name in _NEVER or not name:
            return None
        folders: list[Path] = []
        prefix: str | None = None
        for package, folder in self._search:
            self.looked_at.add(folder)
            found = in_folders([folder], name)
            key = f"{package}.{name}" if package else name
            if found is not None and found.file is not None:
                return self._new_top(key, found)
            if found is not None:
                folders += found.folders
                prefix = prefix if prefix is not None else key
        places = [Path(place or os.getcwd()) for place in sys.path]
        self.looked_at.update(place for place in places if not is_installed(Found(None, (place,))))
        elsewhere = on_path(name)
        if elsewhere is not None and is_installed(elsewhere):
            self._libraries.add(name)
            return None
        if elsewhere is not None and elsewhere.file is not None:
            return self._new_top(name, elsewhere)
        folders += elsewhere.folders if elsewhere is not None else ()
        return self._new_top(prefix or name, Found(None, tuple(folders))) if folders else None

    def _new_top(self, key: str, found: Found) -> str:
        if key not in self._found:
            self._register(key, found)
        return key


def _root_of(file: Path, levels: int) -> tuple[Path, str]:
    """(root, dotted name) of a named file: its folder, or what is above its package where it imports relatively.

    Args:
        levels: dots of its furthest relative import.
    """
    names = [] if file.name == INIT else [file.stem if file.stem.isidentifier() else _ENTRY]
    folder, climbed = file.parent, 0
    while folder.name.isidentifier():
        if names and not (levels and ((folder / INIT).is_file() or climbed < levels)):
            break
        names.insert(0, folder.name)
        folder, climbed = folder.parent, climbed + 1
    return folder, ".".join(names) or _ENTRY
