"""A table as lines of text that fit a terminal: long words are broken, columns that do not fit stand in a panel below."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.cells import cell_len

from dsbench.reports.document import BOLD, Cell, Heading, Table
from dsbench.reports.panels import panels
from dsbench.text import printable

MARK = "●"  # before what is bold elsewhere
_GAP = 2
_NAME, _HEAD, _CELL = 28, 18, 30  # columns of a terminal that they may take before they are broken


def plain(table: Table, width: int) -> list[str]:
    """The lines of the table and, below it, of its notes, none wider than `width`, which is at least 60."""
    heads = [_broken(heading.text, _HEAD if place else _NAME) for place, heading in enumerate(table.headings)]
    rows = [[_broken(_text(cell), _CELL if place else _NAME) for place, cell in enumerate(row)] for row in table.rows]
    widths = [max(cell_len(line) for row in (heads, *rows) for line in row[place]) for place in range(len(heads))]
    parts = panels([_GAP + one for one in widths[1:]], width - widths[0]) or [[]]
    lines = []
    for part in parts:
        places = [0, *(place + 1 for place in part)]
        for row in (heads, *rows):
            lines += _row([row[place] for place in places], [widths[place] for place in places],
                          [table.headings[place] for place in places])  # fmt: skip
        lines.append("")
    return lines + [line for note in table.notes for line in _broken(_note(note), width)]


def _text(cell: Cell) -> str:
    return f"{MARK} {cell.text}" if cell.best else cell.text


def _note(note: str) -> str:
    return f"{MARK}{note.removeprefix(BOLD)}" if note.startswith(BOLD) else note


def _row(cells: Sequence[list[str]], widths: Sequence[int], headings: Sequence[Heading]) -> list[str]:
    """The lines of one row; numbers stand right."""
    height = max(map(len, cells))
    lines = []
    for place in range(height):
        parts = []
        for cell, width, heading in zip(cells, widths, headings, strict=True):
            text = cell[place] if place < len(cell) else ""
            blank = " " * (width - cell_len(text))
            parts.append(blank + text if heading.numeric else text + blank)
        lines.append((" " * _GAP).join(parts).rstrip())
    return lines


def _broken(text: str, limit: int) -> list[str]:
    """In lines of at most `limit` columns; letters that take two are few, and such lines are broken earlier."""
    shown = printable(" ".join(text.split()))
    wide = cell_len(shown) > len(shown)
    return textwrap.wrap(shown, limit // 2 if wide else limit, break_on_hyphens=True) or [""]
