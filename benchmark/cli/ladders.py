"""``dsbench ladder``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from dsbench.cli import completing
from dsbench.cli.arguments import a_path
from dsbench.cli.runs import Match, Overrides, Results, TrustCode, Unproven, Yes


def ladder(
    name: Annotated[
        Optional[str],  # noqa: UP045  (typer reads the annotation)
        typer.Argument(
            metavar="[NAME|FILE.yaml]",
            help="See dsbench list ladders, or your own file.",
            autocompletion=completing.ladders,
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All that ship: a profile of skills.")] = False,
    backbone: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--backbone",
            metavar="A,B",
            help="Backbones, separated by commas; by default the ladder's.",
            autocompletion=completing.backbones,
        ),
    ] = None,
    control: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--control", metavar="A,B", help="Controls that climb along; '' for none."),
    ] = None,
    seeds: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--seeds", metavar="N|A,B", help="5 means 0 to 4; a list means itself; by default the ladder's."),
    ] = None,
    to: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--to", metavar="RUNG", help="The last rung, below or beyond the ladder's own."),
    ] = None,
    twice: Annotated[
        bool, typer.Option("--twice", help="Then climb at twice the updates: does what was found hold there?")
    ] = False,
    match: Match = None,
    preset: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--preset", help="With its budget in the place of the ladder's; see dsbench list presets."),
    ] = None,
    set_: Overrides = None,
    jobs: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--jobs", min=1, help="Runs at once; by default the cores divided by the threads of a run."),
    ] = None,
    results: Results = Path("results"),
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--out", parser=a_path, metavar="DIR", help="Folder of the page; by default RESULTS/ladders/NAME."
        ),
    ] = None,
    yes: Yes = False,
    trust_code: TrustCode = False,
    unproven: Unproven = False,
) -> int:
    """Climb rung by rung until every contestant has fallen; the same command again goes on where it stopped.

    Examples:

    dsbench ladder memory-span --backbone gpt,s4d,mamba,lstm

    dsbench ladder memory-span --to 2560 --twice

    dsbench ladder --all --match params=100k

    dsbench ladder mine.yaml --trust-code
    """
    from dsbench.cli.arguments import ask_if_many
    from dsbench.cli.ladder_climb import run_ladders
    from dsbench.ladders.plan import Wishes
    from dsbench.running.request import unproven_may_run
    from dsbench.running.sweep import names_in, parse_seeds

    wishes = Wishes(
        backbones=None if backbone is None else names_in(backbone),
        controls=None if control is None else names_in(control),
        seeds=None if seeds is None else tuple(parse_seeds(seeds)),
        to=to, preset=preset, overrides=tuple(set_ or ()), match=match, trust_code=trust_code,
    )  # fmt: skip
    with unproven_may_run(unproven):
        return run_ladders(name, every, wishes, twice, results, out, jobs, ask_if_many(yes))
