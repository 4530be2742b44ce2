"""A study's page on disk: one HTML file, Markdown, CSV of every table, and the figures."""

from __future__ import annotations

from pathlib import Path

from dsbench.files import write_below
from dsbench.reports.document import Report
from dsbench.reports.markdown import markdown, table_csv
from dsbench.reports.page import page


def write(report: Report, folder: Path, stem: str = "study") -> Path:
    """``STEM.html``, ``STEM.md``, figures/ and tables/ into `folder`, over what was there; returns the page.

    Raises:
        CannotWrite: disk full or no rights.
    """
    for section in report.sections:
        for table in section.tables:
            write_below(folder, f"tables/{table.name}.csv", table_csv(table))
        for figure in section.figures:
            write_below(folder, f"figures/{figure.name}.svg", figure.svg.encode())
            write_below(folder, f"figures/{figure.name}.png", figure.png)
    write_below(folder, f"{stem}.md", markdown(report).encode())
    write_below(folder, f"{stem}.html", page(report).encode())
    return folder / f"{stem}.html"
