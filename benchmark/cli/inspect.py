"""``dsbench inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from dsbench.cli import completing
from dsbench.cli.arguments import RUN_HELP, a_path
from dsbench.cli.runs import TrustCode
from dsbench.errors import UsageError


def inspect(
    run: Annotated[
        Optional[str],  # noqa: UP045  (typer reads the annotation)
        typer.Argument(
            metavar="[RUN]", help=f"{RUN_HELP} Without one, --rounding alone.", autocompletion=completing.runs
        ),
    ] = None,
    rounding: Annotated[
        bool, typer.Option("--rounding", help="Rounding errors of a recurrence, the same for every run.")
    ] = False,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--out", parser=a_path, metavar="DIR", help="Folder to write to; by default inspect in the run's folder."
        ),
    ] = None,
    results: Annotated[
        Path, typer.Option("--results", parser=a_path, metavar="DIR", help="Where runs are kept.")
    ] = Path("results"),
    trust_code: TrustCode = False,
) -> int:
    """Look inside a trained policy: how far back it reaches, whether it copies itself, eigenvalues and kernels, attention.

    One page and its numbers.

    Examples:

    dsbench inspect RUN_ID

    dsbench inspect results/runs/RUN_ID --out inside

    dsbench inspect --rounding
    """
    if run is None and not rounding:
        raise UsageError("dsbench inspect was given no run; expected its id or folder, or --rounding alone")
    from dsbench.cli.tables import print_pairs
    from dsbench.files import stays_inside
    from dsbench.inspection.ablation_section import ablation_sentence
    from dsbench.inspection.dynamics_section import dynamics_sentence
    from dsbench.inspection.findings import look_inside
    from dsbench.inspection.other_sections import memory_sentence
    from dsbench.inspection.rounding import rounding_study
    from dsbench.inspection.run import open_run
    from dsbench.inspection.writing import write
    from dsbench.records.finding import find_run

    pairs, found, folder = [], None, out or Path("rounding")
    stays_inside(folder, results)
    if run is not None:
        place = find_run(run, results)
        opened = open_run(place.path, trust_code=trust_code)
        folder = out or opened.path / "inspect"
        stays_inside(folder, opened.path)
        found = look_inside(opened)
        pairs += [("Run", f"{found.backbone} on {found.env}, seed {found.seed}")]
        pairs += [
            ("Memory", memory_sentence(found.memory)),
            ("", memory_sentence(found.memory_before, "Before training")),
        ]
        pairs += [("Copying", ablation_sentence(found.previous_actions))]
        pairs += [("Data", found.data_note)] if found.data_note else []
        pairs += [("Dynamics", found.reason or dynamics_sentence(found))]
    drifts = rounding_study() if rounding else []
    for drift in drifts:
        plain, exact, bound = (
            float(each[:, -1].mean()) for each in (drift.errors["plain"], drift.errors["exact"], drift.bound)
        )
        pairs.append((f"λ = {drift.lambda_:g}", f"error {plain:.1e}, compensated {exact:.1e}, bound {bound:.1e}"))
    written = write(folder, found, drifts)
    print_pairs([*pairs, ("Saved", f"{written.page}, {written.figures} figures, tables, inspect.md and inspect.json")])
    return 0
