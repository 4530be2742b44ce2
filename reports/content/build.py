"""The whole report of a results folder. Deterministic given its records; reads only, and needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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

_FRONTS = 8  # tasks up to which each has its own figures of score against cost


@dataclass(frozen=True)
class Built:
    """A report, and the runs that it was made of."""

    report: Report
    groups: Sequence[Group]


def build(results: Places, families: Mapping[str, str]) -> Built:
    """The report of all that lies in results folders and packs.

    Args:
        results: with runs, a bench, or both.
        families: environment -> the family of tasks that it belongs to.

    Raises:
        UsageError: there are no such results, or nothing in them.
    """
    stored = stored_in(results)
    groups, tasks = _read(stored, families)
    journals, judged, bench = Journals(), judge(tasks), newest(stored)
    pooled = judged.overall
    swept, (printed, shown) = lengths(tasks, journals), papers(tasks)
    sections = [
        overall(pooled, judged.claims, pooled_fronts(pooled) if pooled else ()) if len(tasks) > 1 else None,
        *(task_section(task, judged.claims, journals, _has_fronts(task, tasks, pooled)) for task in tasks),
        swept,
        costs(bench, stored.title),
        printed,
        *([gaps(groups, tasks), method(judged), provenance(groups)] if groups else []),
        citing(_uses(bench, groups), shown, pooled is not None),
    ]
    title, sentences = f"dsbench report of {stored.title}", (*headline(judged), *newest_headline(bench))
    told = sentences or ("No run of a backbone has ended with a score yet.",)
    return Built(Report(title, told, tuple(section for section in sections if section is not None)), groups)


def _has_fronts(task: Task, tasks: Sequence[Task], pooled: Pool | None) -> bool:
    """Of many tasks, those whose scores are pooled have their figures of score against cost together."""
    return len(tasks) <= _FRONTS or pooled is None or task not in pooled.members


def cited(results: Places, families: Mapping[str, str]) -> tuple[str, list[str]]:
    """BibTeX of what the report of results stands on, and names without one. Arguments and errors as `build`."""
    stored = stored_in(results)
    groups, tasks = _read(stored, families)
    return bibtex(_uses(newest(stored), groups), papers(tasks)[1], pool(tasks) is not None)


def _uses(bench: Newest, groups: Sequence[Group]) -> set[Use]:
    """Of the runs, and of the bench that the report shows."""
    return uses_of(groups) | {
        Use(way.backbone, row["env"] or "") for way, own in bench.curves.items() for row in own.values()
    }


def _read(stored: Stored, families: Mapping[str, str]) -> tuple[Sequence[Group], list[Task]]:
    alone = stored.benches and not (stored.runs or stored.unreadable)
    groups = [] if alone else groups_of(stored)
    return groups, tasks_of(groups, families)
