"""A report as Markdown, with its figures beside it, and each of its tables as tidy CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

from dsbench.reports.document import Cell, Figure, Report, Section, Table

_MARKUP = re.compile(r"([\\`*\[\]<|~])|(?<![A-Za-z0-9])(_)|(_)(?![A-Za-z0-9])")
_AT_START = re.compile(r"^(#|>|[-+](?= )|\d+(?=[.)] ))")
_CSV_COLUMNS = ("column", "value", "low", "high", "n", "text", "best")


def markdown(report: Report) -> str:
    """The whole report; figures are linked as ``figures/NAME.svg``, with the PNG beside each."""
    parts = [f"# {escaped(report.title)}", *(f"- {escaped(sentence)}" for sentence in report.headline)]
    text = "\n".join([parts[0], "", *parts[1:]])
    return "\n\n".join([text, *(_section(section) for section in report.sections)]) + "\n"


def table_csv(table: Table) -> bytes:
    """A line a number: the words of its row, the column, value, interval, n, and the text shown. RFC 4180, missing is empty."""
    words = [place for place, heading in enumerate(table.headings) if not heading.numeric]
    numbers = [place for place, heading in enumerate(table.headings) if heading.numeric]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    if not numbers:
        writer.writerow(heading.text for heading in table.headings)
        writer.writerows([_word(cell) for cell in row] for row in table.rows)
        return out.getvalue().encode()
    writer.writerow([*(table.headings[place].text for place in words), *_CSV_COLUMNS])
    for row in table.rows:
        for place in numbers:
            writer.writerow([*(_word(row[key]) for key in words), table.headings[place].text, *_numbers(row[place])])
    return out.getvalue().encode()


def escaped(text: str) -> str:
    """`text` on one line, with nothing in it taken for markup."""
    line = " ".join(text.split())
    return _AT_START.sub(r"\\\1" if not line[:1].isdigit() else r"\1\\", _MARKUP.sub(r"\\\g<0>", line))


def _section(section: Section) -> str:
    parts = [f"## {escaped(section.title)}", *map(escaped, section.paragraphs)]
    parts += [_table(table) for table in section.tables]
    parts += [_figure(figure) for figure in section.figures]
    if section.preformatted:
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", section.preformatted)), default=0))
        parts.append(f"{fence}\n{section.preformatted.rstrip()}\n{fence}")
    return "\n\n".join(parts)


def _table(table: Table) -> str:
    lines = [f"### {escaped(table.title)}", ""]
    lines.append(_line(escaped(heading.text) for heading in table.headings))
    lines.append(_line("--:" if heading.numeric else ":--" for heading in table.headings))
    lines += [_line(map(_cell, row)) for row in table.rows]
    for note in table.notes:
        lines += ["", escaped(note)]
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell) -> str:
    return f"**{escaped(cell.text)}**" if cell.best else escaped(cell.text)


def _figure(figure: Figure) -> str:
    path = f"figures/{figure.name}"
    return f"![{escaped(figure.title)}]({path}.svg)\n\n{escaped(figure.caption)} ([PNG]({path}.png))"


def _word(cell: Cell) -> str:
    return "" if cell.value is None else str(cell.value)


def _numbers(cell: Cell) -> list[str]:
    if cell.value is None:
        return [""] * len(_CSV_COLUMNS[1:])
    numbers = ("" if number is None else repr(number) for number in (cell.value, cell.low, cell.high, cell.n))
    return [*numbers, cell.text, "yes" if cell.best else ""]
