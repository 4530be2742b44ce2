"""Tasks and their contestants out of the groups of a results folder.

Runs are on the same task if they have the same environment, data, evaluation and objective. On a task, runs that differ
in nothing but their seed are one contestant.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dsbench.config.controls import control_of
from dsbench.reports.content.contest import Contestant, Settings, Task, listed, outcomes_of
from dsbench.reports.groups import LEARNED, Group
from dsbench.reports.outcomes import RESULT_VERSION, Outcome, measure_among, sample_of, task_settings
from dsbench.text import slug


def tasks_of(groups: Sequence[Group], families: Mapping[str, str]) -> list[Task]:
    """The tasks, sorted by family, environment and settings. Runs whose settings nothing tells are left out.

    Args:
        groups: of `read_groups`.
        families: environment -> its family; one that is absent is its own.
    """
    by_task: dict[Hashable, list[Group]] = {}
    for group in groups:
        if group.configured and group.backbone is not None and group.env is not None:
            whole = task_settings(group.runs[0].settings)
            by_task.setdefault((group.env, *sorted(whole.items(), key=lambda item: item[0])), []).append(group)
    usual = _usual(groups)
    telling = _telling(by_task.values())
    tasks = [_task(members, telling[str(members[0].env)], usual, families) for members in by_task.values()]
    return _named_once(
        sorted(tasks, key=lambda task: (task.family, task.env, [_order(v) for v in task.settings.items()]))
    )


def _own(settings: Settings) -> dict[str, Any]:
    whole = task_settings(settings)
    return {name: value for name, value in settings.items() if name not in whole}


def _differing(all_settings: Sequence[Settings]) -> list[str]:
    """Names of what is not the same in all; absent is a value too."""
    names = sorted({name for settings in all_settings for name in settings})
    return [name for name in names if len({settings.get(name) for settings in all_settings}) > 1]


def _telling(tasks: Iterable[Sequence[Group]]) -> dict[str, list[str]]:
    """Environment -> the settings that tell its tasks apart, without those that only go along with others of them."""
    by_env: dict[str, list[Settings]] = {}
    for members in tasks:
        by_env.setdefault(str(members[0].env), []).append(task_settings(members[0].runs[0].settings))
    return {env: _needed(wholes) for env, wholes in by_env.items()}


def _needed(wholes: Sequence[Settings]) -> list[str]:
    needed: list[str] = []
    parted = 1
    for name in sorted(_differing(wholes), key=_telling_first):
        parts = len({tuple(str(whole.get(key)) for key in [*needed, name]) for whole in wholes})
        if parts > parted:
            needed, parted = [*needed, name], parts
    return needed


def _telling_first(name: str) -> tuple[bool, bool, bool, str]:
    """The version of results before all, for much goes along with it."""
    return name != RESULT_VERSION, not name.startswith("env."), not name.startswith("data."), name


def _usual(groups: Sequence[Group]) -> dict[str, Any]:
    """Of each setting the value that most groups have, if it is one; it goes without saying in a contestant's name."""
    counts: dict[str, Counter[Any]] = {}
    owns = [_own(group.runs[0].settings) for group in groups if group.configured]
    for name in sorted({name for own in owns for name in own}):
        counts[name] = Counter(own.get(name) for own in owns)
    usual = {}
    for name, counter in counts.items():
        (value, most), *others = counter.most_common()
        if not others or others[0][1] < most:
            usual[name] = value
    return usual


def _task(members: Sequence[Group], telling: Sequence[str], usual: Settings, families: Mapping[str, str]) -> Task:
    env, whole = str(members[0].env), task_settings(members[0].runs[0].settings)
    settings = {name: whole[name] for name in telling if name in whole}
    outcomes = [one for group in members for one in outcomes_of(group.runs)]
    measure = measure_among(outcomes)
    told = {name: value for name, value in settings.items() if value is not False}  # what is off goes without saying
    title = f"{env}, {listed(told)}" if told else env
    contestants = [_contestant(group, members, usual, measure) for group in members]
    return Task(
        name=slug(title),
        title=title,
        env=env,
        family=families.get(env, env),
        settings=settings,
        whole=whole,
        measure=measure,
        contestants=tuple(sorted(_told_apart(contestants), key=lambda one: (not one.learned, one.name))),
    )


def _contestant(group: Group, members: Sequence[Group], usual: Settings, measure: str) -> Contestant:
    own = _own(group.runs[0].settings)
    same = [_own(other.runs[0].settings) for other in members if other.backbone == group.backbone]
    told = {name: own.get(name, "default") for name in _differing(same)}
    unusual = {name: value for name, value in told.items() if name not in usual or own.get(name) != usual[name]}
    names = _differing([_own(other.runs[0].settings) for other in members])
    control = control_of({"backbone": group.backbone, **own}, varying=names)
    name = str(group.backbone)
    if control is not None:
        name = control.name
        unusual = {setting: value for setting, value in unusual.items() if setting not in control.says}
    return Contestant(
        name=f"{name} ({listed(unusual)})" if unusual else name,
        label=name,
        backbone=str(group.backbone),
        settings={name: own[name] for name in names if name in own},
        learned=own.get("policy", LEARNED) == LEARNED,
        runs=tuple(group.runs),
        scores=_scores(outcomes_of(group.runs), measure),
        told=control.says if control is not None else frozenset(),
    )


def _scores(outcomes: Sequence[Outcome], measure: str) -> dict[int, float | None]:
    """Seed -> score, None where it failed."""
    found = sample_of(outcomes, measure, "score_error", math.nan)
    return {} if found is None else {s: None if s in found.failed else score for s, score in found.scores.items()}


def _told_apart(contestants: Sequence[Contestant]) -> list[Contestant]:
    """Those whose names came out the same, as of settings that differ in a late digit, get a number."""
    taken: Counter[str] = Counter()
    told = []
    for one in contestants:
        taken[one.name] += 1
        told.append(one if taken[one.name] == 1 else replace(one, name=f"{one.name} #{taken[one.name]}"))
    return told


def _order(item: tuple[str, Any]) -> tuple[str, int, float, str]:
    name, value = item
    return (name, 0, float(value), "") if isinstance(value, int | float) else (name, 1, 0.0, str(value))


def costs_name(task: str) -> str:
    """Of the table of costs of the task with this name."""
    return f"{task}-costs"


def _named_once(tasks: Sequence[Task]) -> list[Task]:
    """Tasks whose names would be those of one file get a number."""
    taken: set[str] = set()
    named = []
    for task in tasks:
        names = (task.name, *(f"{task.name}-{number}" for number in range(2, len(tasks) + 2)))
        free = next(name for name in names if taken.isdisjoint((name, costs_name(name))))
        taken |= {free, costs_name(free)}
        named.append(replace(task, name=free))
    return named
