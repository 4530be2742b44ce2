"""The claims of a report: which contests its pages show, decided together."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from dsbench.reports.claims import Claims, Contest, decide
from dsbench.reports.content.contest import Task
from dsbench.reports.content.overall import Pool, pool


@dataclass(frozen=True)
class Judged:
    """The tasks of a report with all that is claimed of them.

    Attributes:
        overall: what is pooled over all tasks.
        families: family -> its pool, of those of several tasks whose tasks all are pooled.
        claims: keys are `Task.name` and `Pool.key`.
    """

    tasks: Sequence[Task]
    overall: Pool | None
    families: Mapping[str, Pool]
    claims: Claims


def judge(tasks: Sequence[Task], beside: Mapping[Hashable, Contest] | None = None) -> Judged:
    """Pools the tasks and decides all pairs on each task, over all tasks and over each family of tasks together.

    Args:
        beside: further contests of the page, under keys of their own.
    """
    overall = pool(tasks) if len(tasks) > 1 else None
    families = _families(tasks, overall)
    contests: dict[Hashable, Contest] = dict(beside or {})
    contests |= {task.name: Contest([task.spread]) for task in tasks if len(task.spread.names) > 1}
    contests |= {
        one.key: one.contest for one in (overall, *families.values()) if one is not None and len(one.names) > 1
    }
    return Judged(tasks, overall, families, decide(contests))


def _families(tasks: Sequence[Task], overall: Pool | None) -> dict[str, Pool]:
    found = {}
    for family, members in groupby((task for task in tasks if not task.permuted), key=lambda task: task.family):
        own = [task for task in members if task.learned]
        pooled = (overall if len(own) == len(tasks) else pool(own)) if len(own) > 1 else None
        if pooled is not None and len(pooled.members) == len(own):
            found[family] = pooled
    return found
