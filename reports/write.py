"""A report on disk: report.md, report.html, figures/ and tables/, each file replaced whole."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from dsbench.files import write_below
from dsbench.reports.columns import COLUMNS, measure_of
from dsbench.reports.document import Report
from dsbench.reports.groups import Group, Run
from dsbench.reports.markdown import markdown, table_csv
from dsbench.reports.page import page
from dsbench.text import csv_cell

_RUN_COLUMNS = ("run_id", "backbone", "env", "seed", "setting", "status", "measure", "metric", "value")


def write(report: Report, groups: Sequence[Group], out: Path) -> list[Path]:
    """Write all of it into the folder `out`; files of another report there, which this one has not, stay.

    Returns:
        What to open first: the page, the Markdown file, and the folders of figures and tables.

    Raises:
        CannotWrite: disk full or no rights.
    """
    for section in report.sections:
        for figure in section.figures:
            write_below(out, f"figures/{figure.name}.svg", figure.svg.encode())
            write_below(out, f"figures/{figure.name}.png", figure.png)
        for table in section.tables:
            write_below(out, f"tables/{table.name}.csv", table_csv(table))
    write_below(out, "tables/runs.csv", runs_csv(groups))
    write_below(out, "report.md", markdown(report).encode())
    write_below(out, "report.html", page(report).encode())
    return [out / "report.html", out / "report.md", out / "figures", out / "tables"]


def runs_csv(groups: Sequence[Group]) -> bytes:
    """A line a run and number, by run; one without a number has a line with its status."""
    runs = sorted(((run, group.setting) for group in groups for run in group.runs), key=lambda pair: pair[0].run_id)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(_RUN_COLUMNS)
    for run, setting in runs:
        identity = [run.run_id, run.backbone, run.env, run.seed, setting, run.status]
        measure = measure_of(run) if run.status == "ok" else None
        for metric, value in _metrics(run) or [(None, None)]:
            writer.writerow(["" if cell is None else csv_cell(cell) for cell in (*identity, measure, metric, value)])
    return text.getvalue().encode()


def _metrics(run: Run) -> list[tuple[str | None, float | None]]:
    if run.status != "ok":
        return []
    return [(column.key, value) for column in COLUMNS if (value := column.read(run)) is not None]
