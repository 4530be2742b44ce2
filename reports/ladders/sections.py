"""What a page says of climbs: the profile over all ladders, and a section for each."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dsbench.reports.claims import Claims
from dsbench.reports.columns import COLUMNS, STATE, Column, choice_of, estimate_of
from dsbench.reports.conditions import choices_note
from dsbench.reports.content.cells import measured, whole, words
from dsbench.reports.content.contest import listed as listed_settings
from dsbench.reports.content.timing import marked
from dsbench.reports.contention import TRAINING, contention_notes
from dsbench.reports.document import MISSING, Cell, Heading, Section, Table
from dsbench.reports.groups import Run
from dsbench.reports.ladders.climbs import Climb, Climber
from dsbench.reports.ladders.ladder import Ladder
from dsbench.reports.ladders.pictures import profile_figure, reach_figure
from dsbench.reports.ladders.reach import Judged
from dsbench.reports.ladders.sentences import budget, caution, listed, sentence
from dsbench.text import slug

_COLUMNS = {column.key: column for column in COLUMNS}
_TRAINING = Column("train_seconds", "training s ↓", ",.1f", lambda run: run.result.get("train_seconds"), mark=TRAINING)
MATCH = "match"  # the size that chose the width of every backbone
COSTS = (_TRAINING, _COLUMNS["latency_p50_us"], STATE, _COLUMNS["parameters_total"])


def ladder_sections(judged: Sequence[Judged], claims: Claims) -> list[Section]:
    """The profile, where there are several ladders, and a section for each climb."""
    of_ladder: dict[str, list[Judged]] = {}
    for one in judged:
        of_ladder.setdefault(one.climb.ladder.name, []).append(one)
    return [
        *profile_sections(judged, claims),
        *(
            ladder_section(one, claims, place, told, alone=len(of_ladder) < 2)
            for climbs in of_ladder.values()
            for place, (one, told) in enumerate(zip(climbs, told_apart(climbs), strict=True))
        ),
    ]


def told_apart(climbs: Sequence[Judged]) -> list[str]:
    """Of several climbs of one ladder the conditions in which they differ; nothing of one alone."""
    conditions = [one.climb.conditions for one in climbs]
    names = sorted({name for own in conditions for name in own})
    differing = [name for name in names if len({str(own.get(name)) for own in conditions}) > 1]
    return [listed_settings({name: own[name] for name in differing if name in own}) for own in conditions]


def profile_sections(judged: Sequence[Judged], claims: Claims) -> list[Section]:
    """Skills by backbones as a picture, then a sentence a skill and the table, of climbs whose models were sized alike; none
    of a single ladder."""
    sizes = sorted({one.climb.conditions.get(MATCH) for one in judged}, key=lambda size: (size is not None, str(size)))
    sections: list[Section] = []
    for size in sizes:
        shown = first_of_each([one for one in judged if one.climb.conditions.get(MATCH) == size])
        if len(shown) > 1:
            sections += _profile(shown, claims, str(size) if size is not None else None)
    return sections


def _profile(shown: Sequence[Judged], claims: Claims, size: str | None) -> list[Section]:
    names, few = in_order(shown), caution(shown, claims.family)
    told = (*map(sentence, shown), *([few] if few else []))
    end, words_of_size = (f"-{slug(size)}", f", matched to {size}") if size else ("", "")
    return [
        Section(f"profile{end}", f"Profile{words_of_size}", figures=(profile_figure(f"profile{end}", shown, names),)),
        Section(f"verdicts{end}", f"Who reaches further{words_of_size}", told,
                (_profile_table(f"profile{end}", shown, names),)),
    ]  # fmt: skip


def ladder_section(one: Judged, claims: Claims, place: int, told: str, *, alone: bool) -> Section:
    """One climb: what it says, its picture, reach with costs, and the scores behind it.

    Args:
        place: among the climbs of the same ladder on the page.
        told: what tells it from them.
        alone: whether there is no profile, which would say what so few seeds can tell.
    """
    climb = one.climb
    name = slug(f"ladder-{climb.ladder.name}") + (f"-{place + 1}" if place else "")
    few = caution([one], claims.family) if alone else None
    paragraphs = [climb.ladder.question, sentence(one), *([few] if few else []), *_foot(climb), *_unfinished(climb)]
    title = f"Ladder: {climb.ladder.skill}" + (f", {told}" if told else "")
    return Section(
        name,
        title,
        tuple(paragraphs),
        (_reach_table(name, one), _scores_table(name, climb)),
        (reach_figure(name, one),),
    )


def climbing(judged: Sequence[Judged]) -> Section | None:
    """How reach is counted, for a page that shows more than climbs; None without any."""
    return Section("climbing", "How ladders were climbed", tuple(method_text(judged))) if judged else None


def method_text(judged: Sequence[Judged]) -> list[str]:
    """How reach is counted, and at which budgets."""
    if not judged:
        return []
    told = [
        "Reach: a seed passes a rung when its score there is at the ladder's mark; the reach of a seed is the highest rung "
        "passed with none failed below, that of a contestant the mean over its seeds. A run that failed or diverged "
        "has not passed. Intervals and claims take no "
        "spread between seeds to be less than one rung. Controls climb along and are compared with nobody."
    ]
    for one in judged:
        ladder, conditions = one.climb.ladder, one.climb.conditions
        rate = conditions.get("train.lr")
        told.append(
            f"{ladder.skill.capitalize()}: {ladder.env}, passed at {_mark(ladder)}, {budget(one.climb)} of "
            f"{conditions.get('train.batch_size', '?')} episodes each, learning rate {rate:g}."
            if isinstance(rate, int | float)
            else f"{ladder.skill.capitalize()}: {ladder.env}, passed at {_mark(ladder)}, {budget(one.climb)}."
        )
    return told


# ---------------------------------------------------------------------- the profile


def first_of_each(judged: Sequence[Judged]) -> list[Judged]:
    """Of each ladder the climb with the most runs; the others have sections of their own."""
    found: dict[str, Judged] = {}
    for one in judged:
        found.setdefault(one.climb.ladder.name, one)
    return list(found.values())


def in_order(judged: Sequence[Judged]) -> list[str]:
    """Contestants by their mean rank over the ladders, controls last."""
    controls = {own.name for one in judged for own in one.climb.climbers if own.is_control}
    mean = {name: rank for name, rank in _mean_ranks(judged).items() if name not in controls}
    every = dict.fromkeys(own.name for one in judged for own in one.climb.climbers)
    return sorted(every, key=lambda name: (name in controls, mean.get(name, math.inf), name))


def _mean_ranks(judged: Sequence[Judged]) -> dict[str, float]:
    """Contestant -> mean rank, 1 the furthest, over the ladders that all of them have climbed to the end."""
    tables = [{own.name: one.estimates[own.name].mean for own in one.climb.rivals} for one in judged]
    names = set.intersection(*(set(table) for table in tables)) if tables else set()
    if not names:
        return {}
    from scipy.stats import rankdata  # slow to import

    order = sorted(names)
    ranks = rankdata([[-table[name] for name in order] for table in tables], axis=1)
    return {name: float(mean) for name, mean in zip(order, ranks.mean(axis=0), strict=True)}


def _profile_table(name: str, judged: Sequence[Judged], names: Sequence[str]) -> Table:
    mean = _mean_ranks(judged)
    rows = []
    for who in names:
        cells = [_reach_cell(one, who) for one in judged]
        rank = Cell(f"{mean[who]:.1f}", mean[who]) if who in mean else Cell(MISSING)
        rows.append((words(who), rank, *cells))
    headings = (
        Heading("backbone", "or control", numeric=False),
        Heading("mean rank ↓", "1 reaches furthest; over the ladders that all have climbed, the only mean over scales"),
        *(Heading(f"{one.climb.ladder.skill} ↑", f"{one.climb.ladder.scale}; {budget(one.climb)}") for one in judged),
    )
    note = "Reach on each ladder's own scale, with the 95 % interval over seeds in rungs."
    return Table(name, "How far does each backbone reach?", headings, tuple(rows), (note,))


def _reach_cell(one: Judged, name: str) -> Cell:
    estimate = one.estimates.get(name)
    if estimate is None:
        return Cell(MISSING)
    text = one.climb.ladder.at(estimate.mean, one.climb.top)
    return Cell(text, estimate.mean, False, estimate.low, estimate.high, estimate.n)


# ---------------------------------------------------------------------- one ladder


def _reach_table(name: str, one: Judged) -> Table:
    climb, rows = one.climb, []
    for climber in climb.climbers:
        estimate, at = one.estimates.get(climber.name), _dearest(climber)
        runs = climber.runs.get(at, ())
        rows.append(
            (
                words(climber.name),
                measured(estimate, ".2f"),
                Cell(MISSING) if estimate is None else Cell(climb.ladder.at(estimate.mean, climb.top), estimate.mean),
                words(_seeds(climb, climber)),
                whole(len(climber.seeds)),
                words(climb.ladder.rungs[at - 1].label),
                *(_cost(runs, column) for column in COSTS),
                _whole_climb(climber),
            )
        )
    headings = (
        Heading("backbone", "or control", numeric=False),
        Heading(f"reach of {climb.top} rungs ↑", "mean over seeds with its 95 % interval"),
        Heading("on the scale ↑", climb.ladder.scale),
        Heading("seeds", "reach of each, in the order of the seeds", numeric=False),
        Heading("n", "seeds"),
        Heading("at", "the rung that the costs are those of: the highest that a seed passed", numeric=False),
        *(Heading(column.heading, column.hint) for column in COSTS),
        Heading("whole climb, s", "seconds of training in all runs of the contestant"),
    )
    ended = [run for climber in climb.climbers for run in climber.runs.get(_dearest(climber), ()) if run.status == "ok"]
    notes = contention_notes([run.result for run in ended])
    for column in COSTS:
        if column.mark is not None:
            own = {c.name: choice_of(c.runs.get(_dearest(c), ()), column) for c in climb.climbers}
            note = choices_note(
                column.heading.rstrip(" ↑↓").capitalize(), {k: v for k, v in own.items() if v is not None}
            )
            notes += [note] if note else []
    return Table(name, f"{climb.ladder.title}", headings, tuple(rows), tuple(notes))


def _dearest(climber: Climber) -> int:
    """The highest rung that a seed reached; the first where none did."""
    return max([1, *climber.reaches.values()])


def _cost(runs: Sequence[Run], column: Column) -> Cell:
    return marked(measured(estimate_of(runs, column), column.form, exact=column.exact), runs, column)


def _whole_climb(climber: Climber) -> Cell:
    """Seconds of training of all its runs."""
    seconds = [run.result.get("train_seconds") for own in climber.runs.values() for run in own]
    return whole(math.fsum(value for value in seconds if value is not None))


def _seeds(climb: Climb, climber: Climber) -> str:
    """``160, 160, ≥ 1,280, < 10, …`` with an ellipsis for a seed that still climbs."""
    told = []
    for seed in climber.seeds:
        reach = climber.reaches.get(seed)
        told.append("…" if reach is None else climb.ladder.at(reach, climb.top))
    return ", ".join(told)


def _scores_table(name: str, climb: Climb) -> Table:
    """Mean score of each rung, and how many of its seeds passed."""
    rows = []
    for climber in climb.climbers:
        cells = [words(climber.name)]
        for rung in range(1, climb.top + 1):
            own = climber.scores.get(rung)
            if not own:
                cells.append(Cell(MISSING))
                continue
            known = [score for score in own.values() if score is not None]
            passed = sum(bool(climber.passed(rung, seed)) for seed in own)
            mean = math.fsum(known) / len(known) if known else None
            text = f"{mean:.2f}" if mean is not None else "failed"
            cells.append(Cell(f"{text} ({passed}/{len(own)})", mean, False, None, None, len(own)))
        rows.append(tuple(cells))
    headings = (
        Heading("backbone", "or control", numeric=False),
        *(Heading(rung.label, climb.ladder.scale) for rung in climb.ladder.rungs[: climb.top]),
    )
    note = f"Mean score of the seeds that ended, and how many passed ({_mark(climb.ladder)} or more)."
    return Table(f"{name}-scores", f"Scores by rung: {climb.ladder.scale}", headings, tuple(rows), (note,))


def _mark(ladder: Ladder) -> str:
    """``0.9``, or ``155, 104, 64, 50`` where rungs have marks of their own."""
    return ", ".join(f"{mark:g}" for mark in (ladder.marks if len(set(ladder.marks)) > 1 else ladder.marks[:1]))


def _foot(climb: Climb) -> list[str]:
    """Whether a control without memory got onto a ladder that takes memory: then the ladder is at fault."""
    if not climb.ladder.takes_memory:
        return []
    up = [one.name for one in climb.climbers if one.is_control and not _is_window(one) and any(one.reaches.values())]
    if not up:
        return []
    return [
        f"A fault of this ladder: {listed(up)} passed a rung without any memory, so that it measures something else."
    ]


def _is_window(climber: Climber) -> bool:
    return climber.name.partition(" ")[0] == "window"


def _unfinished(climb: Climb) -> list[str]:
    names = [one.name for one in climb.climbers if not one.finished]
    return [f"Still climbing, so compared with nobody: {listed(names)}."] if names else []
