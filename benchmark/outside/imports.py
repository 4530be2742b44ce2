"""Which modules a file imports, read from its text."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

_IMPORTERS = ("import_module", "__import__")


class Import(NamedTuple):
    """``from <level dots><module> import <names>``; a plain import has no names and level 0."""

    level: int
    module: str
    names: tuple[str, ...] = ()


def parsed(data: bytes) -> ast.Module:
    """The syntax tree; an empty one for text that is no Python, whose import will say so."""
    try:
        return ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def imports_of(tree: ast.Module) -> Iterator[Import]:
    """Everything that is imported by a statement or by a literal name, wherever in the file it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield Import(node.level, node.module or "", tuple(alias.name for alias in node.names))
        elif isinstance(node, ast.Call) and node.args and _name(node.func) in _IMPORTERS:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                plain = first.value.lstrip(".")
                yield Import(len(first.value) - len(plain), plain)


def exported(tree: ast.Module) -> tuple[str, ...]:
    """The literal texts of ``__all__``."""
    found: list[str] = []
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else ()
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            found += [
                one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)
            ]
    return tuple(found)


def _name(function: ast.expr) -> str:
    """The last part of what is called."""
    return getattr(function, "attr", getattr(function, "id", ""))
