"""A table as LaTeX with booktabs' rules, as wide as a page at most: columns that do not fit stand in a panel below.

The notes are the caption. The file needs ``booktabs``, and ``longtable`` where the table is longer than a page.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from dsbench.reports.document import Cell, Heading, Table
from dsbench.reports.latex_text import latex_paragraph, latex_text, width
from dsbench.reports.panels import panels

TEXT_WIDTH, TEXT_HEIGHT = 345.0, 540.0  # points, of LaTeX's article; nearly all others are larger
COLUMN = 240.0  # of one of two columns
_GAP = 8.0  # between two columns, points
_NAME, _HEAD = 13.0, 8.0  # em that a name and a heading may take before they are broken
_CAPTION = 10.0, 12.0  # points, of an em and a line of the caption
_BOLDER = 1.15  # how much wider bold letters are
_AROUND = 24.0  # points, of the rules of a panel and what is between it and the next
_PANELS = 2  # beyond which letters are smaller


class _Size(NamedTuple):
    """Of letters: LaTeX's name, an em and a line in points."""

    name: str
    em: float
    line: float


_LARGE, _SMALL = _Size("footnotesize", 8.0, 9.5), _Size("scriptsize", 7.0, 8.0)


def latex(table: Table) -> str:
    """The table as a float, or as pages of a longtable; the caption above, rows and columns as they stand."""
    rows = [_broken_row(row) for row in table.rows]
    heads = [_lines(heading.text, _HEAD if place else _NAME) for place, heading in enumerate(table.headings)]
    widths = [_widest(place, heads, rows, table.rows) for place in range(len(heads))]
    size = _LARGE
    if len(_places(widths, size)) > _PANELS:
        size = _SMALL
    parts = _places(widths, size)
    bodies = [_Panel(table, rows, heads, places) for places in parts]
    told = " ".join(_ended(text) for text in (table.title, *table.notes))
    caption = rf"\caption{{{latex_paragraph(told)}}}"
    label = rf"\label{{tab:dsbench-{table.name}}}"
    begin = rf"\{size.name}\setlength{{\tabcolsep}}{{{_GAP / 2:g}pt}}"
    above = _CAPTION[1] * math.ceil(_CAPTION[0] * width(told) / TEXT_WIDTH)
    if above + sum(size.line * body.lines + _AROUND for body in bodies) > TEXT_HEIGHT:
        return _pages(bodies, caption, label, begin)
    taken = max(sum(_GAP + size.em * widths[place] for place in places) for places in parts)
    kind = "table*" if taken > COLUMN else "table"
    tables = "\n\\par\\medskip\n".join(body.tabular() for body in bodies)
    text = [
        rf"\begin{{{kind}}}[tp]",
        rf"\centering{begin}",
        caption,
        label,
        r"\par\medskip",
        tables,
        rf"\end{{{kind}}}",
    ]
    return "\n".join([_needs("booktabs"), *text]) + "\n"


def _widest(
    place: int, heads: Sequence[list[str]], rows: Sequence[Sequence[list[str]]], cells: Sequence[Sequence[Cell]]
) -> float:
    """Of all lines of a column, in em."""
    own = [
        (line, _BOLDER if cell[place].best else 1.0)
        for row, cell in zip(rows, cells, strict=True)
        for line in row[place]
    ]
    return max(width(line) * factor for line, factor in [*((line, 1.0) for line in heads[place]), *own])


def _places(widths: Sequence[float], size: _Size) -> list[list[int]]:
    """Of the columns of each panel; the first is in all."""
    found = panels([_GAP + size.em * one for one in widths[1:]], TEXT_WIDTH - size.em * widths[0])
    return [[0, *(place + 1 for place in panel)] for panel in found] or [[0]]


class _Panel:
    """Some columns of a table, the first among them."""

    def __init__(
        self, table: Table, rows: Sequence[Sequence[list[str]]], heads: Sequence[list[str]], places: Sequence[int]
    ) -> None:
        self.columns = "".join("r" if table.headings[place].numeric else "l" for place in places)
        self.head = " & ".join(_stack(heads[place], table.headings[place], "b") for place in places) + r" \\"
        self.rows = [
            " & ".join(_cell(row[place], cells[place], table.headings[place]) for place in places) + r" \\"
            for row, cells in zip(table.rows, rows, strict=True)
        ]
        self.lines = max(len(heads[place]) for place in places) + sum(
            max(len(cells[place]) for place in places) for cells in rows
        )

    def tabular(self) -> str:
        """As a block that stands on one page."""
        return "\n".join(
            [rf"\begin{{tabular}}{{@{{}}{self.columns}@{{}}}}", r"\toprule", self.head, r"\midrule", *self.rows,
             r"\bottomrule", r"\end{tabular}"]
        )  # fmt: skip

    def longtable(self, above: Sequence[str], again: Sequence[str]) -> str:
        """Over pages, the headings on each.

        Args:
            above: lines above the headings of the first page, and of all others.
        """
        return "\n".join(
            [rf"\begin{{longtable}}{{@{{}}{self.columns}@{{}}}}", *above, r"\toprule", self.head, r"\midrule",
             r"\endfirsthead", *again, r"\toprule", self.head, r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot",
             *self.rows, r"\end{longtable}"]
        )  # fmt: skip


def _pages(bodies: Sequence[_Panel], caption: str, label: str, begin: str) -> str:
    reference = re.sub("label", "ref", label)
    parts = []
    for place, body in enumerate(bodies):
        again = [rf"\multicolumn{{{len(body.columns)}}}{{@{{}}l}}{{Table~{reference}, continued}} \\"]
        parts.append(body.longtable(again if place else [caption + label + r" \\"], again))
    return "\n".join([_needs("booktabs, longtable"), rf"\begingroup{begin}", *parts, r"\endgroup"]) + "\n"


def _needs(packages: str) -> str:
    return f"% Made by dsbench report. Needs \\usepackage{{{packages}}}."


def _ended(text: str) -> str:
    return text if text[-1:] in ".:?!" else f"{text}."


def _cell(cell: Cell, lines: list[str], heading: Heading) -> str:
    shown = _stack(lines, heading, "t")
    return rf"\textbf{{{shown}}}" if cell.best else shown


def _stack(lines: list[str], heading: Heading, hold: str) -> str:
    """Lines above each other. One that begins as an option of the line break before it would is kept from being one."""
    texts = [latex_text(line) for line in lines]
    texts = [f"{{}}{text}" if text[:1] in ("[", "*") else text for text in texts]
    if len(texts) == 1:
        return texts[0]
    side = "r" if heading.numeric else "l"
    return rf"\begin{{tabular}}[{hold}]{{@{{}}{side}@{{}}}}" + r" \\ ".join(texts) + r"\end{tabular}"


def _broken_row(row: Sequence[Cell]) -> list[list[str]]:
    """The lines of each cell; a number is one."""
    return [
        _lines(cell.text, _NAME) if not isinstance(cell.value, float) else [re.sub(r"-(?=[\d.])", "−", cell.text)]
        for cell in row
    ]


def _lines(text: str, limit: float) -> list[str]:
    """The text in lines of at most `limit` em, broken behind a blank, a comma or a dash where that can be."""
    lines: list[str] = []
    line = ""
    for character in " ".join(text.split()):
        if line and width(line + character) > limit:
            whole = max(line.rfind(mark) for mark in " ,-_=/:") + 1
            cut = whole if whole > len(line) // 3 else len(line)
            lines, line = [*lines, line[:cut].strip()], line[cut:].lstrip()
        line += character
    if lines and line in "↑↓":  # an arrow alone says nothing
        return [*lines[:-1], f"{lines[-1]} {line}"]
    return [*lines, line]
