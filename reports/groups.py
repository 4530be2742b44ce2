"""Runs gathered into groups that differ in their seed alone, and what tells the groups apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dsbench.errors import CorruptFile, UsageError
from dsbench.records.copies import rows_of
from dsbench.records.run_records import RunRecords
from dsbench.records.run_row import COLUMNS, UNPROVEN, UNREADABLE, short_source, unreadable_row
from dsbench.records.store import Places, Stored, stored_in
from dsbench.records.tables import BEFORE
from dsbench.reports.adoption import MADE_WITH, adopted
from dsbench.reports.outcomes import RESULT_VERSION, ended

# What changes no number: the name of the preset (its settings are columns of their own), limits and logging.
_NO_SETTINGS = {*COLUMNS, "preset", "time_limit_s", "train.log_every", "train.checkpoint_every"}
_RESULT = "result."
LEARNED = "learned"
# Role of code or data from outside -> the column that tells its versions apart; the last two are part of the task.
SOURCES = {"backbone": "source", "env": "env source", "data": "data.content"}


class Elsewhere(NamedTuple):
    """The same run with the same scores as another machine made it: what it cost there, and where that was."""

    result: Mapping[str, Any]
    provenance: Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """One run as its records tell it; `settings` and `result` leave out what is missing."""

    run_id: str
    backbone: str | None  # None: it stopped before anything was written
    env: str | None
    seed: int | None
    status: str
    reason: str | None
    attempt: int
    preset: str | None
    settings: Mapping[str, Any]
    result: Mapping[str, Any]
    provenance: Mapping[str, Any]
    elsewhere: Sequence[Elsewhere] = ()
    records: RunRecords | None = field(default=None, compare=False, repr=False)

    @property
    def configured(self) -> bool:
        """Whether its settings are known."""
        return bool(self.settings)


@dataclass(frozen=True)
class Group:
    """Runs with the same settings; `differs` holds those that set the group apart from others of its environment."""

    backbone: str | None
    env: str | None
    differs: Mapping[str, Any]
    runs: Sequence[Run]

    @property
    def configured(self) -> bool:
        """Whether its settings are known."""
        return self.runs[0].configured

    @property
    def setting(self) -> str:
        """``env.chain_length=20, data.permute_returns=true``; empty when nothing differs."""
        return ", ".join(f"{name}={_word(value)}" for name, value in self.differs.items())


def read_groups(results: Places) -> list[Group]:
    """The groups of results, sorted by environment, setting and backbone. Reads only.

    Raises:
        UsageError: there are no such results, or no run in them.
    """
    return groups_of(stored_in(results))


def groups_of(stored: Stored) -> list[Group]:
    """The same, out of what was found already."""
    if not (stored.runs or stored.unreadable):
        raise UsageError(
            f"no runs in {', '.join(map(str, stored.places))!r}; name another folder, "
            "or make some with: dsbench run --backbone s4 --env umbrella"
        )
    return grouped(_runs(stored))


def grouped(runs: Iterable[Run]) -> list[Group]:
    """The same, out of runs that were read already."""
    gathered: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        who = _name(run.backbone, "source" in run.settings), _name(run.env, "env source" in run.settings)
        gathered.setdefault((*who, *sorted(run.settings.items(), key=_by_name)), []).append(run)
    names = _differing([members[0] for members in gathered.values()])
    groups = [_group(members, names[members[0].env]) for members in gathered.values()]
    return sorted(groups, key=lambda group: _sort_key(group, names[group.env]))


def _by_name(setting: tuple[str, Any]) -> str:
    return setting[0]


def _marked(backbone: str | None, result: Mapping[str, Any]) -> str | None:
    """A backbone that ran although it fails what is proved first has that behind its name, wherever it stands."""
    return f"{backbone} ({UNPROVEN})" if backbone is not None and result.get(UNPROVEN) else backbone


def _name(name: str | None, has_source: bool) -> str | None:
    """What tells it apart: of code whose hash is known, what is taken of it and not where it lay."""
    return name.rpartition(":")[2] if name is not None and has_source else name


def _runs(stored: Stored) -> list[Run]:
    known: dict[bytes, dict[str, Any]] = {}
    told = [_told(name, copies, known) for name, copies in stored.runs.items()]
    told += [(unreadable_row(name, reason), {}, (), None) for name, reason in sorted(stored.unreadable.items())]
    mixed = len({_result_version(origin) for origin in known.values()}) > 1
    makers: dict[Any, set[str]] = {}
    for row, origin, _, _ in told:
        makers.setdefault(row["env"], set()).update({origin["data_made_with"]} if origin.get("data_made_with") else ())
    return adopted(
        [
            _run(row, origin, mixed, len(makers[row["env"]]) > 1, elsewhere, records)
            for row, origin, elsewhere, records in told
        ]
    )


def _told(
    name: str, copies: Sequence[RunRecords], known: dict[bytes, dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, Any], Sequence[Elsewhere], RunRecords | None]:
    """The row of a run, its provenance, what it cost on other machines, and its records."""
    row, records, others = rows_of(copies)
    if row["status"] == UNREADABLE:
        return row, {}, (), None
    try:
        origin = records.read_provenance(known, row["attempt"]) or {}
        elsewhere = [
            Elsewhere(_result_of(other), one.read_provenance(known, other["attempt"]) or {}) for other, one in others
        ]
    except (CorruptFile, UsageError) as error:
        return unreadable_row(name, str(error)), {}, (), None
    return row, origin, elsewhere, records


def _result_of(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name.removeprefix(_RESULT): cell for name, cell in row.items() if name.startswith(_RESULT) and cell is not None
    }


def _run(
    row: Mapping[str, Any],
    provenance: Mapping[str, Any],
    mixed: bool,
    other_data: bool,
    elsewhere: Sequence[Elsewhere],
    records: RunRecords | None,
) -> Run:
    settings: dict[str, Any] = {}
    result: dict[str, Any] = {}
    for name, cell in row.items():
        if cell is None:
            continue
        if name.startswith(_RESULT):
            result[name[len(_RESULT) :]] = cell
        elif name not in _NO_SETTINGS:
            settings[name] = cell
    if settings:
        settings = BEFORE | settings | _told_apart(result, provenance, mixed, other_data)
    status, reason = ended(row["status"], row["reason"], result)
    return Run(
        **{name: row[name] for name in ("run_id", "env", "seed")},
        backbone=_marked(row["backbone"], result),
        status=status,
        reason=reason,
        attempt=row["attempt"] or 1,
        preset=row.get("preset"),
        settings=settings,
        result=result,
        provenance=provenance,
        elsewhere=elsewhere,
        records=records,
    )


def _told_apart(
    result: Mapping[str, Any], provenance: Mapping[str, Any], mixed: bool, other_data: bool
) -> dict[str, Any]:
    """What is no setting and parts runs all the same: versions of results, of what makes the data, of code from outside."""
    found: dict[str, Any] = {}
    if mixed:
        found[RESULT_VERSION] = _result_version(provenance)  # another version gives other numbers
    if other_data and "data_made_with" in provenance:
        found[MADE_WITH] = provenance["data_made_with"]  # other versions may make other episodes of a seed
    return found | _sources(result, provenance)


def _result_version(provenance: Mapping[str, Any]) -> int:
    """Which numbers the same settings gave then; runs that do not say are of the first version."""
    version = provenance.get("result_version", 1)
    return version if isinstance(version, int) else 1


def _sources(result: Mapping[str, Any], provenance: Mapping[str, Any]) -> dict[str, str]:
    """What tells runs of other code from outside, or of other data from a path, apart: no setting does."""
    told = provenance.get("sources")
    beside = told if isinstance(told, Mapping) else {}
    found = {role: result.get(f"sources.{role}", beside.get(role)) for role in SOURCES}
    return {SOURCES[role]: short_source(text) for role, text in found.items() if isinstance(text, str)}


def _differing(representatives: Sequence[Run]) -> dict[str | None, list[str]]:
    """Environment -> names of the settings that are not the same in all of its groups; absent is a value too (an option at
    its default). What a preset says of each environment parts nothing within one, and a policy is told by its name.
    """
    by_env: dict[str | None, list[Mapping[str, Any]]] = {run.env: [] for run in representatives}
    for run in representatives:
        if run.configured:
            by_env[run.env].append({name: value for name, value in run.settings.items() if name != "policy"})
    return {env: _not_the_same(settings) for env, settings in by_env.items()}


def _not_the_same(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    names = sorted({name for own in settings for name in own}, key=_rank)
    return [name for name in names if len({own.get(name) for own in settings}) > 1]


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
    return not group.configured, group.env or "", settings, group.backbone or "", group.runs[0].run_id


def _order(value: Any) -> tuple[int, float, str]:
    if value is None:
        return 0, 0.0, ""
    return (1, float(value), "") if isinstance(value, int | float) else (2, 0.0, str(value))


def _word(value: Any) -> str:
    """A value as `--set` takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
