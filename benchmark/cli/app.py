"""The table of commands. Importing it imports neither torch nor pandas; each command imports what it needs."""

from __future__ import annotations

from typing import Annotated

import typer

import dsbench
from dsbench.cli import (
    bench,
    browse,
    check,
    data,
    inspect,
    kept,
    ladders,
    packs,
    pictures,
    report,
    results,
    runs,
    studies,
)
from dsbench.cli.setting_help import WithSettings
from dsbench.text import say

app = typer.Typer(
    name="dsbench",
    help="Which sequence backbone should make decisions, and at what cost?",
    epilog="Example: dsbench run --backbone s4 --env umbrella",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        say(f"dsbench {dsbench.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Options of every command; `dsbench.cli.main` reads --debug itself, so that it may stand anywhere."""


app.command("run", cls=WithSettings)(runs.run)
app.command("sweep", cls=WithSettings)(runs.sweep)
app.command("bench")(bench.bench)
app.command("study")(studies.study)
app.command("ladder", cls=WithSettings)(ladders.ladder)
app.command("list")(browse.list_names)
app.command("check")(check.check)
app.command("report")(report.report)
app.command("cite")(results.cite)
app.command("pack")(packs.pack)
app.command("export")(results.export)
app.command("export-model")(results.export_model)
app.command("watch")(pictures.watch)
app.command("inspect")(inspect.inspect)
app.add_typer(data.app)
app.add_typer(kept.app)
app.command("doctor")(browse.doctor)
