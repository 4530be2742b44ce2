"""A section a task: its table, what was gained for what cost, and how it was learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dsbench.reports.content.cells import form_of, measured, whole, winner, words
from dsbench.reports.content.contest import Contestant, Task, word
from dsbench.reports.content.curves import Journals, learning_curves
from dsbench.reports.content.headline import ranked
from dsbench.reports.document import MISSING, Cell, Figure, Heading, Section, Table
from dsbench.reports.figures import Axis, Series, plot
from dsbench.reports.groups import Run
from dsbench.reports.notes import machines
from dsbench.reports.statistics import Estimate, few_seeds
from dsbench.reports.table import COLUMNS, FAILURES, Column, estimate_of

_COSTS = {"latency_p50_us": "median latency, µs a decision", "parameters_total": "parameters"}
_OF_A_MACHINE = {"tokens_per_second", "latency_p50_us", "peak_memory_mib", "peak_device_mib"}
_LESS_IS_BETTER = "↓"


def task_section(task: Task, journals: Journals) -> Section:
    """What is known of one task."""
    figures = [_front(task, key) for key in _COSTS] + [learning_curves(task, journals)]
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
    rows = []
    for place, one in enumerate(task.contestants):
        settings = [words(_setting(one.settings, name)) for name in names]
        cells = [words(one.backbone), *settings, whole(len(one.scores) - one.failed), _failures(one)]
        rows.append((*cells, *(column[place] for column in numbers)))
    headings = (
        Heading("backbone", "or the scripted policy", numeric=False),
        *(Heading(name.rpartition(".")[2], name, numeric=False) for name in names),
        Heading("n", "seeds that ended ok"),
        Heading("failures ↓", "seeds that failed, diverged, or ran out of time or memory"),
        *(_heading(task, column) for column in columns),
    )
    return Table(task.name, f"{task.title}: results", headings, tuple(rows), tuple(_notes(task)))


def _is_shown(task: Task, column: Column) -> bool:
    if column.key == "return" and task.measure == "return_mean":
        return False  # it is the score
    return any(estimate_of(one.runs, column) is not None for one in task.contestants)


def _heading(task: Task, column: Column) -> Heading:
    text = f"{task.measure_text} ↑" if column.key == "score" else column.heading
    return Heading(text, "mean over seeds ± half of the 95 % interval")


def _numbers(task: Task, column: Column) -> list[Cell]:
    """A column, marked where an interval lies apart from those of all other learned contestants."""
    estimates = [
        one.estimate(task.minimum) if column.key == "score" else estimate_of(one.runs, column)
        for one in task.contestants
    ]
    learned = [estimate for estimate, one in zip(estimates, task.contestants, strict=True) if one.learned]
    best = _winner(task, column, learned)  # learned ones stand first
    form = column.form
    if column.key in ("score", "return"):
        form = form_of([one.mean for one in estimates if one is not None])
    return [
        measured(estimate, form, best=place == best, exact=column.exact) for place, estimate in enumerate(estimates)
    ]


def _winner(task: Task, column: Column, estimates: Sequence[Estimate | None]) -> int | None:
    """Sizes are no contest, and times of several machines none either."""
    runs = [run for one in task.learned for run in one.ok]
    if column.exact or (column.key in _OF_A_MACHINE and len(machines(runs)) > 1):
        return None
    if column.key == "opposite":
        return None  # a model that follows its target is wrong there on purpose
    return winner(estimates, _LESS_IS_BETTER not in column.heading)


def _setting(settings: Mapping[str, Any], name: str) -> str | None:
    return word(settings[name]) if name in settings else None


def _failures(one: Contestant) -> Cell:
    unfinished = sum(run.status not in ("ok", *FAILURES) for run in one.runs)
    text = f"{one.failed}" + (f" ({unfinished} unfinished)" if unfinished else "")
    return Cell(text, float(one.failed))


def _notes(task: Task) -> list[str]:
    counts = [len(one.scores) for one in task.learned]
    notes = [few_seeds(counts) or ""]
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


def _front(task: Task, key: str) -> Figure | None:
    """Score against a cost; joined by a line are those that no other beats in both."""
    points = [(one.name, cost, score) for one, score in ranked(task) if (cost := _cost(one.ok, key)) is not None]
    if len(points) < 2:
        return None
    front: list[tuple[float, float]] = []
    for _, cost, score in sorted(points, key=lambda point: (point[1], -point[2].mean)):
        if not front or score.mean > front[-1][1]:
            front.append((cost, score.mean))
    clouds = [_point(name, cost, score) for name, cost, score in sorted(points, key=lambda point: point[0])]
    line = Series("Pareto front", *(list(part) for part in zip(*front, strict=True)), dashed=True, marks=False)
    caption = (
        f"{task.measure_text.capitalize()} against {_COSTS[key]}, means over seeds with 95 % intervals of the score. "
        "Dashed: the front, whose members no other backbone beats in both."
    )
    short = "latency" if key.startswith("latency") else "parameters"
    axes = Axis(_COSTS[key], log=True), Axis(task.measure_text)
    return plot(f"{short}-{task.name}", f"{task.measure_text} × {short}: {task.title}", caption, [*clouds, line], *axes)


def _point(name: str, cost: float, score: Estimate) -> Series:
    bounds = (None, None) if score.low is None or score.high is None else ([score.low], [score.high])
    return Series(name, [cost], [score.mean], *bounds, line=False)


def _cost(runs: Sequence[Run], key: str) -> float | None:
    column = next(column for column in COLUMNS if column.key == key)
    one = estimate_of(runs, column)
    return None if one is None else one.mean
