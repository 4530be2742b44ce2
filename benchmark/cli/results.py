"""``dsbench report``, ``dsbench export`` and ``dsbench export-model``: what comes out of a results folder."""

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


def export_model(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A finished run: its id, or its folder.")],
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--out", metavar="FILE", help="File to write, .onnx; by default RUN_ID.onnx here."),
    ] = None,
    results: Annotated[Path, typer.Option("--results", metavar="DIR", help="Where runs are kept.")] = Path("results"),
) -> int:
    """Write a trained policy as one ONNX file, state in and out, to act without dsbench; a .json beside it tells how.

    Examples:

    dsbench export-model results/runs/RUN_ID --out policy.onnx
    """
    from dsbench.cli.summary import print_pairs
    from dsbench.decision.policy import load_policy
    from dsbench.records.run_folder import RunFolder

    folder = RunFolder(Path(run)) if Path(run).is_dir() else RunFolder.open(results, run)
    policy = load_policy(folder.path)

    from dsbench.decision.export import BOUND, DECISIONS, Origin
    from dsbench.decision.export import export_model as write_model

    row = folder.latest_result() or {}
    name = folder.path.resolve().name
    origin = Origin(name, row.get("env", ""), row.get("target_return"))
    written = write_model(policy, out or Path(f"{name}.onnx"), origin)
    print_pairs(
        [
            ("Saved", f"{written.model} ({written.model.stat().st_size:,} bytes)"),
            ("Saved", f"{written.description}, with inputs, outputs and an example"),
            ("Verified", f"{DECISIONS} decisions, largest gap {written.gap:.1e} (bound {BOUND:.0e})"),
        ]
    )
    return 0
