"""Tables on a terminal and elsewhere: as wide as the place, cells wrapped between words, words and ids never broken."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence

from dsbench.text import drawn, printable, say, show

WIDTH = 100  # where nothing tells
_GAP = 2
_NARROWEST = 12  # characters that a column of text keeps, before the whole may be wider than the place


def print_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Two aligned columns; names in bold on a terminal."""
    if is_terminal():
        from rich.table import Table

        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in pairs:
            table.add_row(drawn(name), drawn(value))
        show(table)
        return
    width = max(len(printable(name)) for name, _ in pairs)
    say(*(f"{printable(name):<{width}}  {value}" for name, value in pairs))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table with a header, which is bold on a terminal."""
    first, *rest = laid_out(header, rows, width())
    if is_terminal():
        from rich.text import Text

        show(Text(first, style="bold"), as_it_is=True)
    else:
        say(first)
    if rest:
        say(*rest)


def laid_out(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """The lines of a table of at most so many characters, or of as many as its longest words take."""
    lines = [[printable(cell) for cell in row] for row in (header, *rows)]
    widths = _widths(lines, width)
    return [text for line in lines for text in _wrapped(line, widths)]


def width() -> int:
    """Characters of a line here: of the terminal, or as ``COLUMNS`` says, or `WIDTH`."""
    return shutil.get_terminal_size((WIDTH, 24)).columns


def is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()  # None when it was closed


def _widths(lines: Sequence[Sequence[str]], width: int) -> list[int]:
    """The widest columns give way until all fits; none below its longest word."""
    columns = list(zip(*lines, strict=True))
    widths = [max(map(len, column)) for column in columns]
    least = [
        min(full, max(_NARROWEST, *(len(word) for cell in column for word in cell.split()), 0))
        for full, column in zip(widths, columns, strict=True)
    ]
    excess = sum(widths) + _GAP * (len(widths) - 1) - width
    while excess > 0:
        room = [full - small for full, small in zip(widths, least, strict=True)]
        if not any(room):
            break
        widest = max((place for place, spare in enumerate(room) if spare), key=lambda place: widths[place])
        taken = min(excess, room[widest], max(1, widths[widest] // 20))
        widths[widest] -= taken
        excess -= taken
    return widths


def _wrapped(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    cells = [
        textwrap.wrap(cell, width, break_long_words=False, break_on_hyphens=False) or [""]
        if len(cell) > width
        else [cell]
        for cell, width in zip(line, widths, strict=True)
    ]
    height = max(map(len, cells))
    return [
        (" " * _GAP)
        .join(f"{cell[row] if row < len(cell) else '':<{width}}" for cell, width in zip(cells, widths, strict=True))
        .rstrip()
        for row in range(height)
    ]
