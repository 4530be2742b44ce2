"""How the numbers came about: seeds, episodes, intervals, targets and decoding of each task, and the machines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dsbench.reports.aggregate_pairs import ranges
from dsbench.reports.conditions import conditions
from dsbench.reports.content.cells import words
from dsbench.reports.content.contest import Task, word
from dsbench.reports.content.judging import Judged
from dsbench.reports.contention import LEGEND
from dsbench.reports.document import MISSING, Cell, Heading, Section, Table
from dsbench.reports.groups import Group, Run
from dsbench.reports.machines import COSTS, ELSEWHERE, Made, machines, made_several_times
from dsbench.reports.outcomes import NORMALISED, RULE
from dsbench.reports.scale import scale
from dsbench.reports.spread import INTERVALS
from dsbench.reports.statistics import FEW

_SHOWN = 3  # values of a cell that are listed; of more numbers the least and the most
_OF_VERSION_1 = "init, batches"  # rows did not say then: data and evaluation had seeds of their own


def _setting(name: str) -> Callable[[Run], Any]:
    return lambda run: run.settings.get(name)


def _result(name: str) -> Callable[[Run], Any]:
    return lambda run: run.result.get(name) if run.status == "ok" else None


def _episodes(run: Run) -> Any:
    """As many as were loaded; rows of before that was noted tell what was asked for."""
    if run.status != "ok":
        return None
    asked, timesteps = run.settings.get("data.episodes"), run.settings.get("data.timesteps")
    told = f"{asked:,}" if timesteps is None else f"those of {timesteps:,} timesteps"
    return run.result.get("data_episodes", f"{told} asked for")


def _budget(run: Run) -> Any:
    seconds = run.settings.get("train.seconds")
    return run.settings.get("train.updates") if seconds is None else f"those of {seconds:g} s"


def varied(run: Run) -> str | None:
    """What seeds move, as its row tells it."""
    told = run.result.get("varied")
    if told is None:
        return None if run.provenance.get("result_version", 1) != 1 else _OF_VERSION_1
    return str(told) or "nothing"


def acting(run: Run) -> str | None:
    """How a run that ended decides: ``stateful``, or ``windowed over 20`` timesteps."""
    return conditions(run).acting if run.status == "ok" else None


_COLUMNS: Mapping[str, tuple[Callable[[Run], Any], str]] = {  # heading -> what a run says, what it is
    "preset": (lambda run: run.preset, "the protocol that the runs began with"),
    "data": (_setting("data.recipe"), "what the data was made by"),
    "episodes of data": (_episodes, "that were loaded, before any were left out"),
    "timesteps of data": (_result("data_timesteps"), "of these episodes"),
    "varied": (varied, "what differs between seeds: initial weights, batches, data, evaluation episodes"),
    "updates": (_budget, "of training"),
    "window": (_setting("train.window"), "timesteps of a training window; – is whole episodes"),
    "evaluation episodes": (_setting("eval.episodes"), "reported ones"),
    "selection episodes": (_setting("eval.selection_episodes"), "disjoint from the reported ones"),
    "decode": (_setting("eval.decode"), "the first is the headline"),
    "acting": (acting, "whether a state is carried, or so many last timesteps are encoded anew"),
    "target": (_result("target_rule"), "the return that is asked for"),
}


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
        (
            words(task.title),
            words(_seeds(task)),
            *(words(_values(task, told)) for told, _ in _COLUMNS.values()),
            words(_normalised(task)),
        )
        for task in tasks
    )
    headings = (
        Heading("task", numeric=False),
        Heading("seeds", numeric=False),
        *(Heading(text, hint, numeric=False) for text, (_, hint) in _COLUMNS.items()),
        Heading("normalised", "what 0 and 100 are on the task", numeric=False),
    )
    several = any(";" in cell.text for row in rows for cell in row[2:-1])
    notes = ("Several values in a cell: they differ between the runs of the task.",) if several else ()
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
                Cell(MISSING) if cost is None else Cell(f"{cost:{form}}{mark}", float(cost))
                for cost, mark, (_, _, _, form, _) in zip(one.costs, one.marks, COSTS, strict=True)
            ),
        )
        for one in several
    )
    headings = (
        Heading("run", numeric=False),
        Heading("machine", numeric=False),
        *(Heading(heading) for _, heading, *_ in COSTS),
    )
    notes = (ELSEWHERE, *([LEGEND] if any(any(one.marks) for one in several) else []))
    return Table("machines-several", "The same runs on several machines", headings, rows, notes)


def _seeds(task: Task) -> str:
    return ranges(sorted({run.seed for one in task.contestants for run in one.runs if run.seed is not None}))


def _values(task: Task, told: Callable[[Run], Any]) -> str:
    """What all learned runs say, each value once."""
    found = {value for one in task.learned for run in one.runs if (value := told(run)) is not None}
    numbers = [value for value in found if isinstance(value, int)]
    if len(numbers) > _SHOWN and len(numbers) == len(found):
        return f"{min(numbers):,} to {max(numbers):,}"
    return "; ".join(sorted(map(_text, found)))


def _normalised(task: Task) -> str | None:
    """What 0 and 100 are; nothing where no score is normalised."""
    results = [run.result for one in task.contestants for run in one.ok if NORMALISED in run.result]
    return scale(results) or ("not recorded" if results else None)


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else word(value).replace("+", " and ")
