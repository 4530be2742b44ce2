"""Runs gathered into groups that differ in their seed alone, and what tells the groups apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dsbench.errors import UsageError
from dsbench.records.tables import BEFORE, RUN_COLUMNS, run_folders, run_row, short_source

# What changes no number: the name of the preset (its settings are columns of their own), limits and logging.
_NO_SETTINGS = {*RUN_COLUMNS, "preset", "time_limit_s", "train.log_every", "train.checkpoint_every"}
_RESULT = "result."
# Role of code or data from outside -> the column that tells its versions apart; the last two are part of the task.
SOURCES = {"backbone": "source", "env": "env source", "data": "data.content"}


@dataclass(frozen=True)
class Run:
    """One run as its records tell it; `settings` and `result` leave out what is missing."""

    run_id: str
    backbone: str | None  # None: it stopped before its configuration was written
    env: str | None
    seed: int | None
    status: str
    reason: str | None
    attempt: int
    preset: str | None
    settings: Mapping[str, Any]
    result: Mapping[str, Any]
    provenance: Mapping[str, Any]


@dataclass(frozen=True)
class Group:
    """Runs with the same settings; `differs` holds those that set the group apart in its folder."""

    backbone: str | None
    env: str | None
    differs: Mapping[str, Any]
    runs: Sequence[Run]

    @property
    def setting(self) -> str:
        """``env.chain_length=20, data.permute_returns=true``; empty when nothing differs."""
        return ", ".join(f"{name}={_word(value)}" for name, value in self.differs.items())


def read_groups(results: Path | str) -> list[Group]:
    """The groups of a results folder, sorted by environment, setting and backbone. Reads only.

    Raises:
        UsageError: there is no such results folder, or no run in it.
        CorruptFile: a file of a run is damaged.
    """
    runs = _runs(Path(results))
    if not runs:
        raise UsageError(
            f"no runs in {str(results)!r}; name another folder, "
            "or make some with: dsbench run --backbone s4 --env umbrella"
        )
    gathered: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        who = _name(run.backbone, "source" in run.settings), _name(run.env, "env source" in run.settings)
        gathered.setdefault((*who, *sorted(run.settings.items())), []).append(run)
    names = _differing([members[0] for members in gathered.values()])
    groups = [_group(members, names) for members in gathered.values()]
    return sorted(groups, key=lambda group: _sort_key(group, names))


def _name(name: str | None, has_source: bool) -> str | None:
    """What tells it apart: of code whose hash is known, what is taken of it and not where it lay."""
    return name.rpartition(":")[2] if name is not None and has_source else name


def _runs(results: Path) -> list[Run]:
    folders, known = list(run_folders(results)), dict[bytes, dict[str, Any]]()
    origins = [folder.read_provenance(known) or {} for folder in folders]
    mixed = len({_result_version(origin) for origin in known.values()}) > 1
    return [_run(run_row(folder), origin, mixed) for folder, origin in zip(folders, origins, strict=True)]


def _run(row: Mapping[str, Any], provenance: Mapping[str, Any], mixed: bool) -> Run:
    known = {name: cell for name, cell in row.items() if cell is not None}
    settings = {name: cell for name, cell in known.items() if name not in _NO_SETTINGS and not name.startswith(_RESULT)}
    if row["backbone"] is not None:
        settings = BEFORE | settings
    if mixed:
        settings["result_version"] = _result_version(provenance)  # another version gives other numbers
    settings |= _sources(known, provenance)
    return Run(
        **{name: row[name] for name in ("run_id", "backbone", "env", "seed", "status", "reason")},
        attempt=row["attempt"],
        preset=known.get("preset"),
        settings=settings,
        result={name.removeprefix(_RESULT): cell for name, cell in known.items() if name.startswith(_RESULT)},
        provenance=provenance,
    )


def _result_version(provenance: Mapping[str, Any]) -> int:
    """Which numbers the same settings gave then; runs that do not say are of the first version."""
    version = provenance.get("result_version", 1)
    return version if isinstance(version, int) else 1


def _sources(row: Mapping[str, Any], provenance: Mapping[str, Any]) -> dict[str, str]:
    """What tells runs of other code from outside, or of other data from a path, apart: no setting does."""
    told = provenance.get("sources")
    beside = told if isinstance(told, Mapping) else {}
    found = {role: row.get(f"{_RESULT}sources.{role}", beside.get(role)) for role in SOURCES}
    return {SOURCES[role]: short_source(text) for role, text in found.items() if isinstance(text, str)}


def _differing(representatives: Sequence[Run]) -> list[str]:
    """Names of the settings that are not the same in all groups; absent is a value too (an option at its default)."""
    configured = [run.settings for run in representatives if run.backbone is not None]
    names = sorted({name for settings in configured for name in settings}, key=_rank)
    return [name for name in names if len({settings.get(name) for settings in configured}) > 1]


def _rank(name: str) -> tuple[int, str]:
    """The order of settings: the task, the data, the model, the rest."""
    parts = ("env", "data", "backbone", "wrapper", "train", "eval")
    part = name.partition(".")[0]
    return parts.index(part) if part in parts else len(parts), name


def _group(members: Sequence[Run], names: Sequence[str]) -> Group:
    first = members[0]
    differs = {name: first.settings[name] for name in names if name in first.settings}
    runs = sorted(members, key=lambda run: (run.seed is None, run.seed or 0, run.run_id))
    return Group(first.backbone, first.env, differs, runs)


def _sort_key(group: Group, names: Sequence[str]) -> tuple[Any, ...]:
    """Numbers in order of size (5 before 20), absent settings first, runs without a configuration last."""
    settings = tuple(_order(group.differs.get(name)) for name in names)
    return group.backbone is None, group.env or "", settings, group.backbone or "", group.runs[0].run_id


def _order(value: Any) -> tuple[int, float, str]:
    if value is None:
        return 0, 0.0, ""
    return (1, float(value), "") if isinstance(value, int | float) else (2, 0.0, str(value))


def _word(value: Any) -> str:
    """A value as `--set` takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
