"""``dsbench cite``, ``dsbench export`` and ``dsbench export-model``: what comes out of a results folder."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Optional

import typer

from dsbench.cli import completing
from dsbench.cli.arguments import RUN_HELP, a_path
from dsbench.cli.packs import Places, places
from dsbench.cli.runs import TrustCode
from dsbench.text import complain, say


def cite(results: Places = None) -> int:
    """BibTeX of what the runs really used: backbones, environments, data and dsbench.

    Examples:

    dsbench cite results > references.bib
    """
    from dsbench.envs.catalogue import families
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
    format_: Annotated[str, typer.Option("--format", "--to", metavar="csv|parquet|tensorboard")] = "csv",
) -> int:
    """Write two tidy tables, runs (a row a run) and long (a row a number), or what TensorBoard reads.

    Examples:

    dsbench export results --out tables

    dsbench export results --format parquet

    dsbench export results --to tensorboard
    """
    from dsbench.errors import UnknownName
    from dsbench.files import stays_inside
    from dsbench.records.tables import FORMATS
    from dsbench.records.tables import export as write_tables
    from dsbench.records.tensorboard import export_tensorboard

    if format_ not in (*FORMATS, "tensorboard"):
        raise UnknownName("format", format_, (*FORMATS, "tensorboard"))
    found = places(results)
    to_tensorboard = format_ == "tensorboard"
    folder = out or _folder_in(found, "tensorboard" if to_tensorboard else "tables")
    for place in found:
        stays_inside(folder, place)
    if to_tensorboard:
        say(
            f"Saved   {export_tensorboard(found, folder)}",
            "",
            f"Next    tensorboard --logdir {shlex.quote(str(folder))}",
        )
        return 0
    for path in write_tables(found, folder, format_):
        say(f"Saved   {path}")
    return 0


def _folder_in(results: list[Path], name: str) -> Path:
    """Where files go when nothing is said: into the folder that they come from."""
    from dsbench.errors import UsageError

    if len(results) == 1 and not results[0].is_file():
        return results[0] / name
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
