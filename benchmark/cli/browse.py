"""``dsbench list``, ``dsbench check`` and ``dsbench doctor``: what there is, whether it keeps its word, what works."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from dsbench.cli import completing
from dsbench.cli.arguments import a_path
from dsbench.text import json_text, say

if TYPE_CHECKING:
    from dsbench.backbones.check import CheckReport

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


def check(
    backbone: Annotated[
        str, typer.Argument(metavar="NAME|module:Class|file.py:Class|file.py", autocompletion=completing.backbone)
    ],
    set_: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--set", metavar="OPTION=VALUE", help="Option of its constructor. Repeatable."),
    ] = None,
    only: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--only", metavar="A,B", help="Run these checks alone, while you mend what they found."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Prove that a backbone keeps the contract; exit code 1 when it does not, 2 when its code raises an error.

    In float64: it is causal, its views are one function, resets leave nothing, rows do not mix, gradients are those of
    differences through time. In float32 and over 3,000 tokens, the longest episode of any task: what trains is what acts.
    Takes seconds; a few times longer for a map written as a step alone.

    Examples:

    dsbench check s4

    dsbench check mine.py:MyBackbone --set n_layers=1

    dsbench check mine.py:MyBackbone --only gradients_through_time,float32_over_long_episodes
    """
    from pydantic import ValidationError

    from dsbench.backbones.catalogue import BACKBONES
    from dsbench.backbones.check import CHECKS, CheckResult, check_backbone
    from dsbench.cli.tables import print_table
    from dsbench.config.errors import problems, usage_error
    from dsbench.config.settings import BackboneConfig
    from dsbench.config.sources import parse_override
    from dsbench.errors import UsageError
    from dsbench.running.progress import display

    backbone = BACKBONES.spelled_out(backbone)
    options = dict(parse_override(text.removeprefix("backbone.")) for text in set_ or [])
    if "name" in options:
        raise UsageError(f"--set name is given beside {backbone!r}; expected options of the backbone alone")
    try:
        asked = BackboneConfig.model_validate({"name": backbone, "d_model": 8, **options})
    except ValidationError as error:
        raise usage_error(problems(error, BackboneConfig)) from None
    chosen = None if only is None else [name.strip() for name in only.split(",")]
    total, done = len(CHECKS) if chosen is None else len(chosen), 0
    with display() as shown:

        def on_result(result: CheckResult) -> None:
            nonlocal done
            done += 1
            shown.event(asked.name, {"phase": "check", "done": done, "total": total, "message": result.name})

        report = check_backbone(
            asked.name, d_model=asked.d_model, options=asked.options, only=chosen, on_result=on_result
        )
    if as_json:
        say(*json_text({"backbone": report.backbone, "ok": report.ok, "checks": report.table()}).split("\n"))
        return _exit_code(report)
    rows = [
        (one.name, one.status, f"{one.seconds:.2f}", one.error or one.detail or one.reason) for one in report.results
    ]
    print_table(("check", "status", "seconds", "detail"), rows)
    for frames in dict.fromkeys(one.frames for one in report.results if one.frames and not one.ok):
        say("", *(line for frame in frames for line in frame.told()))
    failed = sum(not one.ok for one in report.results)
    verdict = f"{failed} of {len(rows)} checks failed" if failed else f"all {len(rows)} checks passed"
    say("", f"{report.backbone}: {verdict}")
    return _exit_code(report)


def _exit_code(report: CheckReport) -> int:
    """A class of the user's that raises is bad input; one that runs and breaks the contract has failed checks."""
    from dsbench.errors import UsageError

    if any(one.frames and not one.ok for one in report.results):
        return UsageError.exit_code
    return int(not report.ok)


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
