"""One number for a backbone over several tasks: of normalised scores alone, and only over tasks that all have run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dsbench.reports.aggregate import aggregate, performance_profile
from dsbench.reports.aggregate_bootstrap import Bootstrap, Interval
from dsbench.reports.aggregate_pairs import probability_of_improvement
from dsbench.reports.aggregate_scores import Scores, cautions
from dsbench.reports.claims import Claims, Contest
from dsbench.reports.comparable import D4RL_CONSTANTS
from dsbench.reports.content.cells import behind, behind_heading, measured
from dsbench.reports.content.contest import Task
from dsbench.reports.document import MISSING, Cell, Figure, Heading, Section, Table
from dsbench.reports.figures import Axis, Series, plot
from dsbench.reports.outcomes import NORMALISED, finite
from dsbench.reports.spread import Spread, over_tasks
from dsbench.reports.statistics import FEW, Estimate

_DRAWS = 5_000_000  # of runs, in all resamples of all contestants: with thousands of runs fewer resamples do
ALIKE = "cannot be told apart here"
_PAIRED = 12  # contestants in the matrix of pairs
_NARROW = (  # measured: see `aggregate_bootstrap`
    "Of few seeds such intervals are too narrow: with 3 seeds a task they held the mean in 85 % of trials, with 5 in "
    "89 %, with 20 in 92 %."
)


@dataclass(frozen=True)
class Pool:
    """Normalised scores of contestants over the tasks that all of them have.

    Attributes:
        members: the tasks.
        names: the contestants, the one with the highest mean over tasks first.
        left_out: a sentence for each thing that is not pooled.
    """

    members: tuple[Task, ...]
    names: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(task.title for task in self.members)

    @property
    def key(self) -> tuple[str, ...]:
        """Of its contest among the claims of the page."""
        return ("over", *(task.name for task in self.members))

    @cached_property
    def contest(self) -> Contest:
        """Who is above whom in the mean over the tasks."""
        return Contest([_spread(task, self.names) for task in self.members])

    @cached_property
    def means(self) -> Mapping[str, Estimate]:
        """Contestant -> mean over the tasks, each with the same weight, with its interval."""
        return {name: over_tasks(self.contest.strata, name) for name in self.names}

    @cached_property
    def scores(self) -> Mapping[str, Scores]:
        """Contestant -> its scores."""
        return {
            name: Scores.of({task.title: task.normalised[name] for task in self.members}, normalised=True)
            for name in self.names
        }

    @cached_property
    def how(self) -> Bootstrap:
        """Resamples and seed of what has no other interval."""
        runs = sum(one.n for one in self.scores.values())
        return Bootstrap(resamples=min(Bootstrap().resamples, max(1_000, _DRAWS // runs)))

    @cached_property
    def measures(self) -> Mapping[str, Mapping[str, Interval]]:
        """Contestant -> median and iqm."""
        return {name: aggregate(one, how=self.how) for name, one in self.scores.items()}


def _spread(task: Task, names: Sequence[str]) -> Spread:
    """Of the normalised scores of these contestants; mostly they are all of the task."""
    whole = task.spread_in(NORMALISED)
    return whole if set(whole.names) == set(names) else task.spread_of({name: task.normalised[name] for name in names})


def pool(tasks: Sequence[Task]) -> Pool | None:
    """The largest table of contestants and normalised tasks of one design without a gap; None where none has two tasks."""
    normalised = [task for task in tasks if not task.permuted and _is_normalised(task)]
    designs = Counter(task.design for task in normalised)
    if not designs:
        return None
    usual = max(designs, key=lambda one: (designs[one], str(one)))
    fit = [task for task in normalised if task.design == usual]
    names = sorted({one.name for task in fit for one in task.learned if one.name in task.normalised})
    has = {name: [task for task in fit if name in task.spread.names and name in task.normalised] for name in names}
    shared, within = without_gaps({name: own for name, own in has.items() if len(own) > 1})
    if not shared:
        return None
    mean = {name: _mean(name, shared) for name in within}
    order = sorted(within, key=lambda name: (-mean[name], name))
    return Pool(tuple(shared), tuple(order), tuple(_left_out(tasks, normalised, fit, shared, names, within)))


def overall(found: Pool | None, claims: Claims, figures: Sequence[Figure] = ()) -> Section:
    """The section over all tasks, with these figures beside its own, or why there is none."""
    title = "Over all tasks"
    if found is None:
        why = (
            "There is no number over several tasks: only normalised scores can be pooled, and only over tasks that the "
            "same backbones have run; here no backbone has two such tasks."
        )
        return Section("overall", title, (why,))
    said = dict.fromkeys(sentence for one in found.scores.values() for sentence in cautions(one))
    caution = claims.caution(found.key) if len(found.names) > 1 else None
    told = (
        f"Normalised scores (0 is {_zero(found)}, 100 the reference) of {len(found.tasks)} tasks, pooled: "
        f"{', '.join(found.tasks)}.",
        *found.left_out,
        *said,
        *([caution] if caution else []),
    )
    tables = [_measures_table(found, claims)]
    if len(found.names) > 1:
        tables.append(_pairs_table(found, claims))
    return Section("overall", title, told, tuple(tables), (_profile(found), *figures))


def _zero(found: Pool) -> str:
    """What the scale begins at."""
    constants = [
        task.title
        for task in found.members
        if any(run.result.get("references") == D4RL_CONSTANTS for one in task.learned for run in one.ok)
    ]
    if len(constants) == len(found.members):
        return f"{D4RL_CONSTANTS} for random play, which is not what random play reaches"
    return "random play" + (f", but on {', '.join(constants)} {D4RL_CONSTANTS} for it" if constants else "")


def _measures_table(found: Pool, claims: Claims) -> Table:
    best, rows = claims.winner(found.key), []
    for name, mean in found.means.items():
        runs = found.scores[name].n
        iqm, median = (found.measures[name][key] for key in ("iqm", "median"))
        cells = [Cell(name, name), Cell(str(runs), float(runs)), measured(mean, ".1f", best=name == best)]
        cells += [Cell(one.text(".1f"), one.value, False, one.low, one.high, one.n) for one in (iqm, median)]
        rows.append((*cells, behind(claims, found.key, name, found.names[0], ".1f")))
    headings = (
        Heading("backbone", numeric=False),
        Heading("runs", "seeds over all tasks"),
        Heading("mean ↑", "of the means of all tasks, with its 95 % interval; what claims are about"),
        *(Heading(text, "over the runs of all tasks, described and no claim") for text in ("IQM ↑", "median ↑")),
        behind_heading(found.names[0]),
    )
    how = found.how
    few = min(len(seeds) for one in found.scores.values() for seeds in one.seeds.values()) < FEW
    caution = [_NARROW] if few else []
    marked = "Marked: above all others in the mean over tasks. " if best else ""
    note = (
        f"{marked}IQM: interquartile mean, of the middle half of the runs. Intervals "
        f"of IQM and median are {100 * how.confidence:g} % percentile intervals of a bootstrap stratified by task, "
        f"{how.resamples:,} resamples, seed {how.seed}; they describe and no mark stands on them."
    )
    notes = (note, *_alike(found), *caution)
    return Table("overall", "Normalised score over all tasks", headings, tuple(rows), notes)


def _alike(found: Pool) -> list[str]:
    """Where several share the highest IQM, as at a ceiling, it says nothing of them."""
    shown = {name: f"{own['iqm'].value:z.1f}" for name, own in found.measures.items()}
    best = max(shown, key=lambda name: found.measures[name]["iqm"].value)
    names = [name for name, text in shown.items() if text == shown[best]]
    return [f"By IQM {', '.join(names)} {ALIKE}: it is {shown[best]} for each of them."] if len(names) > 1 else []


def _pairs_table(found: Pool, claims: Claims) -> Table:
    names = found.names[:_PAIRED]

    def cell(a: str, b: str) -> Cell:
        if a == b:
            return Cell(MISSING)
        likely = probability_of_improvement(found.scores[a], found.scores[b])
        return Cell(f"{likely:.2f}", likely, claims.above(found.key, a, b))

    rows = tuple((Cell(a, a), *(cell(a, b) for b in names)) for a in names)
    headings = (Heading("backbone", numeric=False), *(Heading(f"> {name}") for name in names))
    note = (
        "How likely a run of the row's backbone scores more than one of the column's on the same task, ties by half, mean "
        "over tasks."
    )
    if any(cell.best for row in rows for cell in row):
        note += " Marked where it is claimed that the row's mean over tasks is above the column's."
    fewer = (
        [f"The {_PAIRED} with the highest mean; all pairs count in the claims."] if len(found.names) > _PAIRED else []
    )
    return Table("improvement", "Probability of improvement", headings, rows, (note, *fewer))


def _profile(found: Pool) -> Figure:
    pooled = np.concatenate([values for one in found.scores.values() for values in one.tasks.values()])
    low, high = float(min(pooled.min(), 0.0)), float(max(pooled.max(), 100.0))
    levels = np.linspace(low, high, 51)
    lines = []
    for name, one in found.scores.items():
        profile = performance_profile(one, levels, found.how)
        low_end, high_end = (None if ends is None else list(ends) for ends in (profile.low, profile.high))
        lines.append(Series(name, list(levels), list(profile.share), low_end, high_end))
    caption = "The share of runs with a normalised score above each value; higher is better. Bands: 95 % at each point."
    axes = Axis("normalised score"), Axis("share of runs above it", least=0.0, most=1.0)
    return plot("performance-profile", "Performance profile", caption, lines, *axes)


def _is_normalised(task: Task) -> bool:
    runs = [run for one in task.learned for run in one.ok]
    return bool(runs) and all(finite(run.result.get(NORMALISED)) for run in runs)


def without_gaps(has: Mapping[str, Sequence[Task]]) -> tuple[Sequence[Task], list[str]]:
    """The largest table of tasks by contestants in which all have all; nothing of nothing.

    Args:
        has: contestant -> its tasks.
    """
    shared = max(has.values(), key=lambda own: (len(own) * _covering(own, has), len(own)), default=())
    return shared, [name for name, own in has.items() if all(task in own for task in shared)]


def _covering(own: Sequence[Task], has: Mapping[str, Sequence[Task]]) -> int:
    return sum(all(task in theirs for task in own) for theirs in has.values())


def _mean(name: str, tasks: Sequence[Task]) -> float:
    """Over tasks of the means over seeds."""
    means = [list(task.normalised[name].scores.values()) for task in tasks]
    return math.fsum(math.fsum(own) / len(own) for own in means) / len(means)


def _left_out(
    tasks: Sequence[Task],
    normalised: Sequence[Task],
    fit: Sequence[Task],
    shared: Sequence[Task],
    names: Sequence[str],
    within: Sequence[str],
) -> list[str]:
    kinds = {
        "Not normalised, so not pooled": [task.title for task in tasks if task not in normalised and not task.permuted],
        "Of another version of results, or with other things moved by the seeds, so not pooled": [
            task.title for task in normalised if task not in fit
        ],
        "Controls with permuted returns, not pooled": [task.title for task in tasks if task.permuted],
        "Not run by all, so not pooled": [task.title for task in fit if task not in shared],
        "Not run on all of these tasks, so not here": [name for name in names if name not in within],
    }
    return [f"{why}: {', '.join(those)}." for why, those in kinds.items() if those]
