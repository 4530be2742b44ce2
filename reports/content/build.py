"""The whole report of a results folder. Deterministic given its records; reads only, and needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from dsbench.records.store import Places, Stored, stored_in
from dsbench.reports.content.bench_headline import newest_headline
from dsbench.reports.content.citing import Use, bibtex, citing, uses_of
from dsbench.reports.content.contest import Task
from dsbench.reports.content.costs import costs
from dsbench.reports.content.curves import Journals
from dsbench.reports.content.gaps import gaps
from dsbench.reports.content.gathering import tasks_of
from dsbench.reports.content.headline import headline
from dsbench.reports.content.judging import judge
from dsbench.reports.content.lengths import lengths
from dsbench.reports.content.method import method, provenance
from dsbench.reports.content.overall import Pool, overall, pool
from dsbench.reports.content.papers import papers
from dsbench.reports.content.pooled_fronts import pooled_fronts
from dsbench.reports.content.tasks import task_section
from dsbench.reports.content.ways import Newest, newest
from dsbench.reports.document import Report
from dsbench.reports.groups import Group, groups_of
from dsbench.reports.ladders.climbs import Climb, climbs_of
from dsbench.reports.ladders.ladder import Ladder
from dsbench.reports.ladders.reach import contests_of
from dsbench.reports.ladders.reach import judged as ladders_judged
from dsbench.reports.ladders.sections import climbing, ladder_sections
from dsbench.reports.ladders.sentences import headline as ladder_headline
from dsbench.reports.smoke import smoke_sentences

Finder: TypeAlias = Callable[[Iterable[str]], Iterable[Ladder]]
_FRONTS = 8  # tasks up to which each has its own figures of score against cost


@dataclass(frozen=True)
class Built:
    """A report, and the runs that it was made of."""

    report: Report
    groups: Sequence[Group]


def build(results: Places, families: Mapping[str, str], ladders: Finder = lambda envs: ()) -> Built:
    """The report of all that lies in results folders and packs.

    Args:
        results: with runs, a bench, or both.
        families: environment -> the family of tasks that it belongs to.
        ladders: from the environments of the runs to the ladders that may have been climbed.

    Raises:
        UsageError: there are no such results, or nothing in them.
    """
    stored = stored_in(results)
    groups, climbs, tasks = _read(stored, families, ladders)
    journals, judged, bench = Journals(), judge(tasks, contests_of(climbs)), newest(stored)
    climbed = ladders_judged(climbs, judged.claims)
    pooled = judged.overall
    swept, (printed, shown) = lengths(tasks, journals), papers(tasks)
    sections = [
        *ladder_sections(climbed, judged.claims),
        overall(pooled, judged.claims, pooled_fronts(pooled) if pooled else ()) if len(tasks) > 1 else None,
        *(task_section(task, judged.claims, journals, _has_fronts(task, tasks, pooled)) for task in tasks),
        swept,
        costs(bench, stored.title),
        climbing(climbed),
        printed,
        *([gaps(groups, tasks), method(judged), provenance(groups)] if groups else []),
        citing(_uses(bench, groups), shown, pooled is not None),
    ]
    title = f"dsbench report of {stored.title}"
    sentences = (*ladder_headline(climbed), *headline(judged), *newest_headline(bench))
    told = sentences or ("No run of a backbone has ended with a score yet.",)
    told = (*smoke_sentences([run.preset for group in groups for run in group.runs]), *told)
    return Built(Report(title, told, tuple(section for section in sections if section is not None)), groups)


def _has_fronts(task: Task, tasks: Sequence[Task], pooled: Pool | None) -> bool:
    """Of many tasks, those whose scores are pooled have their figures of score against cost together."""
    return len(tasks) <= _FRONTS or pooled is None or task not in pooled.members


def cited(results: Places, families: Mapping[str, str]) -> tuple[str, list[str]]:
    """BibTeX of what the report of results stands on, and names without one. Arguments and errors as `build`."""
    stored = stored_in(results)
    groups, _, tasks = _read(stored, families, lambda envs: ())
    return bibtex(_uses(newest(stored), groups), papers(tasks)[1], pool(tasks) is not None)


def _uses(bench: Newest, groups: Sequence[Group]) -> set[Use]:
    """Of the runs, and of the bench that the report shows."""
    return uses_of(groups) | {
        Use(way.backbone, row["env"] or "") for way, own in bench.curves.items() for row in own.values()
    }


def _read(
    stored: Stored, families: Mapping[str, str], ladders: Finder
) -> tuple[Sequence[Group], list[Climb], list[Task]]:
    """All groups, the climbs among them, and the tasks of those that climbed nothing."""
    alone = stored.benches and not (stored.runs or stored.unreadable)
    groups = [] if alone else groups_of(stored)
    climbs = climbs_of(groups, ladders({str(group.env) for group in groups}))
    climbing = {run.run_id for climb in climbs for run in climb.runs}
    standing = [group for group in groups if not any(run.run_id in climbing for run in group.runs)]
    return groups, climbs, tasks_of(standing, families)
