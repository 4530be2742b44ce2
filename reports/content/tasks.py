"""A section a task: its table, what was gained for what cost, and how it was learned."""

from __future__ import annotations

from collections.abc import Sequence

from dsbench.records.run_row import NOTES
from dsbench.reports.claims import Claims
from dsbench.reports.columns import COLUMNS, Column, estimate_of
from dsbench.reports.content.cells import behind, behind_heading, form_of, measured, solving, whole, words
from dsbench.reports.content.contest import PASSED, Contestant, Task, ranked, word
from dsbench.reports.content.curves import Journals, learning_curves
from dsbench.reports.content.fronts import front_of
from dsbench.reports.content.gathering import costs_name
from dsbench.reports.content.prices import COSTS
from dsbench.reports.content.timing import marked, notes_on_times, ways_to_act
from dsbench.reports.document import MISSING, Cell, Heading, Section, Table
from dsbench.reports.outcomes import FAILURES, RETURN
from dsbench.reports.statistics import CALIBRATED, Estimate, few_seeds

_OVER_SEEDS = "mean over seeds with its 95 % interval"


def task_section(task: Task, claims: Claims, journals: Journals, fronts: bool) -> Section:
    """What is known of one task; with `fronts` also its own figures of score against cost."""
    figures = [front_of(task, key) for key in COSTS if fronts] + [learning_curves(task, journals)]
    about = [] if not task.permuted else [
        "A control: the returns were dealt out to the episodes anew, so that there is nothing to learn from them; what "
        "scores here knows more than it should."
    ]  # fmt: skip
    shown = tuple(figure for figure in figures if figure is not None)
    tables = (_results(task, claims), *_costs(task))
    return Section(f"task-{task.name}", task.title, tuple(about), tables, shown)


def _results(task: Task, claims: Claims) -> Table:
    names = _telling(task)
    columns = [(Heading(f"{task.measure_text} ↑", _OVER_SEEDS), _scores(task, claims)), *_beside(task, claims)]
    columns += _shown(task, cost=False)
    rows = []
    for place, one in enumerate(task.contestants):
        settings = [words(_setting(one, name)) for name in names]
        cells = [words(one.label), *settings, whole(len(one.scores) - one.failed), _failures(one)]
        rows.append((*cells, *(column[place] for _, column in columns)))
    headings = (
        Heading("backbone", "or the control: a scripted policy, or cloning under its own name", numeric=False),
        *(Heading(name.rpartition(".")[2], name, numeric=False) for name in names),
        Heading("n", "seeds that ended ok"),
        Heading("failures ↓", "seeds that failed, diverged, or ran out of time or memory"),
        *(heading for heading, _ in columns),
    )
    return Table(task.name, f"{task.title}: results", headings, tuple(rows), tuple(_notes(task, claims)))


def _costs(task: Task) -> tuple[Table, ...]:
    """What each takes, in a table of its own that is as wide as a page; none where nothing was measured."""
    columns, acting = _shown(task, cost=True), ways_to_act(task)
    rows = []
    for place, one in enumerate(task.contestants):
        cells = [column[place] for _, column in columns]
        if any(cell.value is not None for cell in cells):
            rows.append((words(one.name), *([acting[place]] if acting else []), *cells))
    if not rows:
        return ()
    acts = Heading("acts", "carries a state, or encodes so many last timesteps anew", numeric=False)
    headings = (
        Heading("backbone", "or the control, with what tells it from others of that name", numeric=False),
        *([acts] if acting else []),
        *(heading for heading, _ in columns),
    )
    notes = tuple(notes_on_times(task))
    return (Table(costs_name(task.name), f"{task.title}: costs", headings, tuple(rows), notes),)


def _telling(task: Task) -> list[str]:
    """Settings in which contestants differ beyond what their labels tell; a policy is told by its name."""
    names = dict.fromkeys(name for one in task.contestants for name in one.settings if name != "policy")

    def values(name: str) -> set[str | None]:
        return {_setting(one, name) for one in task.contestants if one.learned and name not in one.told}

    return [name for name in names if len(values(name)) > 1]


def _shown(task: Task, *, cost: bool) -> list[tuple[Heading, list[Cell]]]:
    """The columns of final rows that some contestant has, but for those that stand in a column of their own."""
    return [
        (Heading(column.heading, column.hint or _OVER_SEEDS), _numbers(task, column))
        for column in COLUMNS
        if column.cost is cost
        and column.key != "score"
        and not (column.key == "return" and task.measure == RETURN)
        and any(estimate_of(one.runs, column) is not None for one in task.contestants)
    ]


def _scores(task: Task, claims: Claims) -> list[Cell]:
    """The one contest: marked is who is claimed to be above all other learned contestants.

    Costs are none: seeds of one sweep share the machine and its moods, so no rule is known to hold for them.
    """
    best, form = claims.winner(task.name), task.form
    return [
        measured(task.estimate(one), form, best=one.learned and one.name == best) for one in task.contestants
    ]  # fmt: skip


def _beside(task: Task, claims: Claims) -> list[tuple[Heading, list[Cell]]]:
    """Columns beside the score: the distance from the best, and the seeds that solved the task."""
    found, order = [], ranked(task)
    if len(order) > 1:
        first, form = order[0][0].name, task.form
        cells = [behind(claims, task.name, one.name, first, form) if one.learned else Cell(MISSING)
                 for one in task.contestants]  # fmt: skip
        found.append((behind_heading(first), cells))
    if task.mark is not None:
        heading = Heading(
            f"seeds ≥ {task.mark:.3g}",
            f"that reach {100 * PASSED:g} % of the way from chance to the best, with the exact 95 % interval of their share",
        )
        found.append((heading, [solving(task.samples.get(one.name), task.mark) for one in task.contestants]))
    return found


def _numbers(task: Task, column: Column) -> list[Cell]:
    """A column that is no contest."""
    estimates = [
        task.estimate(one, column.scored) if column.scored else estimate_of(one.runs, column)
        for one in task.contestants
    ]
    form = form_of(_means(estimates)) if column.key == "return" else column.form
    cells = [measured(estimate, form, exact=column.exact) for estimate in estimates]
    return [marked(cell, one.ok, column) for cell, one in zip(cells, task.contestants, strict=True)]


def _means(estimates: Sequence[Estimate | None]) -> list[float]:
    return [one.mean for one in estimates if one is not None]


def _setting(one: Contestant, name: str) -> str | None:
    """Settings of a model say nothing of a scripted policy."""
    return word(one.settings[name]) if one.learned and name in one.settings else None


def _failures(one: Contestant) -> Cell:
    unfinished = sum(run.status not in ("ok", *FAILURES) for run in one.runs)
    text = f"{one.failed}" + (f" ({unfinished} unfinished)" if unfinished else "")
    return Cell(text, float(one.failed))


def _notes(task: Task, claims: Claims) -> list[str]:
    counts, caution = [len(one.scores) for one in task.learned], claims.caution(task.name)
    notes = [few_seeds(counts) or "", caution or ""]
    if not task.spread.calibrated and max(counts, default=0) > 1:
        notes.append(
            f"n too small to calibrate: with fewer than {CALIBRATED} contestants of two or more seeds, intervals and claims "
            "lean on scores that are about normally distributed."
        )
    failed = [f"{one.name} {one.failed}" for one in task.learned if one.failed]
    if failed:
        standing = MISSING if task.minimum is None else format(task.minimum, form_of([task.minimum]))
        notes.append(
            f"Failures count: seeds that failed ({', '.join(failed)}) stand in {task.measure_text} at the floor of the task, "
            f"{standing}; costs are of the seeds that ended ok."
        )
    for column, begin in NOTES.items():
        told = {str(run.result[column]) for one in task.learned for run in one.ok if run.result.get(column)}
        notes += [f"{begin}: {note}." for note in sorted(told)]
    return [note for note in notes if note]
