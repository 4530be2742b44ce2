"""``dsbench list`` and ``dsbench doctor``: what there is, and what works here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from dsbench.cli.arguments import a_path
from dsbench.text import json_text, say

if TYPE_CHECKING:
    from dsbench.registry import Entry

AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
KINDS = ("backbones", "envs", "recipes", "presets", "controls", "studies", "ladders")
PUBLISHED = "published"  # what others measured is nothing to choose from: shown when asked for by name


def list_names(
    kind: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(metavar="[backbones|envs|recipes|presets|controls|studies|ladders|published]"),
    ] = None,
    env: Annotated[Optional[str], typer.Option("--env", metavar="NAME", help="This one only.")] = None,  # noqa: UP045
    as_json: AsJson = False,
) -> int:
    """Show what there is to choose from, or what papers print (published).

    Examples:

    dsbench list

    dsbench list backbones --json

    dsbench list published --env hopper
    """
    from dsbench.cli.published import list_published
    from dsbench.cli.summary import print_table
    from dsbench.errors import UnknownName

    if kind == PUBLISHED:
        return list_published(env, as_json)
    if kind is not None and kind not in KINDS:
        raise UnknownName("kind of thing", kind, [*KINDS, PUBLISHED])
    found = {name: _entries(name, env) for name in ([kind] if kind else KINDS)}
    if as_json:
        say(*json_text(found[kind] if kind else found).split("\n"))
        return 0
    for name, entries in found.items():
        if kind is None:
            say(name.upper())
        print_table(tuple(entries[0]), [tuple(_cell(value) for value in entry.values()) for entry in entries])
        if kind is None:
            say()
    return 0


def _entries(kind: str, env: str | None) -> list[dict[str, Any]]:
    from dsbench.backbones.catalogue import BACKBONES
    from dsbench.config.controls import CONTROLS
    from dsbench.config.presets import PRESETS
    from dsbench.envs import ENVS, get_spec
    from dsbench.ladders import ladder_file
    from dsbench.studies.study_file import load_study, shipped

    if kind == "presets":
        return [
            {"name": preset.name, "backbone": preset.backbone or "any", "summary": preset.summary}
            for preset in PRESETS.values()
        ]
    if kind == "controls":
        return [{"name": control.name, "summary": control.summary} for control in CONTROLS.values()]
    if kind == "studies":
        return [{"name": name, "summary": load_study(name)[1].title} for name in shipped()]
    if kind == "ladders":
        return [_ladder_line(name) for name in ladder_file.shipped()]
    if kind == "recipes":
        specs = [get_spec(name) for name in ([env] if env is not None else ENVS.names())]
        found = [
            {"env": spec.name, "name": name, "summary": recipe.summary}
            for spec in specs
            for name, recipe in spec.recipes.items()
        ]
        families = ENVS.families() if env is None else []
        return found + [{"env": one.name, "name": "random", "summary": "uniformly random actions"} for one in families]
    if kind == "envs":
        known = [_env_line(name) for name in ([env] if env is not None else ENVS.names())]
        return known if env is not None else [*known, *map(_family_line, ENVS.families())]
    return [{"name": entry.name, "summary": entry.summary, "source": entry.source} for entry in BACKBONES.lines()]


def _env_line(name: str) -> dict[str, Any]:
    from dsbench.envs import ENVS, get_spec

    spec = get_spec(name)
    return {
        "name": name,
        "tests": list(spec.tests),
        "horizon": spec.horizon,
        "random": spec.uniform_return,
        "optimal": spec.reference_optimal,
        "target": spec.target.text,
        "recipes": list(spec.recipes),
        "parts at": _parting(name),
        "summary": spec.summary,
        "source": "your own file or module" if ENVS.is_reference(name) else ENVS.entry(name).source,
    }


def _family_line(entry: Entry) -> dict[str, Any]:
    """Of names that stand for many environments; what each is shows when it is named."""
    unknown = dict.fromkeys(("horizon", "random", "optimal", "target"))
    return {
        "name": entry.name, "tests": [], **unknown, "recipes": ["random"], "parts at": "", "summary": entry.summary,
        "source": entry.source,
    }  # fmt: skip


def _parting(env: str) -> str:
    """Where the reference climbs of ladders on this environment saw backbones begin to part: ``memory_length=20``."""
    from dsbench.ladders.ladder_file import load_ladder, shipped

    told = []
    for _, file in map(load_ladder, shipped()):
        if file.env == env and file.parts is not None:
            rung = file.steps(file.parts)[file.parts]
            told += [f"{path.removeprefix('env.')}={value}" for path, value in rung.items()]
    return "; ".join(dict.fromkeys(told))


def _ladder_line(name: str) -> dict[str, Any]:
    from dsbench.ladders.ladder_file import load_ladder

    file = load_ladder(name)[1]
    rungs = list(file.steps())
    return {
        "name": name,
        "env": file.env,
        "rungs": f"{rungs[0]} … {rungs[-1]} ({len(rungs)})",
        "parts at": file.parts or "",
        "summary": file.title,
    }


def _cell(value: Any) -> str:
    """A value as a table shows it."""
    if isinstance(value, list):
        return ", ".join(value)
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


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
    from dsbench.cli.summary import print_pairs

    found: list[dict[str, Any]] = examine(results)
    if as_json:
        say(*json_text(found).split("\n"))
        return 0
    print_pairs([(str(item["what"]), f"{item['found']}{_way_out(item)}") for item in found])
    return 0


def _way_out(item: dict[str, Any]) -> str:
    return f"   ->  {item['way_out']}" if item["way_out"] else ""
