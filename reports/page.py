"""A report as one HTML file that needs nothing else: style, script and drawings are inside, no network is touched.

Every text is escaped, for a run's name or the reason of its failure may hold anything; the drawings alone are taken as
they are, for `dsbench.reports.svg` made them. Should an escape ever be forgotten, the page's content security policy
still lets no script run but its own, and no request leave.
"""

from __future__ import annotations

import base64
import hashlib
import math
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dsbench.reports.document import MISSING, Cell, Figure, Heading, Report
from dsbench.text import printable

_TEMPLATES = Path(__file__).parent / "templates"
_FILTERED_FROM = 5  # rows; below that a text box is more to read than the table
_LONG_FROM = 30  # rows; above that a table scrolls in its own box, under its headings
_NAME, _SENTENCE = 32, 48  # letters


def page(report: Report) -> str:
    """The whole page; the same report gives the same text."""
    style, script = (_read(name) for name in ("page.css", "page.js"))
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, finalize=_shown
    )
    return environment.get_template("page.html").render(
        report=report,
        table_numbers=_counted([table.name for section in report.sections for table in section.tables]),
        figure_numbers=_counted([figure.name for section in report.sections for figure in section.figures]),
        style=Markup(style),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        key=_key,
        width=_width,
        drawing=_drawing,
        missing=MISSING,
        filtered_from=_FILTERED_FROM,
        long_from=_LONG_FROM,
        zip=zip,
    )


def _shown(value: Any) -> Any:
    """Every text of the report without characters that are not drawn; what is ours, `Markup`, as it stands."""
    return "\n".join(map(printable, value.split("\n"))) if type(value) is str else value


def _read(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _counted(names: list[str]) -> dict[str, int]:
    """Counted through the whole report, so that one can be cited by its number."""
    return {name: number for number, name in enumerate(names, 1)}


def _key(heading: Heading, cell: Cell) -> str | None:
    """What the script sorts the cell by, None where it is missing; words without a value sort by themselves."""
    if cell.value is None or (isinstance(cell.value, float) and math.isnan(cell.value)):
        return None if heading.numeric or cell.text in ("", MISSING) else cell.text
    if isinstance(cell.value, float) and math.isinf(cell.value):
        return "Infinity" if cell.value > 0 else "-Infinity"
    return str(cell.value)


def _width(heading: Heading, cell: Cell) -> str:
    """The class of a cell: a number stands right, a short name stays on one line, sentences get room."""
    if heading.numeric:
        return "number"
    return "short" if len(cell.text) <= _NAME else "words" if len(cell.text) > _SENTENCE else ""


def _drawing(figure: Figure) -> Markup:
    return Markup(figure.svg)
