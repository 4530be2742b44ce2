"""Published numbers beside a study's own, as printed, with the reasons why the two may or may not be compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dsbench.reports.comparable import comparison
from dsbench.reports.content.citing import Use, citing
from dsbench.reports.document import MISSING, Cell, Heading, Section, Table
from dsbench.reports.published import PublishedScore, published, published_scores
from dsbench.reports.published_file import Table as Printed
from dsbench.studies.answers import Answer
from dsbench.studies.study_file import Study


def published_section(study: Study, answers: Sequence[Answer]) -> list[Section]:
    """The tables that the study names, each with one verdict, and their sources; nothing where it names none."""
    if not study.published:
        return []
    tables = [published().table(table_id) for table_id in study.published]
    paragraphs = [study.beside] if study.beside else []
    return [
        Section("published", "Published beside it", tuple(paragraphs), tuple(_table(one, answers) for one in tables))
    ]


def citations(study: Study, used: Iterable[Use]) -> Section:
    """What to cite for what the study used."""
    return citing(used, {published().table(table_id).source for table_id in study.published}, pooled=False)


def _table(printed: Printed, answers: Sequence[Answer]) -> Table:
    arrow = "↑" if printed.larger_is_better else "↓"
    headings = [Heading("method", numeric=False)]
    headings += [Heading(f"{column.name or printed.measure} {arrow}", printed.measure) for column in printed.columns]
    scores = [one for one in published_scores() if one.table_id == printed.id]
    rows = [
        (
            Cell(row.method, row.method),
            *(Cell(MISSING) if cell is None else Cell(f"{cell:,g}", cell) for cell in row.scores),
        )
        for row in printed.rows
    ]
    used = [key for key in published().caveats if any(key in score.caveats for score in scores)]
    notes = [f"{published().sources[printed.source].short}, {printed.table}; {printed.measure}, as printed."]
    notes += [f"Comparable with the runs above? {_verdict(scores, answers)}"]
    notes += [f"{key}: {published().caveats[key]}" for key in used]
    name = "published-" + printed.id.replace("/", "-")
    return Table(name, f"{printed.table} of {published().sources[printed.source].short}", tuple(headings),
                 tuple(rows), tuple(notes))  # fmt: skip


def _verdict(scores: Sequence[PublishedScore], answers: Sequence[Answer]) -> str:
    """Of a run on the same task where there is one; of runs on another task it is the same for all."""
    if not answers:
        return "in their shape alone."
    ended = [run.row for answer in answers for run in answer.runs if run.status == "ok"]
    if not ended:
        return "no: no run has ended."
    envs = {score.env for score in scores}
    row = next((row for row in ended if row["env"] in envs), ended[0])
    score = next((score for score in scores if score.env == row["env"]), scores[0])
    return comparison(row, score).text
