"""``dsbench report``, ``dsbench cite``, ``dsbench export`` and ``dsbench export-model``: what comes out of a results folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from dsbench.cli import completing
from dsbench.cli.arguments import RUN_HELP, a_path
from dsbench.cli.packs import Places, places
from dsbench.cli.runs import TrustCode
from dsbench.text import complain, json_text, say


def report(
    results: Places = None,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--out",
            parser=a_path,
            metavar="DIR|FILE.md",
            help="Folder for the whole report, or a file for the table alone.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable table.")] = False,
) -> int:
    """What came out: a table here, or with --out DIR the whole report: page, Markdown, figures and tidy tables.

    Examples:

    dsbench report results

    dsbench report results --out report

    dsbench report results --out table.md

    dsbench report paper.dsb results --out report
    """
    from dsbench.files import stays_inside, write_atomic
    from dsbench.reports.table import markdown, rows

    found = places(results)
    if out is not None:
        for place in found:
            stays_inside(out if out.suffix != ".md" and not as_json else out.parent, place)
    if out is not None and not as_json and out.suffix != ".md":
        return _whole_report(found, out)
    text = json_text(rows(found)) + "\n" if as_json else markdown(found)
    if out is None:
        say(*text.rstrip("\n").split("\n"))
    else:
        write_atomic(out, text.encode())
        say(f"Saved   {out}")
    return 0


def _whole_report(results: list[Path], out: Path) -> int:
    """Write the report into the folder `out`; prints its first screen and where it is."""
    from dsbench.errors import UsageError
    from dsbench.ladders.known import ladders_in
    from dsbench.reports.content.build import build
    from dsbench.reports.write import write

    if out.is_file():
        raise UsageError(
            f"--out {out} is a file; expected a folder for the whole report, or FILE.md for the table alone"
        )
    built = build(results, families(), lambda envs: ladders_in(results, envs))
    saved = write(built.report, built.groups, out)
    say(*built.report.headline, "", *(f"Saved   {path}" for path in saved))
    return 0


def families() -> dict[str, str]:
    """Environment -> its family: those of one module belong together."""
    from dsbench.envs.catalogue import ENVS

    return {
        entry.name: entry.target.partition(":")[0].rpartition(".")[2].replace("_", "-")
        for entry in ENVS
        if entry.target.startswith("dsbench.")
    }


def cite(results: Places = None) -> int:
    """BibTeX of what the runs really used: backbones, environments, data and dsbench.

    Examples:

    dsbench cite results > references.bib
    """
    from dsbench.reports.content.build import cited

    text, unknown = cited(places(results), families())
    say(*text.rstrip("\n").split("\n"))
    if unknown:
        complain(f"Nothing to cite is known for: {', '.join(unknown)}")
    return 0


def export(
    results: Places = None,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--out", parser=a_path, metavar="DIR", help="Folder to write to; by default RESULTS/tables."),
    ] = None,
    format_: Annotated[str, typer.Option("--format", metavar="csv|parquet")] = "csv",
) -> int:
    """Write two tidy tables: runs (a row a run) and long (a row a number).

    Examples:

    dsbench export results --out tables

    dsbench export results --format parquet
    """
    from dsbench.files import stays_inside
    from dsbench.records.tables import export as write_tables

    found = places(results)
    folder = out or _tables_of(found)
    for place in found:
        stays_inside(folder, place)
    for path in write_tables(found, folder, format_):
        say(f"Saved   {path}")
    return 0


def _tables_of(results: list[Path]) -> Path:
    """Where tables go when nothing is said: into the folder that they come from."""
    from dsbench.errors import UsageError

    if len(results) == 1 and not results[0].is_file():
        return results[0] / "tables"
    raise UsageError(
        f"tables of {', '.join(map(str, results))} have no folder of their own; say where they go with --out DIR"
    )


def export_model(
    run: Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP, autocompletion=completing.runs)],
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--out", parser=a_path, metavar="FILE", help="File to write, .onnx; by default RUN_ID.onnx here."),
    ] = None,
    results: Annotated[
        Path, typer.Option("--results", parser=a_path, metavar="DIR", help="Where runs are kept.")
    ] = Path("results"),
    trust_code: TrustCode = False,
) -> int:
    """Write a trained policy as one ONNX file, state in and out, to act without dsbench; a .json beside it tells how.

    Examples:

    dsbench export-model results/runs/RUN_ID --out policy.onnx
    """
    from dsbench.cli.tables import print_pairs
    from dsbench.decision.loading import non_finite_weights
    from dsbench.decision.policy import read_policy
    from dsbench.errors import UsageError
    from dsbench.records.finding import find_run

    folder = find_run(run, results)
    policy = read_policy(folder.path, trust_code=trust_code)
    if (wrong := non_finite_weights(policy)) is not None:
        raise UsageError(
            f"{folder.path}: {wrong}; expected a policy whose decisions can be told, so nothing was written"
        )

    from dsbench.decision.export import BOUND, DECISIONS, Origin
    from dsbench.decision.export import export_model as write_model
    from dsbench.files import stays_inside

    row = folder.latest_result() or {}
    name = folder.path.resolve().name
    origin = Origin(name, row.get("env", ""), row.get("target_return"))
    file = out or Path(f"{name}.onnx")
    stays_inside(file.parent, results)
    written = write_model(policy, file, origin)
    print_pairs(
        [
            ("Saved", f"{written.model} ({written.model.stat().st_size:,} bytes)"),
            ("Saved", f"{written.description}, with inputs, outputs and an example"),
            ("Verified", f"{DECISIONS} decisions, largest gap {written.gap:.1e} (bound {BOUND:.0e})"),
        ]
    )
    return 0
