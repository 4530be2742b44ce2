"""What a report is made of: runs, tasks and climbs of results, read once, with all that is claimed of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from dsbench.records.store import Places, Stored, stored_in
from dsbench.reports.content.contest import Task
from dsbench.reports.content.gathering import tasks_of
from dsbench.reports.content.judging import Judged, judge
from dsbench.reports.groups import Group, groups_of
from dsbench.reports.ladders.climbs import Climb, climbs_of
from dsbench.reports.ladders.ladder import Ladder
from dsbench.reports.ladders.reach import Judged as Climbed
from dsbench.reports.ladders.reach import contests_of
from dsbench.reports.ladders.reach import judged as ladders_judged

Finder: TypeAlias = Callable[[Iterable[str]], Iterable[Ladder]]


@dataclass(frozen=True)
class Material:
    """All of it; page, tables for a paper and terminal show the same claims.

    Attributes:
        groups: of all runs; none where results hold a bench alone.
        judged: the tasks of those runs that climbed nothing.
        climbed: the climbs.
    """

    stored: Stored
    groups: Sequence[Group]
    judged: Judged
    climbed: Sequence[Climbed]

    @property
    def tasks(self) -> Sequence[Task]:
        return self.judged.tasks

    @property
    def scored(self) -> list[Task]:
        """Tasks with a score."""
        return [task for task in self.tasks if any(one.name in task.samples for one in task.contestants)]

    @property
    def presets(self) -> list[str | None]:
        """Of every run."""
        return [run.preset for group in self.groups for run in group.runs]


def material_of(results: Places, families: Mapping[str, str], ladders: Finder = lambda envs: ()) -> Material:
    """Read results folders and packs.

    Args:
        results: with runs, a bench, or both.
        families: environment -> the family of tasks that it belongs to.
        ladders: from the environments of the runs to the ladders that may have been climbed.

    Raises:
        UsageError: there are no such results, or nothing in them.
    """
    stored = stored_in(results)
    groups, climbs, tasks = read(stored, families, ladders)
    judged = judge(tasks, contests_of(climbs))
    return Material(stored, groups, judged, ladders_judged(climbs, judged.claims))


def read(
    stored: Stored, families: Mapping[str, str], ladders: Finder
) -> tuple[Sequence[Group], list[Climb], list[Task]]:
    """All groups, the climbs among them, and the tasks of those that climbed nothing."""
    alone = stored.benches and not (stored.runs or stored.unreadable)
    groups = [] if alone else groups_of(stored)
    climbs = climbs_of(groups, ladders({str(group.env) for group in groups}))
    climbing = {run.run_id for climb in climbs for run in climb.runs}
    standing = [group for group in groups if not any(run.run_id in climbing for run in group.runs)]
    return groups, climbs, tasks_of(standing, families)
