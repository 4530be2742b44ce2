"""The page of climbs: the profile where there are several ladders, each ladder, what did not end, how it was made."""

from __future__ import annotations

from collections.abc import Sequence

from dsbench.errors import UsageError
from dsbench.records.store import Places
from dsbench.reports.claims import decide
from dsbench.reports.content.cells import words
from dsbench.reports.content.citing import citing, uses_of
from dsbench.reports.document import Heading, Report, Section, Table
from dsbench.reports.groups import Group, read_groups
from dsbench.reports.ladders.climbs import climbs_of
from dsbench.reports.ladders.ladder import Ladder
from dsbench.reports.ladders.reach import Judged, contests_of, judged
from dsbench.reports.ladders.sections import ladder_sections, method_text
from dsbench.reports.ladders.sentences import headline
from dsbench.reports.machines import made_on
from dsbench.reports.smoke import smoke_sentences


def report_of(ladders: Sequence[Ladder], groups: Sequence[Group], command: str) -> Report:
    """The page of all climbs of these ladders among groups of runs, whoever made them.

    Args:
        command: that makes the same page again.
    """
    climbs = climbs_of(groups, ladders)
    claims = decide(contests_of(climbs))
    found = judged(climbs, claims)
    sections = [
        *ladder_sections(found, claims),
        *_missing(groups, found),
        _method(found, command, [*method_text(found), claims.text()]),
        citing(uses_of([group for group in groups if _climbs(group, found)]), set(), pooled=False),
    ]
    title = ladders[0].title if len(ladders) == 1 else "How far does each backbone reach?"
    told = tuple(headline(found)) or ("No rung has been climbed yet.",)
    presets = [run.preset for one in found for run in one.climb.runs]
    return Report(title, (*smoke_sentences(presets), *told), tuple(sections))


def groups_in(results: Places) -> list[Group]:
    """Of a results folder; none where nothing was run yet."""
    try:
        return read_groups(results)
    except UsageError:
        return []


def _climbs(group: Group, found: Sequence[Judged]) -> bool:
    ids = {run.run_id for one in found for run in one.climb.runs}
    return any(run.run_id in ids for run in group.runs)


def _missing(groups: Sequence[Group], found: Sequence[Judged]) -> list[Section]:
    ids = {run.run_id for one in found for run in one.climb.runs}
    rows = [
        (words(run.run_id), words(run.status), words(run.reason))
        for group in groups
        for run in group.runs
        if run.run_id in ids and run.status != "ok"
    ]
    if not rows:
        return []
    headings = tuple(Heading(text, numeric=False) for text in ("run", "status", "reason"))
    table = Table("missing", "Runs that did not end ok", headings, tuple(rows))
    return [Section("missing", "What is missing", (), (table,))]


def _method(found: Sequence[Judged], command: str, told: Sequence[str]) -> Section:
    origins = [run.provenance for one in found for run in one.climb.runs if run.provenance]
    made = [f"Made on: {line}" for line in made_on(origins)]
    return Section("method", "How it was made", (*told, *made), preformatted=command)
