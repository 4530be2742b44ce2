"""What there is to choose from, as rows of ``dsbench list``: JSON values by column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dsbench.registry import Entry

Row = dict[str, Any]


def entries(kind: str, env: str | None) -> list[Row]:
    """Every thing of a kind; of environments and recipes those of one environment, where one is named."""
    from dsbench.backbones.catalogue import BACKBONES
    from dsbench.config.controls import CONTROLS
    from dsbench.config.presets import PRESETS
    from dsbench.envs import ENVS, get_spec
    from dsbench.ladders import ladder_file
    from dsbench.studies.study_file import load_study, shipped

    if kind == "presets":
        return [
            {
                "name": preset.name,
                "backbone": preset.backbone or "any",
                "envs": list(preset.envs) or ["any"],
                "summary": preset.summary,
            }
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


def settings(env: str | None, backbone: str | None, preset: str | None) -> list[Row]:
    """Every setting; with a name among these, as a run of it begins, and with the options of what is named."""
    from dsbench.config.described import settings_as_resolved, settings_of_run

    plain = env is None and backbone is None and preset is None
    found = settings_of_run() if plain else settings_as_resolved(env, backbone, preset)
    return [
        {"setting": one.name, "type": one.type, "default": one.default, "range": one.range, "meaning": one.meaning}
        for one in found
    ]


def cell(value: Any) -> str:
    """A value as a table shows it."""
    if isinstance(value, list):
        return ", ".join(value)
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


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
