"""The whole report of a results folder. Deterministic given its records; reads only, and needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dsbench.records.store import Places, stored_in
from dsbench.reports.content.bench_headline import newest_headline
from dsbench.reports.content.citing import Use, bibtex, citing, uses_of
from dsbench.reports.content.contest import Task
from dsbench.reports.content.costs import costs
from dsbench.reports.content.curves import Journals
from dsbench.reports.content.gaps import gaps
from dsbench.reports.content.headline import headline
from dsbench.reports.content.lengths import lengths
from dsbench.reports.content.material import Finder, Material, material_of, read
from dsbench.reports.content.method import method, provenance
from dsbench.reports.content.overall import Pool, overall, pool
from dsbench.reports.content.papers import papers
from dsbench.reports.content.pooled_fronts import pooled_fronts
from dsbench.reports.content.tasks import task_section
from dsbench.reports.content.ways import Newest, newest
from dsbench.reports.document import Report
from dsbench.reports.groups import Group
from dsbench.reports.ladders.sections import climbing, ladder_sections
from dsbench.reports.ladders.sentences import headline as ladder_headline
from dsbench.reports.smoke import smoke_sentences

_FRONTS = 8  # tasks up to which each has its own figures of score against cost


@dataclass(frozen=True)
class Built:
    """A report, and the runs that it was made of."""

    report: Report
    groups: Sequence[Group]


def build(results: Places, families: Mapping[str, str], ladders: Finder = lambda envs: ()) -> Built:
    """The report of all that lies in results folders and packs. Arguments and errors as `material_of`."""
    return built_of(material_of(results, families, ladders))


def built_of(found: Material) -> Built:
    """The same, out of what was read already."""
    groups, judged, climbed, tasks = found.groups, found.judged, found.climbed, found.tasks
    journals, bench, pooled = Journals(), newest(found.stored), judged.overall
    swept, (printed, shown) = lengths(tasks, journals), papers(tasks)
    sections = [
        *ladder_sections(climbed, judged.claims),
        overall(pooled, judged.claims, pooled_fronts(pooled) if pooled else ()) if len(tasks) > 1 else None,
        *(task_section(task, judged.claims, journals, _has_fronts(task, tasks, pooled)) for task in tasks),
        swept,
        costs(bench, found.stored.title),
        climbing(climbed),
        printed,
        *([gaps(groups, tasks), method(judged), provenance(groups)] if groups else []),
        citing(_uses(bench, groups), shown, pooled is not None),
    ]
    title = f"dsbench report of {found.stored.title}"
    sentences = (*ladder_headline(climbed), *headline(judged), *newest_headline(bench))
    told = sentences or ("No run of a backbone has ended with a score yet.",)
    shown_sections = tuple(section for section in sections if section is not None)
    return Built(Report(title, (*smoke_sentences(found.presets), *told), shown_sections), groups)


def _has_fronts(task: Task, tasks: Sequence[Task], pooled: Pool | None) -> bool:
    """Of many tasks, those whose scores are pooled have their figures of score against cost together."""
    return len(tasks) <= _FRONTS or pooled is None or task not in pooled.members


def cited(results: Places, families: Mapping[str, str]) -> tuple[str, list[str]]:
    """BibTeX of what the report of results stands on, and names without one. Arguments and errors as `material_of`."""
    stored = stored_in(results)
    groups, _, tasks = read(stored, families, lambda envs: ())
    return bibtex(_uses(newest(stored), groups), papers(tasks)[1], pool(tasks) is not None)


def _uses(bench: Newest, groups: Sequence[Group]) -> set[Use]:
    """Of the runs, and of the bench that the report shows."""
    return uses_of(groups) | {
        Use(way.backbone, row["env"] or "") for way, own in bench.curves.items() for row in own.values()
    }
