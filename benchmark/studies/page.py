"""The page of a study: its question, tables and figure, the published numbers beside them, what is missing, how it ran."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from itertools import product
from typing import Any

from dsbench.reports.claims import Claims
from dsbench.reports.conditions import choices_note
from dsbench.reports.content.cells import measured, whole, words
from dsbench.reports.content.citing import Use
from dsbench.reports.content.contest import word
from dsbench.reports.contention import WHY_UNKNOWN, Core, contention_note, worst
from dsbench.reports.document import Cell, Figure, Heading, Report, Section, Table
from dsbench.reports.figures import UNCALIBRATED, Axis, Series, plot
from dsbench.reports.machines import made_on
from dsbench.reports.outcomes import RULE, UNBOUNDED, Bounds, Outcome, bounds_of, measure_among
from dsbench.reports.smoke import smoke_sentences
from dsbench.reports.spread import INTERVALS
from dsbench.reports.statistics import few_seeds
from dsbench.studies.answers import Answer, choice_of
from dsbench.studies.beside import citations, published_section
from dsbench.studies.headline import headline, plain
from dsbench.studies.measures import MEASURES
from dsbench.studies.study_file import ENV, FigureOf, Study, TableOf
from dsbench.studies.verdicts import labels_of, rivals, verdicts, winner_of
from dsbench.text import slug


def report_of(name: str, study: Study, size: str, answers: Sequence[Answer], command: str) -> Report:
    """The whole page of a study of runs.

    Args:
        name, study, size: what was asked for.
        answers: of every cell of the grid.
        command: that makes the same page again.
    """
    assert study.table is not None  # a study of runs has one
    claims = verdicts(study.table, answers)
    table = table_of(name, study.table, answers, claims)
    ended = [run for answer in answers for run in answer.runs if run.status == "ok"]
    figures = (figure_of(name, study, size, answers),) if study.figure else ()
    sections = [
        Section("question", "The question", (study.question,)),
        Section("answer", "What the runs say", (), (table,), figures),
        *published_section(study, answers),
        *_missing(answers),
        _method(study, size, answers, command, claims),
        citations(
            study, [Use(str(run.row["backbone"]), str(run.row["env"]), str(run.row["data.recipe"])) for run in ended]
        ),
    ]
    told = (*smoke_sentences([run.row.get("preset") for run in ended]), *headline(study.table, answers, claims))
    return Report(f"{study.title} ({size})", told, tuple(sections))


def table_of(name: str, table: TableOf, answers: Sequence[Answer], claims: Claims) -> Table:
    """Rows and columns as the study asks; what the runs of one row have in common is averaged over nothing but seeds."""
    *around, last = dict.fromkeys([ENV, *table.rows])
    names = [*(axis for axis in around if _several(answers, axis)), last]  # what is the same in all rows is no column
    spread = list(dict.fromkeys(a.labels[table.columns] for a in answers)) if table.columns else [""]
    first, *others = table.measures
    headings = [Heading(axis.replace("_", " "), numeric=False) for axis in names]
    for label in spread:
        hint = f"{table.columns} = {label}" if label else ""
        headings.append(Heading(f"{label}: {MEASURES[first].heading}" if label else MEASURES[first].heading, hint))
    of = f"{spread[0]}: " if table.columns else ""  # beside several columns a cost is that of the first
    headings += [Heading(f"{of}{MEASURES[other].heading}") for other in others]
    headings.append(Heading("n", "runs that ended ok"))
    winners = {winner for group in rivals(table, answers) if (winner := winner_of(table, group, claims))}
    rows = []
    for key in dict.fromkeys(tuple(answer.labels[axis] for axis in names) for answer in answers):
        own = [answer for answer in answers if tuple(answer.labels[axis] for axis in names) == key]
        by_label = {answer.labels[table.columns] if table.columns else "": answer for answer in own}
        cells = [words(label) for label in key]
        cells += [_cell(by_label.get(label), first, winners) for label in spread]
        cells += [_cell(by_label.get(spread[0]), other, set()) for other in others]
        rows.append((*cells, whole(sum(answer.n for answer in own))))
    scored = MEASURES[first].scored
    counts = [len(answer.samples[first].scores) if first in answer.samples else answer.n for answer in answers]
    notes = [
        "± is half of the 95 % interval over seeds." + (" Bold: claimed to be above all others." if scored else "")
    ]
    ended = [run.result for answer in answers for run in answer.runs if run.status == "ok"]
    notes += [note for note in [few_seeds(counts), *_of_times(table.measures, answers, ended)] if note]
    return Table(slug(name), "What the runs say", tuple(headings), tuple(rows), tuple(notes))


def _of_times(
    measures: Sequence[str], answers: Sequence[Answer], ended: Sequence[Mapping[str, Any]]
) -> list[str | None]:
    """Marks, means that are left out, and conditions that differ, of the times among the measures."""
    timed = [name for name in measures if MEASURES[name].mark is not None]
    notes = [contention_note(ended, mark) for mark in dict.fromkeys(MEASURES[name].mark for name in timed) if mark]
    for name in timed:
        told = {
            ", ".join(answer.labels.values()): choice
            for answer in answers
            if (choice := choice_of(answer.runs, name)) is not None
        }
        notes.append(choices_note(plain(MEASURES[name]).capitalize(), told))
    return notes


def figure_of(name: str, study: Study, size: str, answers: Sequence[Answer]) -> Figure:
    """A curve for each label of the series, and for each environment where there are several; bands are intervals."""
    figure = study.figure
    assert figure is not None
    curves = []
    for series, env in product(labels_of(answers, figure.series), labels_of(answers, ENV)):
        own = [a for a in answers if a.labels[figure.series] == series and a.labels[ENV] == env]
        title = f"{series}, {env}" if figure.series != ENV and _several(answers, ENV) else series
        if own:
            curves.append(_curve(title, own, figure))
    measure = MEASURES[figure.y]
    rough = UNCALIBRATED if any(curve.uncertain for curve in curves) else ""
    dots = "; small dots: seeds" if measure.scored else ""
    bands = f"bands are 95 % intervals over seeds{dots}.{rough}"
    caption = f"{plain(measure).capitalize()} over {figure.label}, size {size}; {bands}"
    least, most = _bounds(answers, figure.y)
    y = Axis(measure.heading.removesuffix(" ↑").removesuffix(" ↓"), least=least, most=most)
    caption += _hollow(answers, figure.y)
    return plot(slug(name), study.title, caption, curves, Axis(figure.label, log=figure.log), y)


def _bounds(answers: Sequence[Answer], name: str) -> Bounds:
    """Of the measure, where it is the one that counts on the task of all these runs."""
    told = [Outcome(0, run.status, "", run.result) for answer in answers for run in answer.runs]
    return (
        bounds_of(told) if MEASURES[name].scored and MEASURES[name].column(told) == measure_among(told) else UNBOUNDED
    )


def _hollow(answers: Sequence[Answer], name: str) -> str:
    """What a caption says of hollow marks; nothing where there are none."""
    core = worst(choice.core for answer in answers if (choice := choice_of(answer.runs, name)) and choice.runs)
    if core is Core.ALONE:
        return ""
    return f" Hollow: others had the core, or it is not known whether they had ({WHY_UNKNOWN})."


def _curve(title: str, answers: Sequence[Answer], figure: FigureOf) -> Series:
    having = [(float(answer.labels[figure.x]), one, answer) for answer in answers
              if (one := answer.estimates[figure.y]) is not None]  # fmt: skip
    points = sorted(having, key=lambda point: point[0])
    return Series(
        title,
        [x for x, _, _ in points],
        [one.mean for _, one, _ in points],
        [math.nan if one.low is None else one.low for _, one, _ in points],
        [math.nan if one.high is None else one.high for _, one, _ in points],
        uncertain=not all(one.calibrated for _, one, _ in points),
        dots=[_seeds(answer, figure.y) for _, _, answer in points],
        hollow=[bool(_mark(answer, figure.y)) for _, _, answer in points],
    )


def _seeds(answer: Answer, measure: str) -> list[float]:
    return list(answer.samples[measure].scores.values()) if measure in answer.samples else []


def _missing(answers: Sequence[Answer]) -> list[Section]:
    rows = [
        (words(run.run_id), words(run.status), words(run.reason))
        for answer in answers
        for run in answer.runs
        if run.status != "ok"
    ]
    if not rows:
        return []
    headings = (Heading("run", numeric=False), Heading("status", numeric=False), Heading("reason", numeric=False))
    return [
        Section(
            "missing", "Failures and missing runs", tables=(Table("missing", "Not ended ok", headings, tuple(rows)),)
        )
    ]


def _method(study: Study, size: str, answers: Sequence[Answer], command: str, claims: Claims) -> Section:
    chosen = study.size(size)
    settings = {**study.set, **chosen.set}
    seeds = "one seed" if chosen.seeds == 1 else f"{chosen.seeds} seeds"
    told = [f"{len(answers)} cells of {seeds}, from the preset {chosen.preset}."]
    if settings:
        told.append("Settings of all: " + ", ".join(f"{path}={word(value)}" for path, value in settings.items()) + ".")
    for axis, labels in study.axes_of(size).items():
        each = "; ".join(
            f"{label}: " + (", ".join(f"{path}={word(value)}" for path, value in own.items()) or "as it is")
            for label, own in labels.items()
        )
        told.append(f"{axis}: {each}.")
    told += [INTERVALS, claims.text(), RULE]
    origins = [run.provenance for answer in answers for run in answer.runs if run.provenance]
    told += [f"Made on: {line}" for line in made_on(origins)]
    return Section("method", "How it was made", tuple(told), preformatted=command)


# ---------------------------------------------------------------------- cells and winners


def _cell(answer: Answer | None, name: str, winners: Set[str]) -> Cell:
    best = answer is not None and answer.name in winners
    cell = measured(answer.estimates[name] if answer else None, MEASURES[name].form, best, exact=True)
    return cell if answer is None or cell.value is None else replace(cell, text=cell.text + _mark(answer, name))


def _mark(answer: Answer, name: str) -> str:
    """What stands behind a time that is not known to be that of a core of one's own."""
    choice = choice_of(answer.runs, name)
    return "" if choice is None else choice.core.value


def _several(answers: Sequence[Answer], axis: str) -> bool:
    return len(labels_of(answers, axis)) > 1
