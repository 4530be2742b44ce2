"""``dsbench study``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from dsbench.cli import completing
from dsbench.cli.arguments import a_path
from dsbench.cli.runs import Overrides, Results, TrustCode, Unproven, Yes


def study(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE.yaml",
            help="See dsbench list studies, or your own file.",
            autocompletion=completing.studies,
        ),
    ],
    size: Annotated[
        str, typer.Option("--size", metavar="SIZE", help="smoke (seconds), quick (minutes) or full.")
    ] = "quick",
    results: Results = Path("results"),
    out: Annotated[
        Optional[Path],  # noqa: UP045  (typer reads the annotation)
        typer.Option(
            "--out", parser=a_path, metavar="DIR", help="Folder of the page; by default RESULTS/studies/NAME-SIZE."
        ),
    ] = None,
    jobs: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--jobs", min=1, help="Runs at once; by default the cores divided by the threads of a run."),
    ] = None,
    set_: Overrides = None,
    yes: Yes = False,
    trust_code: TrustCode = False,
    unproven: Unproven = False,
) -> int:
    """Run or resume the grid of a study and write its page; the same command again goes on where it stopped.

    Examples:

    dsbench study umbrella-length

    dsbench study token-layout --size smoke

    dsbench study my-study.yaml --size quick --results results/mine --out page
    """
    from dsbench.cli.arguments import ask_if_many
    from dsbench.cli.study_run import run_study
    from dsbench.running.request import unproven_may_run
    from dsbench.studies.study_file import load_study

    stem, loaded = load_study(name)
    page = out or results / "studies" / f"{stem}-{size}"
    with unproven_may_run(unproven):
        return run_study(name, stem, loaded, size, results, page, jobs, set_ or [], ask_if_many(yes), trust_code)
