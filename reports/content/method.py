"""How the numbers came about: seeds, episodes, intervals, targets and decoding of each task, and the machines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dsbench.reports.aggregate_pairs import ranges
from dsbench.reports.content.cells import words
from dsbench.reports.content.contest import Task, word
from dsbench.reports.content.judging import Judged
from dsbench.reports.document import MISSING, Cell, Heading, Section, Table
from dsbench.reports.groups import Group
from dsbench.reports.machines import COSTS, ELSEWHERE, Made, machines, made_several_times
from dsbench.reports.outcomes import RULE
from dsbench.reports.spread import INTERVALS
from dsbench.reports.statistics import FEW

_COLUMNS = {  # heading -> (setting or result, what it is)
    "preset": ("preset", "the protocol that the runs began with"),
    "data": ("data.recipe", "what the data was made by"),
    "episodes of data": ("result.data_episodes", "as loaded"),
    "updates": ("train.updates", "of training"),
    "window": ("train.window", "timesteps of a training window; – is whole episodes"),
    "varied": ("result.varied", "what a seed moves"),
    "evaluation episodes": ("eval.episodes", "reported ones"),
    "selection episodes": ("eval.selection_episodes", "disjoint from the reported ones"),
    "decode": ("eval.decode", "the first is the headline"),
    "acting": ("result.acting", "whether a state is carried, or the last timesteps are read again"),
    "target": ("result.target_rule", "the return that is asked for"),
}

_ASKED = {"data_episodes": "data.episodes"}  # the setting, for rows that do not tell what came of it


def method(judged: Judged) -> Section:
    """The section of the method."""
    tasks = judged.tasks
    told = (
        INTERVALS,
        f"{judged.claims.text()} A bold score is claimed to be above all others of its column, “separated” in a sentence is "
        "the same claim, and a difference is claimed where its interval leaves out 0. Where n = 3, a claim can rarely be "
        f"supported; {FEW} seeds find differences of four standard deviations. Scripted policies take no part, and costs are "
        "no contest: nothing of them is marked.",
        f"{RULE} Unfinished runs do not count yet.",
        "Scores are those of the weights at the end of training, on episodes that nothing was chosen by. Pooled are "
        "normalised scores alone; returns of different tasks never are.",
    )
    rows = tuple(
        (words(task.title), words(_seeds(task)), *(words(_values(task, key)) for key, _ in _COLUMNS.values()))
        for task in tasks
    )
    headings = (
        Heading("task", numeric=False),
        Heading("seeds", numeric=False),
        *(Heading(text, hint, numeric=False) for text, (_, hint) in _COLUMNS.items()),
    )
    notes = ("Several values in a cell: they differ between the runs of the task.",)
    return Section("method", "Method", told, (Table("protocol", "Protocol of each task", headings, rows, notes),))


def provenance(groups: Sequence[Group]) -> Section:
    """The section of the machines, versions and commits."""
    runs = [run for group in groups for run in group.runs]
    lines = machines(runs)
    without = sum(not run.provenance for run in runs)
    told = [f"{without} of {len(runs)} runs do not tell where they were made."] if without else []
    several = made_several_times(runs)
    return Section("machines", "Machines", tuple(lines + told), (_several_table(several),) if several else ())


def _several_table(several: Sequence[Made]) -> Table:
    """A row for each making of a run that was made on several machines."""
    rows = tuple(
        (
            words(one.run_id),
            words(one.where),
            *(
                Cell(MISSING) if cost is None else Cell(f"{cost:{form}}", float(cost))
                for cost, (_, _, _, form) in zip(one.costs, COSTS, strict=True)
            ),
        )
        for one in several
    )
    headings = (
        Heading("run", numeric=False),
        Heading("machine", numeric=False),
        *(Heading(heading) for _, heading, _, _ in COSTS),
    )
    return Table("machines-several", "The same runs on several machines", headings, rows, (ELSEWHERE,))


def _seeds(task: Task) -> str:
    return ranges(sorted({run.seed for one in task.contestants for run in one.runs if run.seed is not None}))


def _values(task: Task, key: str) -> str:
    """The values of all learned runs, each once."""
    part, _, name = key.partition(".")
    found: set[str] = set()
    for one in task.learned:
        for run in one.runs:
            if part == "result":
                found |= (
                    _told([run.result.get(name, run.settings.get(_ASKED.get(name, "")))])
                    if run.status == "ok"
                    else set()
                )
            else:
                found |= _told([run.preset if key == "preset" else run.settings.get(key)])
    return ", ".join(sorted(found))


def _told(values: Iterable[Any]) -> set[str]:
    return {_text(value) for value in values if value is not None}


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else word(value).replace("+", " and ")
