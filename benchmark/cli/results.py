"""``dsbench report`` and ``dsbench export``: what the runs of a results folder say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Optional

import typer

Folder = Annotated[Path, typer.Argument(metavar="RESULTS", help="Results folder.")]


def report(
    results: Folder = Path("results"),
    out: Annotated[Optional[Path], typer.Option("--out", metavar="FILE", help="Write it to a file.")] = None,  # noqa: UP045
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> int:
    """One table: the mean over seeds with its 95 % interval, the number of seeds, and what failed.

    Examples:

    dsbench report results

    dsbench report results --out table.md
    """
    from dsbench.files import write_atomic
    from dsbench.reports.table import markdown, rows

    text = json.dumps(rows(results), indent=2, allow_nan=False) + "\n" if as_json else markdown(results)
    if out is None:
        print(text, end="")
    else:
        write_atomic(out, text.encode())
        print(f"Saved   {out}")
    return 0


def export(
    results: Folder = Path("results"),
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--out", metavar="DIR", help="Folder to write to; by default RESULTS/tables."),
    ] = None,
    format_: Annotated[str, typer.Option("--format", metavar="csv|parquet")] = "csv",
) -> int:
    """Write two tidy tables: runs (a row a run) and long (a row a number).

    Examples:

    dsbench export results --out tables

    dsbench export results --format parquet
    """
    from dsbench.records.tables import export as write_tables

    for path in write_tables(results, out or results / "tables", format_):
        print(f"Saved   {path}")
    return 0
