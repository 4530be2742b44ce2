"""What a report is made of, whatever it is written as: sections of paragraphs, tables and figures.

The Markdown file, the page and the CSV files are three renderings of one `Report`; none of them computes a number.
Texts are plain: a renderer escapes them, for a run's name or the reason of its failure may hold anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

MISSING = "–"
BOLD = "Bold"  # how a note begins that says what marked cells are


@dataclass(frozen=True)
class Heading:
    """Of a column: its words with the arrow for better, what it means, and whether it holds numbers."""

    text: str
    hint: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Cell:
    """What is shown, what it is sorted by (None is missing and comes last), and whether the row wins this column.

    `low`, `high` and `n` are those of an estimate, for the CSV file.
    """

    text: str
    value: float | str | None = None
    best: bool = False
    low: float | None = None
    high: float | None = None
    n: int | None = None


@dataclass(frozen=True)
class Table:
    """`name` is that of its CSV file and of its anchor; `notes` stand below it."""

    name: str
    title: str
    headings: tuple[Heading, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Figure:
    """A picture as SVG text and as PNG; the caption says in words what it shows. `canvas` is what was drawn on."""

    name: str
    title: str
    caption: str
    svg: str
    png: bytes
    canvas: Canvas | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Section:
    """`preformatted` is shown as it stands: BibTeX, a command."""

    name: str
    title: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    preformatted: str = ""


@dataclass(frozen=True)
class Report:
    """The whole: what it is of, one sentence a family of tasks, and the sections in their order."""

    title: str
    headline: tuple[str, ...]
    sections: tuple[Section, ...]
