"""Docstrings and tables as Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence


def from_docstring(docstring: str) -> str:
    """Markdown of a docstring of this project: what is indented is shown as it stands, the rest is text."""
    lines: list[str] = []
    for block in re.split(r"\n{2,}", inspect.cleandoc(docstring)):
        if block.startswith("    "):
            lines += ["```text", inspect.cleandoc(block), "```", ""]
        else:
            lines += [re.sub(r"::$", ":", block.replace("``", "`")), ""]
    return "\n".join(lines)


def table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; an upright stroke in a cell makes no new one."""
    lines = [_row(titles), "|" + "---|" * len(titles)]
    return "\n".join([*lines, *map(_row, rows)])


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
