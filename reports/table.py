"""One table over a results folder: a row a group of runs, means over seeds with intervals, and what failed below.

Nothing is bold and nothing is left out: a run that failed is counted, listed, and stands in the scores at the floor of its
task; a number that is missing is '–'.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from dsbench.records.store import Places
from dsbench.reports.columns import COLUMNS, Column, choice_of, estimate_of, measure_of
from dsbench.reports.conditions import Choice, choices_note
from dsbench.reports.content.contest import Contestant, Task
from dsbench.reports.content.gathering import tasks_of
from dsbench.reports.groups import Group, Run, read_groups
from dsbench.reports.notes import notes
from dsbench.reports.outcomes import FAILURES
from dsbench.reports.smoke import smoke_sentences
from dsbench.reports.statistics import Estimate
from dsbench.text import markdown_code, markdown_text

MISSING = "–"
_Places: TypeAlias = Mapping[str, tuple[Task, Contestant]]  # run id -> what the run is of


def rows(results: Places) -> list[dict[str, Any]]:
    """A dictionary of JSON values for each group of runs that differ in their seed alone.

    Keys: backbone, env, setting (text) and settings (name -> value) of what differs in this folder, source
    (of the backbone's code from outside, or None), measure, n (seeds that
    ended ok) and seeds, failures and unfinished (status -> runs), runs (run_id, seed, status, reason), and metrics: a
    key of `COLUMNS` -> mean, low, high, n, or None where no seed has it; low and high are None with one seed. times: a
    key of those that are times -> core (alone, shared or unknown), conditions of the runs that count, and the reason why
    there is no mean although runs were timed.

    Raises:
        UsageError: there is no such results folder, or no run in it.
        CorruptFile: a file of a run is damaged.
    """
    groups = read_groups(results)
    places = _places(groups)
    return [_row(group, places) for group in groups]


def markdown(results: Places) -> str:
    """The table as Markdown, with what the numbers mean, what failed and where it ran below it. Raises as `rows`."""
    groups = read_groups(results)
    places = _places(groups)
    estimates = [_estimates(group, places) for group in groups]
    shown = [column for column in COLUMNS if not column.optional or any(one[column.key] for one in estimates)]
    head = ["backbone", "env", "setting", "n", "failures", "measure", *(column.heading for column in shown)]
    lines = [head, [":--"] * 3 + ["--:"] * 2 + [":--"] + ["--:"] * len(shown)]
    for group, one in zip(groups, estimates, strict=True):
        name, env = (markdown_text(text or MISSING) for text in (group.backbone, group.env))
        setting = _in_cell(markdown_code(group.setting)) if group.setting else MISSING
        numbers = [_cell(one[column.key], column, group) for column in shown]
        told = [markdown_text(text) for text in (_failures(group), _measure(group))]
        lines.append([name, env, setting, str(len(seeds_ok(group))), *told, *numbers])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    below = notes(groups, [len(seeds_ok(group)) for group in groups], _of_times(groups))
    smoke = smoke_sentences([run.preset for group in groups for run in group.runs])
    return "\n".join([table, *(line for told in smoke for line in ("", told)), "", *below]) + "\n"


def _of_times(groups: Sequence[Group]) -> list[str]:
    """Which times have no mean, and which are no contest."""
    told = []
    for column in COLUMNS:
        choices = {
            f"{group.backbone} on {group.env}" + (f" ({group.setting})" if group.setting else ""): choice
            for group in groups
            if (choice := choice_of(group.runs, column)) is not None
        }
        told.append(choices_note(column.heading[:-2], choices))
    return [markdown_text(note) for note in told if note is not None]


def seeds_ok(group: Group) -> list[int | None]:
    """Seeds with a run that ended ok, each once."""
    return list(dict.fromkeys(run.seed for run in group.runs if run.status == "ok"))


def _measure(group: Group) -> str:
    """The measure in words; '–' where no run has ended ok."""
    named = {measure_of(run) for run in group.runs if run.status == "ok"}
    return ", ".join(sorted(named)).replace("_", " ") if named else MISSING


def _row(group: Group, places: _Places) -> dict[str, Any]:
    counts = Counter(run.status for run in group.runs if run.status != "ok")
    return {
        "backbone": group.backbone,
        "env": group.env,
        "setting": group.setting,
        "settings": dict(group.differs),
        "source": group.runs[0].settings.get("source"),
        "measure": _measure(group),
        "n": len(seeds_ok(group)),
        "seeds": seeds_ok(group),
        "failures": {status: count for status, count in sorted(counts.items()) if status in FAILURES},
        "unfinished": {status: count for status, count in sorted(counts.items()) if status not in FAILURES},
        "runs": [
            {"run_id": run.run_id, "seed": run.seed, "status": run.status, "reason": run.reason} for run in group.runs
        ],
        "metrics": {key: one and one.to_dict() for key, one in _estimates(group, places).items()},
        "times": {column.key: _told(choice) for column in COLUMNS if (choice := choice_of(group.runs, column))},
    }


def _told(choice: Choice[Run]) -> dict[str, Any]:
    """Under what a time was measured, or why there is none."""
    known = choice.conditions._asdict() if choice.conditions else {}
    return {"core": choice.core.name.lower(), "reason": choice.reason, "conditions": known}


def _places(groups: Sequence[Group]) -> _Places:
    return {
        run.run_id: (task, one)
        for task in tasks_of(groups, {})
        for one in task.contestants
        for run in one.runs
    }  # fmt: skip


def _estimates(group: Group, places: _Places) -> dict[str, Estimate | None]:
    """Scores with failures at the floor of their task; all else over the seeds that ended ok."""
    place = places.get(group.runs[0].run_id)
    found: dict[str, Estimate | None] = {}
    for column in COLUMNS:
        if place is not None and (column.key == "score" or column.scored):
            found[column.key] = place[0].estimate(place[1], column.scored)
        else:
            found[column.key] = estimate_of(group.runs, column)
    return found


def _cell(one: Estimate | None, column: Column, group: Group) -> str:
    if one is None:
        return MISSING
    same = column.exact and one.half_width == 0
    text = format(one.mean, column.form) if same else one.text(column.form)
    choice = choice_of(group.runs, column)
    text += choice.core.value if choice else ""
    return text if one.n == len(seeds_ok(group)) else f"{text} (n={one.n})"


def _failures(group: Group) -> str:
    """``2 (1 diverged, 1 timeout)``; unfinished runs are named too but are no failures: ``0 (1 running)``."""
    counts = Counter(run.status for run in group.runs if run.status != "ok")
    total = sum(count for status, count in counts.items() if status in FAILURES)
    listed = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    return f"{total} ({listed})" if listed else "0"


def _in_cell(code: str) -> str:
    """Code inside a cell: a bar would end it."""
    return code.replace("|", "\\|")
