"""Which classes of a kind a file has, read from its text without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dsbench.errors import UsageError
from dsbench.outside.blame import blamed
from dsbench.outside.closure import MAX_FILE_BYTES
from dsbench.reading import Unparsable, read_regular


@dataclass(frozen=True)
class Roots:
    """What a class has to be built on, to be of a kind.

    Attributes:
        package: whatever is imported from there, or from below it, counts as a root too.
        whole: names of bases.
        parts: names of bases whose classes are meant only where a file has none of the others.
    """

    package: str
    whole: tuple[str, ...]
    parts: tuple[str, ...] = ()


def is_file_alone(name: str) -> bool:
    """Whether a name is the path of a Python file, without the attribute that is meant."""
    return name.endswith(".py")


def the_class_in(path: str, roots: Roots, what: str) -> str:
    """``path:Class`` for a file with a single such class: none else can be meant, and a run is named as if it were given.

    Args:
        what: the kind, for messages.

    Raises:
        UsageError: the file cannot be read, or has none, or has several, which are listed.
    """
    names = classes_in(path, roots)
    if len(names) == 1:
        return f"{path}:{names[0]}"
    if not names:
        raise UsageError(
            f"{path!r} has no class that is built on {' or '.join((*roots.whole, *roots.parts))}; expected a {what}, or "
            "path/file.py:Class where its base comes from another file"
        )
    raise UsageError(
        f"{path!r} has {len(names)} classes that may be the {what}; give one of them:",
        *(f"  {path}:{name}" for name in names),
    )


def classes_in(path: str, roots: Roots) -> list[str]:
    """Public classes of the kind at the top of a file, in their order.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        tree = ast.parse(read_regular(Path(path), MAX_FILE_BYTES), filename=path)
    except FileNotFoundError:
        raise UsageError(f"no file {path!r}; expected path/file.py:Class") from None
    except Unparsable as error:
        raise UsageError(f"{path!r} {error.reason}; expected path/file.py:Class") from None
    except SyntaxError as error:
        raise blamed(error, f"{path} cannot be imported: ") or UsageError(f"{path!r} is no Python: {error}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"{path!r} is no Python: {error}") from None
    imported = _imported_from(tree, roots.package)
    parts = {name for name in imported if name.endswith(roots.parts)} if roots.parts else set()
    return _built_on(tree, {*roots.whole, *imported} - parts) or _built_on(tree, {*roots.parts, *parts})


def _built_on(tree: ast.Module, bases: Iterable[str]) -> list[str]:
    known, found = set(bases), []
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and any(_last(base) in known for base in node.bases):
            known.add(node.name)
            if not node.name.startswith("_") and not _is_abstract(node):
                found.append(node.name)
    return found


def _imported_from(tree: ast.Module, package: str) -> set[str]:
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(f"{package}.")
        for alias in node.names
    }


def _is_abstract(node: ast.ClassDef) -> bool:
    return any(key.arg == "abstract" and getattr(key.value, "value", False) is True for key in node.keywords)


def _last(base: ast.expr) -> str:
    """``Backbone`` of ``backbones.Backbone`` and of ``Backbone[int]``."""
    if isinstance(base, ast.Subscript):
        return _last(base.value)
    return str(getattr(base, "attr", getattr(base, "id", "")))
