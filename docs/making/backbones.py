"""A page on every backbone: its formula, its source, its options, and what it costs in the newest reference bench."""

from __future__ import annotations

import importlib
import inspect

from dsbench.backbones.catalogue import BACKBONES
from making.text import from_docstring, table


def pages() -> dict[str, str]:
    """``backbones/NAME.md`` and ``backbones/index.md``."""
    rows, found = [], {}
    for name in BACKBONES.names():
        entry = BACKBONES.entry(name)
        found[f"backbones/{name}.md"] = _page(name)
        rows.append((f"[{name}]({name}.md)", entry.summary, entry.source))
    names = "\n".join(BACKBONES.names())
    families = [
        (f"`{one.name}`", f"{one.summary} (extra `{one.extra}`)", one.source)
        for one in BACKBONES.lines()
        if one.name not in BACKBONES.names()
    ]
    found["backbones/index.md"] = (
        "# Backbones\n\nAll are compared in one block, with the same tokens, encoders and head: a backbone differs from "
        "another in its sequence map alone.\n\n" + table(("backbone", "what it is", "source"), [*rows, *families])
        + f"\n\n```{{toctree}}\n:hidden:\n\n{names}\n```\n"
    )  # fmt: skip
    return found


def _page(name: str) -> str:
    entry = BACKBONES.entry(name)
    place, _, attribute = entry.target.partition(":")
    module = importlib.import_module(place)
    parameters = inspect.signature(getattr(module, attribute)).parameters.values()
    options = [
        (f"`backbone.{one.name}`", "required" if one.default is one.empty else f"`{one.default}`")
        for one in parameters
        if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    ]
    parts = [f"# {name}", f"Source: {entry.source}.", f"```text\ndsbench run --backbone {name} --env umbrella\n```"]
    parts += [from_docstring(module.__doc__ or ""), "## Options", table(("setting", "default of the class"), options)]
    return "\n\n".join(parts) + "\n"
