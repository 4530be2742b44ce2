"""A report as Markdown, with its figures beside it, and each of its tables as tidy CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

from dsbench.reports.document import Cell, Figure, Report, Section, Table
from dsbench.text import csv_cell, markdown_text, printable

_CSV_COLUMNS = ("column", "value", "low", "high", "n", "text", "best")


def markdown(report: Report) -> str:
    """The whole report; figures are linked as ``figures/NAME.svg``, with the PNG beside each."""
    parts = [f"# {markdown_text(report.title)}", *(f"- {markdown_text(sentence)}" for sentence in report.headline)]
    text = "\n".join([parts[0], "", *parts[1:]])
    return "\n\n".join([text, *(_section(section) for section in report.sections)]) + "\n"


def table_markdown(table: Table) -> str:
    """One table alone, with its title and its notes."""
    return _table(table) + "\n"


def table_csv(table: Table) -> bytes:
    """A line a number: the words of its row, the column, value, interval, n, and the text shown. RFC 4180, missing is empty."""
    words = [place for place, heading in enumerate(table.headings) if not heading.numeric]
    numbers = [place for place, heading in enumerate(table.headings) if heading.numeric]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    if not numbers:
        writer.writerow(csv_cell(heading.text) for heading in table.headings)
        writer.writerows([_word(cell) for cell in row] for row in table.rows)
        return out.getvalue().encode()
    writer.writerow([*(csv_cell(table.headings[place].text) for place in words), *_CSV_COLUMNS])
    for row in table.rows:
        for place in numbers:
            column = csv_cell(table.headings[place].text)
            writer.writerow([*(_word(row[key]) for key in words), column, *_numbers(row[place])])
    return out.getvalue().encode()


def _section(section: Section) -> str:
    parts = [f"## {markdown_text(section.title)}", *map(markdown_text, section.paragraphs)]
    parts += [_table(table) for table in section.tables]
    parts += [_figure(figure) for figure in section.figures]
    if section.preformatted:
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", section.preformatted)), default=0))
        parts.append("\n".join([fence, *map(printable, section.preformatted.rstrip().split("\n")), fence]))
    return "\n\n".join(parts)


def _table(table: Table) -> str:
    lines = [f"### {markdown_text(table.title)}", ""]
    lines.append(_line(markdown_text(heading.text) for heading in table.headings))
    lines.append(_line("--:" if heading.numeric else ":--" for heading in table.headings))
    lines += [_line(map(_cell, row)) for row in table.rows]
    for note in table.notes:
        lines += ["", markdown_text(note)]
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell) -> str:
    return f"**{markdown_text(cell.text)}**" if cell.best else markdown_text(cell.text)


def _figure(figure: Figure) -> str:
    path = f"figures/{figure.name}"
    return f"![{markdown_text(figure.title)}]({path}.svg)\n\n{markdown_text(figure.caption)} ([PNG]({path}.png))"


def _word(cell: Cell) -> str:
    return "" if cell.value is None else str(csv_cell(cell.value))


def _numbers(cell: Cell) -> list[str]:
    if cell.value is None:
        return [""] * len(_CSV_COLUMNS[1:])
    numbers = ("" if number is None else repr(number) for number in (cell.value, cell.low, cell.high, cell.n))
    return [*numbers, csv_cell(cell.text), "yes" if cell.best else ""]
