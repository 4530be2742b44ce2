"""A study's page on disk: one HTML file, Markdown, CSV of every table, and the figures."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from dsbench.files import write_atomic
from dsbench.reports.document import Report, Table
from dsbench.reports.page import page


def write(report: Report, folder: Path) -> Path:
    """Everything into `folder`, over what was there; returns the page.

    Raises:
        CannotWrite: disk full or no rights.
    """
    for section in report.sections:
        for table in section.tables:
            write_atomic(folder / f"{table.name}.csv", _csv(table))
        for figure in section.figures:
            write_atomic(folder / "figures" / f"{figure.name}.svg", figure.svg.encode())
            write_atomic(folder / "figures" / f"{figure.name}.png", figure.png)
    write_atomic(folder / "index.html", page(report).encode())
    return folder / "index.html"


def _csv(table: Table) -> bytes:
    """RFC 4180; numbers as they are sorted by, in full, and what has none as it is shown."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([heading.text for heading in table.headings])
    writer.writerows([cell.text if cell.value is None else cell.value for cell in row] for row in table.rows)
    return text.getvalue().encode()
