"""``dsbench list`` and ``dsbench doctor``: what there is, and what works here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from dsbench.cli import completing
from dsbench.cli.arguments import a_path
from dsbench.text import json_text, say

AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
KINDS = ("backbones", "envs", "recipes", "presets", "controls", "studies", "ladders")
ALL = "all"  # of these
SETTINGS = "settings"  # of all runs, or as runs of what is named begin
PUBLISHED = "published"  # what others measured is nothing to choose from: shown when asked for by name
SHORT = {"envs": ("name", "tests", "horizon", "parts at", "summary")}  # columns of many; --json has all


def list_names(
    ctx: typer.Context,
    kind: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(
            metavar="[backbones|envs|recipes|presets|controls|studies|ladders|settings|published|all]",
            autocompletion=completing.kinds,
        ),
    ] = None,
    env: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--env", metavar="NAME", help="This one only; of settings, with its options.", autocompletion=completing.env
        ),
    ] = None,
    backbone: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--backbone", metavar="NAME", help="Of settings: with its options.", autocompletion=completing.backbone
        ),
    ] = None,
    preset: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--preset", metavar="NAME", help="Of settings: as it begins.", autocompletion=completing.presets),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Show what there is to choose from, every setting, or what papers print (published).

    Examples:

    dsbench list envs

    dsbench list settings --env umbrella --backbone s4

    dsbench list backbones --json

    dsbench list published --env hopper
    """
    from dsbench.cli.entries import cell, entries, settings
    from dsbench.cli.published import list_published
    from dsbench.cli.tables import print_pairs, print_table
    from dsbench.errors import UnknownName, UsageError

    if kind is None and not as_json:
        say(*ctx.get_help().split("\n"))
        return 0
    if kind == PUBLISHED:
        return list_published(env, as_json)
    if kind not in (None, ALL, SETTINGS, *KINDS):
        raise UnknownName("kind of thing", kind, [*KINDS, SETTINGS, PUBLISHED, ALL])
    if kind != SETTINGS and (backbone, preset) != (None, None):
        raise UsageError("--backbone and --preset belong to dsbench list settings; leave them out")
    several = kind in (None, ALL)
    kinds = KINDS if kind is None or kind == ALL else (kind,)
    found = {name: settings(env, backbone, preset) if name == SETTINGS else entries(name, env) for name in kinds}
    if as_json:
        say(*json_text(found if several else found[kinds[0]]).split("\n"))
        return 0
    for name, rows in found.items():
        if several:
            say(name.upper())
        if name == "envs" and env is not None:
            print_pairs([(key, cell(value)) for key, value in rows[0].items()])
        else:
            columns = [column for column in SHORT.get(name, rows[0]) if any(row[column] for row in rows)]
            print_table(columns, [tuple(cell(row[column]) for column in columns) for row in rows])
        if several:
            say()
    return 0


def doctor(
    results: Annotated[Path, typer.Option("--results", parser=a_path, metavar="DIR", help="Folder to try.")] = Path(
        "results"
    ),
    as_json: AsJson = False,
) -> int:
    """Show what is usable here, with the install line of what is missing.

    Examples:

    dsbench doctor

    dsbench doctor --results /data/results --json
    """
    from dsbench.cli.diagnosis import examine
    from dsbench.cli.tables import print_pairs

    found: list[dict[str, Any]] = examine(results)
    if as_json:
        say(*json_text(found).split("\n"))
        return 0
    print_pairs([(str(item["what"]), f"{item['found']}{_way_out(item)}") for item in found])
    return 0


def _way_out(item: dict[str, Any]) -> str:
    return f"   ->  {item['way_out']}" if item["way_out"] else ""
