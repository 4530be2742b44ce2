"""``dsbench watch``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from dsbench.cli import completing
from dsbench.cli.arguments import RUN_HELP, a_path
from dsbench.cli.runs import TrustCode


def watch(
    run: Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP, autocompletion=completing.runs)],
    out: Annotated[
        Optional[Path],  # noqa: UP045  (typer reads the annotation)
        typer.Option("--out", parser=a_path, metavar="FILE", help="File to write, .gif; by default RUN_ID.gif here."),
    ] = None,
    episode: Annotated[int, typer.Option("--episode", min=0, help="Which of the evaluation episodes.")] = 0,
    target: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option("--target", metavar="R", help="Return to ask for; by default the run's own."),
    ] = None,
    decode: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--decode", metavar="argmax|sample", help="By default the run's first one."),
    ] = None,
    results: Annotated[
        Path, typer.Option("--results", parser=a_path, metavar="DIR", help="Where runs are kept.")
    ] = Path("results"),
    trust_code: TrustCode = False,
) -> int:
    """Play an episode of a trained policy and write it as a GIF, with the return-to-go on every frame.

    Examples:

    dsbench watch RUN_ID

    dsbench watch results/runs/RUN_ID --episode 3 --target 5 --out episode.gif
    """
    from dsbench.cli.tables import print_pairs
    from dsbench.files import stays_inside
    from dsbench.records.finding import find_run
    from dsbench.watch import watch as play

    if out is not None:
        stays_inside(out.parent, results)
    folder = find_run(run, results)
    seen = play(folder.path, out, episode=episode, target=target, decode=decode, trust_code=trust_code)
    asked = "none" if seen.target is None else f"{seen.target:g}"
    print_pairs(
        [
            ("Saved", f"{seen.path} ({seen.frames} frames, {seen.size:,} bytes)"),
            ("Episode", f"{episode}, {seen.timesteps} timesteps"),
            ("Return", f"{seen.total:g}, asked for {asked}"),
            *([("Weights", seen.weights_note)] if seen.weights_note else []),
            *([("Note", seen.episode_note)] if seen.episode_note else []),
        ]
    )
    return 0
