"""Who is compared with whom: tasks, and on each the contestants, which are backbones with what else was varied.

Runs are on the same task if they have the same environment, data, evaluation and objective. On a task, runs that differ
in nothing but their seed are one contestant.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dsbench.reports.groups import Group, Run
from dsbench.reports.statistics import Estimate, estimate
from dsbench.reports.table import FAILURES, measure_of

Settings = Mapping[str, Any]
LEARNED = "learned"
_PARTS = ("env.", "data.", "eval.")
_OF_CONTESTANT = {"data.top_percent", "eval.acting", "eval.window"}  # who takes part in what way, not in what
_OF_TASK = {"train.objective"}


@dataclass(frozen=True)
class Contestant:
    """Runs of one backbone on one task that differ in their seed alone.

    Attributes:
        name: the backbone, and after it the settings that tell it from others with the same backbone.
        settings: those that are not the same for all contestants of the task.
        learned: False for scripted policies.
        scores: seed -> the measure that counts, None where all runs of the seed failed; unfinished seeds are absent.
    """

    name: str
    backbone: str
    settings: Settings
    learned: bool
    runs: tuple[Run, ...]
    scores: Mapping[int, float | None]

    @property
    def ok(self) -> list[Run]:
        return [run for run in self.runs if run.status == "ok"]

    @property
    def failed(self) -> int:
        """Seeds that failed or diverged."""
        return sum(score is None for score in self.scores.values())

    def estimate(self, minimum: float | None) -> Estimate | None:
        """The score over seeds, failed ones at `minimum`; None with nothing to average."""
        filled = [minimum if score is None else score for score in self.scores.values()]
        finite = [score for score in filled if score is not None]
        return estimate(finite) if finite else None


@dataclass(frozen=True)
class Task:
    """One thing to do, with all who did it.

    Attributes:
        name: for files and anchors.
        title: the environment with what tells it from the other tasks of its environment.
        family: environments that belong together.
        settings: those by which the task differs from others of its environment.
        whole: all settings that make the task.
        measure: the column of the final row that counts; more is better.
        minimum: the lowest score of any run, at which failed ones stand; None where no run ended.
        contestants: learned ones first, by name.
    """

    name: str
    title: str
    env: str
    family: str
    settings: Settings
    whole: Settings
    measure: str
    minimum: float | None
    contestants: tuple[Contestant, ...]

    @property
    def learned(self) -> list[Contestant]:
        return [one for one in self.contestants if one.learned]

    @property
    def permuted(self) -> bool:
        """A control: returns were dealt out anew, so that there is nothing to find."""
        return self.whole.get("data.permute_returns") is True

    @property
    def measure_text(self) -> str:
        return "return" if self.measure == "return_mean" else self.measure.replace("_", " ")


def tasks_of(groups: Sequence[Group], families: Mapping[str, str]) -> list[Task]:
    """The tasks, sorted by family, environment and settings. Runs that stopped before they had settings are left out.

    Args:
        groups: of `read_groups`.
        families: environment -> its family; one that is absent is its own.
    """
    by_task: dict[Hashable, list[Group]] = {}
    for group in groups:
        if group.backbone is not None and group.env is not None:
            whole = _whole(group.runs[0].settings)
            by_task.setdefault((group.env, *sorted(whole.items(), key=lambda item: item[0])), []).append(group)
    usual = _usual(groups)
    differing = _differing_by_env(by_task.values())
    tasks = [_task(members, differing[str(members[0].env)], usual, families) for members in by_task.values()]
    return _named_once(
        sorted(tasks, key=lambda task: (task.family, task.env, [_order(v) for v in task.settings.items()]))
    )


def ranked(task: Task) -> list[tuple[Contestant, Estimate]]:
    """Learned contestants with a score, the highest mean first; of equals the quicker one, then by name."""
    found = [(one, score) for one in task.learned if (score := one.estimate(task.minimum)) is not None]
    return sorted(
        found, key=lambda pair: (-pair[1].mean, mean_of(pair[0].ok, "latency_p50_us") or math.inf, pair[0].name)
    )


def mean_of(runs: Sequence[Run], key: str) -> float | None:
    """Mean of a number of the final rows over the runs that have it."""
    values = [float(value) for run in runs if (value := run.result.get(key)) is not None]
    return math.fsum(values) / len(values) if values else None


def word(value: Any) -> str:
    """A value as `--set` takes it."""
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def listed(settings: Settings) -> str:
    """``chain_length=20, permute_returns=true``: without the part, which the name nearly always tells."""
    return ", ".join(f"{name.rpartition('.')[2]}={word(value)}" for name, value in settings.items())


def _whole(settings: Settings) -> dict[str, Any]:
    return {
        name: value
        for name, value in settings.items()
        if name in _OF_TASK or (name.startswith(_PARTS) and name not in _OF_CONTESTANT)
    }


def _own(settings: Settings) -> dict[str, Any]:
    whole = _whole(settings)
    return {name: value for name, value in settings.items() if name not in whole}


def _differing(all_settings: Sequence[Settings]) -> list[str]:
    """Names of what is not the same in all; absent is a value too."""
    names = sorted({name for settings in all_settings for name in settings})
    return [name for name in names if len({settings.get(name) for settings in all_settings}) > 1]


def _differing_by_env(tasks: Iterable[Sequence[Group]]) -> dict[str, list[str]]:
    by_env: dict[str, list[Settings]] = {}
    for members in tasks:
        by_env.setdefault(str(members[0].env), []).append(_whole(members[0].runs[0].settings))
    return {env: _differing(wholes) for env, wholes in by_env.items()}


def _usual(groups: Sequence[Group]) -> dict[str, Any]:
    """Of each setting the value that most groups have, if it is one; it goes without saying in a contestant's name."""
    counts: dict[str, Counter[Any]] = {}
    owns = [_own(group.runs[0].settings) for group in groups if group.backbone is not None]
    for name in sorted({name for own in owns for name in own}):
        counts[name] = Counter(own.get(name) for own in owns)
    usual = {}
    for name, counter in counts.items():
        (value, most), *others = counter.most_common()
        if not others or others[0][1] < most:
            usual[name] = value
    return usual


def _task(members: Sequence[Group], differing: Sequence[str], usual: Settings, families: Mapping[str, str]) -> Task:
    env, whole = str(members[0].env), _whole(members[0].runs[0].settings)
    settings = {name: whole[name] for name in differing if name in whole}
    finished = [run for group in members for run in group.runs if run.status == "ok"]
    measures = Counter(measure_of(run) for run in finished)
    measure = min(measures, key=lambda name: (-measures[name], name)) if measures else "return_mean"
    found = [value for run in finished if _finite(value := run.result.get(measure))]
    title = f"{env}, {listed(settings)}" if settings else env
    contestants = [_contestant(group, members, usual, measure) for group in members]
    return Task(
        name=re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-"),
        title=title,
        env=env,
        family=families.get(env, env),
        settings=settings,
        whole=whole,
        measure=measure,
        minimum=min(found, default=None),
        contestants=tuple(sorted(contestants, key=lambda one: (not one.learned, one.name))),
    )


def _contestant(group: Group, members: Sequence[Group], usual: Settings, measure: str) -> Contestant:
    own = _own(group.runs[0].settings)
    same = [_own(other.runs[0].settings) for other in members if other.backbone == group.backbone]
    told = {name: own.get(name, "default") for name in _differing(same)}
    unusual = {name: value for name, value in told.items() if name not in usual or own.get(name) != usual[name]}
    names = _differing([_own(other.runs[0].settings) for other in members])
    return Contestant(
        name=f"{group.backbone} ({listed(unusual)})" if unusual else str(group.backbone),
        backbone=str(group.backbone),
        settings={name: own[name] for name in names if name in own},
        learned=own.get("policy", LEARNED) == LEARNED,
        runs=tuple(group.runs),
        scores=_scores(group.runs, measure),
    )


def _scores(runs: Sequence[Run], measure: str) -> dict[int, float | None]:
    """Several runs of one seed (from other sources) are averaged: they are no new seeds."""
    by_seed: dict[int, list[float | None]] = {}
    for run in sorted(runs, key=lambda run: (run.seed or 0, run.run_id)):
        value = run.result.get(measure) if run.status == "ok" else None
        if _finite(value) or run.status in FAILURES or run.status == "ok":
            by_seed.setdefault(run.seed or 0, []).append(float(value) if _finite(value) else None)
    scores: dict[int, float | None] = {}
    for seed, values in by_seed.items():
        finite = [value for value in values if value is not None]
        scores[seed] = math.fsum(finite) / len(finite) if finite else None
    return scores


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _order(item: tuple[str, Any]) -> tuple[str, int, float, str]:
    name, value = item
    return (name, 0, float(value), "") if isinstance(value, int | float) else (name, 1, 0.0, str(value))


def _named_once(tasks: Sequence[Task]) -> list[Task]:
    """Tasks whose names would be those of one file get a number."""
    from dataclasses import replace

    seen: Counter[str] = Counter()
    named = []
    for task in tasks:
        seen[task.name] += 1
        named.append(replace(task, name=f"{task.name}-{seen[task.name]}") if seen[task.name] > 1 else task)
    return named
