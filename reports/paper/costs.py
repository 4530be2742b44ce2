"""What each contestant takes: parameters, state, training and decisions, over the tasks that all of them have run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dsbench.errors import UsageError
from dsbench.reports.columns import COLUMNS, STATE, Column, estimate_of
from dsbench.reports.content.cells import measured, words
from dsbench.reports.content.contest import Contestant, Task
from dsbench.reports.content.material import Material
from dsbench.reports.content.overall import without_gaps
from dsbench.reports.content.prices import Cost, mean_cost
from dsbench.reports.content.timing import marked
from dsbench.reports.contention import LEGEND, Core
from dsbench.reports.document import MISSING, Cell, Heading, Table
from dsbench.reports.paper.captions import acting_of
from dsbench.reports.paper.tasks import contestants, scored

_KEYS = ("parameters_total", "parameters_backbone", "tokens_per_second", "latency_p50_us")
SHOWN = (*(column for column in COLUMNS if column.key in _KEYS), STATE)


def costs_table(found: Material) -> Table:
    """A row a contestant, a column a cost. Raises `UsageError` where nothing learned has ended."""
    every = scored(found)
    own = {
        name: [task for task in every if any(one.name == name and one.learned and one.ok for one in task.contestants)]
        for name in contestants(every)
    }
    tasks, names = without_gaps({name: those for name, those in own.items() if those})
    if not names:
        raise UsageError(
            f"no run of a backbone in {found.stored.title!r} has ended, so that nothing has a cost; expected finished runs"
        )
    rows, reasons = [], dict[str, None]()
    for name in names:
        runs = [one for task in tasks for one in task.contestants if one.name == name]
        cells = [_cell(runs, column) for column in SHOWN]
        reasons |= dict.fromkeys(f"{name}: no mean {column.heading.rstrip(' ↑↓')}, {cell}" for column, cell in
                                 zip(SHOWN, cells, strict=True) if isinstance(cell, str))  # fmt: skip
        rows.append((words(name), *(Cell(MISSING) if isinstance(cell, str) else cell for cell in cells)))
    headings = (Heading("backbone", numeric=False), *(Heading(column.heading, column.hint) for column in SHOWN))
    notes = (
        *_scope(every, tasks, [name for name, those in own.items() if those and name not in names]),
        *(f"{reason}." for reason in reasons),
        acting_of(tasks),
        LEGEND if any(cell.text.endswith(("*", "?")) for row in rows for cell in row[1:]) else "",
    )
    return Table("costs", "Costs", headings, tuple(rows), tuple(filter(None, notes)))


def _scope(every: Sequence[Task], tasks: Sequence[Task], without: Sequence[str]) -> list[str]:
    """Over what the means are, and who and what is not among them."""
    titles = ", ".join(task.title for task in tasks)
    told = f"Means over seeds on {titles}; ± is half of the 95 % interval." if len(tasks) == 1 else (
        f"Means over {len(tasks)} tasks ({titles}), from the least to the most of them in brackets."
    )  # fmt: skip
    left = [task.title for task in every if task not in tasks]
    return [
        told,
        f"Not run by all of these, so not counted: {', '.join(left)}." if left else "",
        f"Not run on all of these tasks, so not here: {', '.join(without)}." if without else "",
    ]


def _cell(runs: Sequence[Contestant], column: Column) -> Cell | str:
    """The cell, or why there is no mean although there are numbers."""
    if len(runs) == 1:
        ended = runs[0].ok
        cell = measured(estimate_of(ended, column), column.form, exact=column.exact)
        return marked(cell, ended, column)
    cost = mean_cost(runs, column.key)
    if not isinstance(cost, Cost):
        return cost or Cell(MISSING)
    text = f"{cost.mean:{column.form}}"
    if cost.least is not None and cost.most is not None and cost.least != cost.most:
        text += f" ({cost.least:{column.form}} to {cost.most:{column.form}})"
    cell = Cell(text, cost.mean)
    return cell if cost.core is Core.ALONE else replace(cell, text=text + cost.core.value)
