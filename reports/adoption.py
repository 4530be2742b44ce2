"""Runs that failed before they could say all that they are: whose they are, so that they count there."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dsbench.records.run_row import names_run
from dsbench.reports.outcomes import FAILURES, RESULT_VERSION, task_settings

if TYPE_CHECKING:
    from dsbench.reports.groups import Run

MADE_WITH = "data.made_with"  # told by a run's provenance, as `RESULT_VERSION` is; a failed one may lack it
_NAME = re.compile(r"(.+)-s([0-9]{1,18})-[^-]+(?:-made)?\Z")  # of a folder: backbone and environment, seed, hash


def adopted(runs: Sequence[Run]) -> list[Run]:
    """The same runs; a failed one that lacks its settings, or the versions that part contestants, has those of the contestant
    that it belongs to: the one whose settings give its folder that name, else the only one that fits (and lacks its seed).

    What fits is told by backbone and environment in the final row, or else by the folder's name. Where no run of the backbone
    has settings, it is a contestant of its own on the only task of its environment. One that fits several is left as it is.
    """
    if not any(map(_lacks, runs)):
        return list(runs)
    known: dict[Hashable, list[Run]] = {}
    for run in runs:
        if run.configured and not _lacks(run):
            key = run.backbone, run.env, tuple(sorted(run.settings.items(), key=lambda item: item[0]))
            known.setdefault(key, []).append(run)
    contestants = list(known.values())
    return [_adopted(run, contestants) if _lacks(run) else run for run in runs]


def _lacks(run: Run) -> bool:
    return run.status in FAILURES and (not run.configured or not run.provenance)


def _adopted(run: Run, contestants: Sequence[Sequence[Run]]) -> Run:
    found = _NAME.match(run.run_id)
    seed = run.seed if run.seed is not None or found is None else int(found[2])
    if seed is None:
        return run
    fitting = [members for members in contestants if _fits(run, members[0])]
    named = [
        members
        for members in fitting
        if members[0].records is not None and names_run(members[0].records, run.run_id, seed)
    ]
    lacking = [members for members in fitting if all(member.seed != seed for member in members)]
    for chosen in (named, fitting, lacking):
        if len(chosen) == 1:
            one = chosen[0][0]
            return replace(run, backbone=one.backbone, env=one.env, seed=seed, settings=one.settings)
    return run if fitting or run.configured else _alone(run, contestants)


def _alone(run: Run, contestants: Sequence[Sequence[Run]]) -> Run:
    tasks = [task_settings(members[0].settings) for members in contestants if members[0].env == run.env]
    return replace(run, settings=tasks[0]) if tasks and all(task == tasks[0] for task in tasks) else run


def _fits(run: Run, other: Run) -> bool:
    if run.configured:
        return (run.backbone, run.env) == (other.backbone, other.env) and _plain(run.settings) == _plain(other.settings)
    if run.backbone is not None and run.env is not None:
        return (run.backbone, run.env) == (other.backbone, other.env)
    mine, theirs = _NAME.match(run.run_id), _NAME.match(other.run_id)
    return mine is not None and theirs is not None and mine[1] == theirs[1]


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in (RESULT_VERSION, MADE_WITH)}
