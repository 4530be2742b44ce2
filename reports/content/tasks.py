"""A section a task: its table, what was gained for what cost, and how it was learned."""

from __future__ import annotations

from collections.abc import Sequence

from dsbench.reports.content.cells import form_of, measured, whole, winner, words
from dsbench.reports.content.contest import Contestant, Task, word
from dsbench.reports.content.curves import Journals, learning_curves
from dsbench.reports.content.fronts import COSTS, front_of
from dsbench.reports.content.paired import paired_heading, paired_on
from dsbench.reports.content.timing import is_contest, marked, notes_on_times, ways_to_act
from dsbench.reports.document import MISSING, Cell, Heading, Section, Table
from dsbench.reports.statistics import Estimate, few_seeds
from dsbench.reports.table import COLUMNS, FAILURES, Column, estimate_of

_LESS_IS_BETTER = "↓"


def task_section(task: Task, journals: Journals, fronts: bool) -> Section:
    """What is known of one task; with `fronts` also its own figures of score against cost."""
    figures = [front_of(task, key) for key in COSTS if fronts] + [learning_curves(task, journals)]
    about = [] if not task.permuted else [
        "A control: the returns were dealt out to the episodes anew, so that there is nothing to learn from them; what "
        "scores here knows more than it should."
    ]  # fmt: skip
    shown = tuple(figure for figure in figures if figure is not None)
    return Section(f"task-{task.name}", task.title, tuple(about), (_table(task),), shown)


def _table(task: Task) -> Table:
    names = list(dict.fromkeys(name for one in task.contestants for name in one.settings if name != "policy"))
    columns = [column for column in COLUMNS if _is_shown(task, column)]
    numbers = [_numbers(task, column) for column in columns]
    told = [_heading(task, column) for column in columns]
    acting = ways_to_act(task)
    paired = paired_on(task, _score_form(task))
    if paired is not None:  # beside the score, which is the first column
        numbers.insert(1, paired[1])
        told.insert(1, paired_heading(paired[0]))
    rows = []
    for place, one in enumerate(task.contestants):
        settings = [words(_setting(one, name)) for name in names]
        acts = [acting[place]] if acting else []
        cells = [words(one.label), *settings, *acts, whole(len(one.scores) - one.failed), _failures(one)]
        rows.append((*cells, *(column[place] for column in numbers)))
    headings = (
        Heading("backbone", "or the control: a scripted policy, or cloning under its own name", numeric=False),
        *(Heading(name.rpartition(".")[2], name, numeric=False) for name in names),
        *(
            [Heading("acts", "carries a state, or encodes so many last timesteps anew", numeric=False)]
            if acting
            else []
        ),
        Heading("n", "seeds that ended ok"),
        Heading("failures ↓", "seeds that failed, diverged, or ran out of time or memory"),
        *told,
    )
    return Table(task.name, f"{task.title}: results", headings, tuple(rows), tuple(_notes(task)))


def _is_shown(task: Task, column: Column) -> bool:
    if column.key == "return" and task.measure == "return_mean":
        return False  # it is the score
    return any(estimate_of(one.runs, column) is not None for one in task.contestants)


def _heading(task: Task, column: Column) -> Heading:
    text = f"{task.measure_text} ↑" if column.key == "score" else column.heading
    if not column.contest:
        return Heading(
            text, "high-water mark of the whole process, its data and training included; no memory of a model"
        )
    return Heading(text, "mean over seeds ± half of the 95 % interval")


def _numbers(task: Task, column: Column) -> list[Cell]:
    """A column, marked where an interval lies apart from those of all other learned contestants.

    At the opposite target a model that follows its target is wrong on purpose.
    """
    estimates = [
        one.estimate(task.minimum) if column.key == "score" else estimate_of(one.runs, column)
        for one in task.contestants
    ]
    learned = [estimate for estimate, one in zip(estimates, task.contestants, strict=True) if one.learned]
    contest = column.key != "opposite" and is_contest(task, column)
    best = winner(learned, _LESS_IS_BETTER not in column.heading) if contest else None  # learned ones stand first
    form = form_of(_means(estimates)) if column.key in ("score", "return") else column.form
    cells = [
        measured(estimate, form, best=place == best, exact=column.exact) for place, estimate in enumerate(estimates)
    ]
    return [marked(cell, one, column) for cell, one in zip(cells, task.contestants, strict=True)]


def _score_form(task: Task) -> str:
    return form_of(_means([one.estimate(task.minimum) for one in task.contestants]))


def _means(estimates: Sequence[Estimate | None]) -> list[float]:
    return [one.mean for one in estimates if one is not None]


def _setting(one: Contestant, name: str) -> str | None:
    """Settings of a model say nothing of a scripted policy."""
    return word(one.settings[name]) if one.learned and name in one.settings else None


def _failures(one: Contestant) -> Cell:
    unfinished = sum(run.status not in ("ok", *FAILURES) for run in one.runs)
    text = f"{one.failed}" + (f" ({unfinished} unfinished)" if unfinished else "")
    return Cell(text, float(one.failed))


def _notes(task: Task) -> list[str]:
    counts = [len(one.scores) for one in task.learned]
    notes = [few_seeds(counts) or ""]
    notes += notes_on_times(task)
    failed = [f"{one.name} {one.failed}" for one in task.learned if one.failed]
    if failed:
        standing = MISSING if task.minimum is None else format(task.minimum, form_of([task.minimum]))
        notes.append(
            f"Failures count: seeds that failed ({', '.join(failed)}) stand in {task.measure_text} with the lowest of "
            f"any run here, {standing}; the other columns are of the seeds that ended ok."
        )
    physics = sorted(
        {str(run.result["physics_note"]) for one in task.learned for run in one.ok if "physics_note" in run.result}
    )
    return [note for note in [*notes, *(f"Learned from data of other physics: {note}." for note in physics)] if note]
