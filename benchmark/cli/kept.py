"""``dsbench results``: the runs of a results folder listed, two of them compared, and removed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from dsbench.cli import completing
from dsbench.cli.arguments import RUN_HELP, a_path
from dsbench.text import json_text, say

app = typer.Typer(
    name="results",
    help="Runs that are kept: list, compare, remove.",
    epilog="Example: dsbench results compare last lstm-umbrella",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Results = Annotated[Path, typer.Option("--results", parser=a_path, metavar="DIR", help="Where runs are kept.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Run = Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP, autocompletion=completing.runs)]
HERE = Path("results")


@app.command("list")
def list_runs(
    results: Results = HERE,
    env: Annotated[
        Optional[str],  # noqa: UP045  (typer reads the annotation)
        typer.Option("--env", metavar="NAME", help="Of this environment only.", autocompletion=completing.envs),
    ] = None,
    status: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--status", metavar="NAME", help="Those that ended so: ok, failed, interrupted, ..."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All of them, and not the last 50 alone.")] = False,
    as_json: AsJson = False,
) -> int:
    """Show the runs of a folder and of the packs in it, the last one at the end.

    Examples:

    dsbench results list

    dsbench results list --env umbrella --status failed
    """
    from dsbench.cli.kept_runs import LISTED, line_of, listed
    from dsbench.cli.summary import MOST_ROWS
    from dsbench.cli.tables import print_table

    found = [one for one in listed(results) if env in (None, one["env"]) and status in (None, one["status"])]
    if as_json:
        say(*json_text(found).split("\n"))
        return 0
    shown = found if every else found[-MOST_ROWS:]
    print_table(LISTED, [line_of(one) for one in shown])
    if len(shown) < len(found):
        say("", f"The last {len(shown)} of {len(found):,} runs; --all shows all of them.")
    return 0


@app.command()
def compare(run: Run, other: Run, results: Results = HERE, as_json: AsJson = False) -> int:
    """Show how two runs differ: in their settings, and in what came out of them.

    Examples:

    dsbench results compare s4-umbrella-s0 gpt-umbrella-s0

    dsbench results compare last results/runs/RUN_ID
    """
    from dsbench.cli.comparing import Pair
    from dsbench.records.finding import find_run

    pair = Pair(find_run(run, results), find_run(other, results))
    if as_json:
        say(*json_text(pair.to_json()).split("\n"))
    else:
        pair.show()
    return 0


@app.command()
def remove(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Ids, beginnings of ids, or last.", autocompletion=completing.runs),
    ],
    results: Results = HERE,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> int:
    """Delete runs with their checkpoints; what is being worked on, or lies in a pack, stays.

    Examples:

    dsbench results remove s4-umbrella-s0-1a2b3c4d5e

    dsbench results remove last --yes
    """
    from dsbench.errors import UsageError
    from dsbench.records.finding import find_own_run

    folders = list({folder.run_id: folder for folder in (find_own_run(name, results) for name in runs)}.values())
    if not yes:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError("nobody can be asked here; if the runs are to be deleted, add --yes")
        say(*(str(folder.path) for folder in folders))
        if not typer.confirm(f"Delete {'this run' if len(folders) == 1 else f'these {len(folders)} runs'}?", err=True):
            raise UsageError("the answer was no; nothing was removed")
    for folder in folders:
        folder.remove()
        say(f"Removed {folder.path}")
    return 0


def told(value: Any) -> str:
    """A setting as a person writes it."""
    words = {True: "true", False: "false", None: "-"}
    return words[value] if value is None or isinstance(value, bool) else str(value)
