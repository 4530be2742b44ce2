"""One number for a backbone over several tasks: of normalised scores alone, and only over tasks that all have run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np

from dsbench.reports.aggregate import aggregate, performance_profile
from dsbench.reports.aggregate_bootstrap import Bootstrap, Interval
from dsbench.reports.aggregate_pairs import probability_of_improvement
from dsbench.reports.aggregate_scores import Scores, cautions
from dsbench.reports.content.contest import Contestant, Task
from dsbench.reports.content.paired import paired_heading, paired_over
from dsbench.reports.document import MISSING, Cell, Figure, Heading, Section, Table
from dsbench.reports.figures import Axis, Series, plot
from dsbench.reports.statistics import FEW
from dsbench.reports.table import FAILURES

NORMALISED = "score_normalised"
_DRAWS = 5_000_000  # of runs, in all resamples of all contestants: with thousands of runs fewer resamples do
_PAIRED, _PAIRED_RUNS, _FEWER_PAIRED = 12, 2_000, 4  # contestants in the matrix of pairs, and with more runs than that
_NARROW = (  # measured: see `aggregate_bootstrap`
    "Of few seeds such intervals are too narrow: with 3 seeds a task they held the mean in 85 % of trials, with 5 in "
    "89 %, with 20 in 92 %."
)
_MEASURES = {"iqm": "IQM ↑", "mean": "mean ↑", "median": "median ↑"}


@dataclass(frozen=True)
class Pool:
    """Normalised scores of contestants over the tasks that all of them have.

    Attributes:
        members: the tasks.
        scores: contestant -> its scores, the one with the highest interquartile mean first.
        measures: contestant -> mean, median and iqm.
        left_out: a sentence for each thing that is not pooled.
        how: resamples and seed.
    """

    members: tuple[Task, ...]
    scores: Mapping[str, Scores]
    measures: Mapping[str, Mapping[str, Interval]]
    left_out: tuple[str, ...]
    how: Bootstrap

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(task.title for task in self.members)


def pool(tasks: Sequence[Task]) -> Pool | None:
    """The largest table of contestants and normalised tasks without a gap; None if that is less than two tasks."""
    fit = [task for task in tasks if not task.permuted and _is_normalised(task)]
    names = sorted({one.name for task in fit for one in task.learned if one.scores})
    has = {
        name: [task for task in fit if any(one.name == name and one.scores for one in task.learned)] for name in names
    }
    sets = [own for own in has.values() if len(own) > 1]
    if not sets:
        return None
    shared = max(sets, key=lambda own: (len(own) * _covering(own, has), len(own)))
    within = [name for name in names if all(task in has[name] for task in shared)]
    scores = {name: _scores(name, shared) for name in within}
    runs = sum(one.n for one in scores.values())
    how = Bootstrap(resamples=min(Bootstrap().resamples, max(1_000, _DRAWS // runs)))
    measures = {name: aggregate(one, how=how) for name, one in scores.items()}
    order = sorted(within, key=lambda name: (-measures[name]["iqm"].value, name))
    return Pool(
        members=tuple(shared),
        scores={name: scores[name] for name in order},
        measures={name: measures[name] for name in order},
        left_out=tuple(_left_out(tasks, fit, shared, names, within)),
        how=how,
    )


def overall(found: Pool | None, figures: Sequence[Figure] = ()) -> Section:
    """The section over all tasks, with these figures beside its own, or why there is none."""
    title = "Over all tasks"
    if found is None:
        why = (
            "There is no number over several tasks: only normalised scores can be pooled, and only over tasks that the "
            "same backbones have run; here no backbone has two such tasks."
        )
        return Section("overall", title, (why,))
    said = dict.fromkeys(sentence for one in found.scores.values() for sentence in cautions(one))
    told = (
        f"Normalised scores (0 is random play, 100 the reference) of {len(found.tasks)} tasks, pooled: "
        f"{', '.join(found.tasks)}.",
        *found.left_out,
        *said,
    )
    tables = [_measures_table(found)]
    if len(found.scores) > 1:
        tables.append(_pairs_table(found))
    return Section("overall", title, told, tuple(tables), (_profile(found), *figures))


def _measures_table(found: Pool) -> Table:
    rows = []
    paired = paired_over(found.scores, found.how)
    for behind, (name, measures) in zip(paired, found.measures.items(), strict=True):
        cells = [Cell(name, name), Cell(str(found.scores[name].n), float(found.scores[name].n))]
        for key in _MEASURES:
            one = measures[key]
            above = all(_above(one, other[key]) for rival, other in found.measures.items() if rival != name)
            cells.append(Cell(one.text(".1f"), one.value, above and len(found.measures) > 1, one.low, one.high, one.n))
        rows.append((*cells, behind))
    headings = (
        Heading("backbone", numeric=False),
        Heading("runs", "seeds over all tasks"),
        *(Heading(text, "over the runs of all tasks, with its interval") for text in _MEASURES.values()),
        paired_heading(next(iter(found.scores))),
    )
    how = found.how
    few = min(len(seeds) for one in found.scores.values() for seeds in one.seeds.values()) < FEW
    caution = [_NARROW] if few else []
    note = (
        f"IQM: interquartile mean, of the middle half of the runs. [ ]: {100 * how.confidence:g} % percentile intervals of "
        f"a bootstrap stratified by task, {how.resamples:,} resamples, seed {how.seed}."
    )
    return Table("overall", "Normalised score over all tasks", headings, tuple(rows), (note, *caution))


def _pairs_table(found: Pool) -> Table:
    runs = sum(one.n for one in found.scores.values())
    shown = _PAIRED if runs <= _PAIRED_RUNS else _FEWER_PAIRED
    names = list(found.scores)[:shown]
    likely = {
        (a, b): probability_of_improvement(found.scores[a], found.scores[b], found.how)
        for place, a in enumerate(names)
        for b in names[place + 1 :]
    }

    def cell(a: str, b: str) -> Cell:
        if a == b:
            return Cell(MISSING)
        one = likely[a, b] if (a, b) in likely else _mirrored(likely[b, a])
        sure = one.low is not None and one.low > 0.5
        return Cell(one.text(".2f"), one.value, sure, one.low, one.high, one.n)

    rows = tuple((Cell(a, a), *(cell(a, b) for b in names)) for a in names)
    headings = (Heading("backbone", numeric=False), *(Heading(f"> {name}") for name in names))
    note = (
        "How likely a run of the row's backbone scores more than one of the column's on the same task, ties by half, mean "
        "over tasks. Marked where the whole interval is above one half."
    )
    fewer = [f"The {shown} with the highest IQM."] if len(found.scores) > shown else []
    return Table("improvement", "Probability of improvement", headings, rows, (note, *fewer))


def _mirrored(one: Interval) -> Interval:
    """Of the opposite event."""
    low = None if one.high is None else 1 - one.high
    return Interval(1 - one.value, low, None if one.low is None else 1 - one.low, one.n, one.drawn)


def _profile(found: Pool) -> Figure:
    pooled = np.concatenate([values for one in found.scores.values() for values in one.tasks.values()])
    low, high = float(min(pooled.min(), 0.0)), float(max(pooled.max(), 100.0))
    levels = np.linspace(low, high, 51)
    lines = []
    for name, one in found.scores.items():
        profile = performance_profile(one, levels, found.how)
        low_end, high_end = (None if ends is None else list(ends) for ends in (profile.low, profile.high))
        lines.append(Series(name, list(levels), list(profile.share), low_end, high_end, marks=False))
    caption = "The share of runs with a normalised score above each value; higher is better. Bands: 95 % at each point."
    axes = Axis("normalised score"), Axis("share of runs above it")
    return plot("performance-profile", "Performance profile", caption, lines, *axes)


def _is_normalised(task: Task) -> bool:
    runs = [run for one in task.learned for run in one.ok]
    return bool(runs) and all(_finite(run.result.get(NORMALISED)) for run in runs)


def _finite(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)


def _covering(own: Sequence[Task], has: Mapping[str, Sequence[Task]]) -> int:
    return sum(all(task in theirs for task in own) for theirs in has.values())


def _scores(name: str, tasks: Sequence[Task]) -> Scores:
    """Of one contestant; a failed run stands at the lowest normalised score of any run of its task."""
    runs: dict[str, dict[int, float | None]] = {}
    minimum: dict[str, float] = {}
    for task in tasks:
        own = next(one for one in task.learned if one.name == name)
        runs[task.title] = _by_seed(own)
        minimum[task.title] = min(
            float(value) for one in task.contestants for run in one.ok if _finite(value := run.result.get(NORMALISED))
        )
    return Scores.of(runs, normalised=True, minimum=minimum)


def _by_seed(own: Contestant) -> dict[int, float | None]:
    values: dict[int, list[float]] = {}
    for run in own.runs:
        if run.status == "ok" or run.status in FAILURES:
            values.setdefault(run.seed or 0, []).extend([run.result[NORMALISED]] if run.status == "ok" else [])
    return {seed: math.fsum(found) / len(found) if found else None for seed, found in values.items()}


def _left_out(
    tasks: Sequence[Task], fit: Sequence[Task], shared: Sequence[Task], names: Sequence[str], within: Sequence[str]
) -> list[str]:
    kinds = {
        "Not normalised, so not pooled": [task.title for task in tasks if task not in fit and not task.permuted],
        "Controls with permuted returns, not pooled": [task.title for task in tasks if task.permuted],
        "Not run by all, so not pooled": [task.title for task in fit if task not in shared],
        "Not run on all of these tasks, so not here": [name for name in names if name not in within],
    }
    return [f"{why}: {', '.join(those)}." for why, those in kinds.items() if those]


def _above(one: Interval, other: Interval) -> bool:
    return one.low is not None and other.high is not None and one.low > other.high
