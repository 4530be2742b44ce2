"""One table over a results folder: a row a group of runs, means over seeds with intervals, and what failed below.

Nothing is bold and nothing is left out: a run that failed is counted and listed, a number that is missing is '–'.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from dsbench.records.store import Places
from dsbench.reports.conditions import Choice, choices_note, choose
from dsbench.reports.contention import LATENCY, TRAINING
from dsbench.reports.groups import Group, Run, read_groups
from dsbench.reports.notes import notes
from dsbench.reports.statistics import Estimate, estimate
from dsbench.text import markdown_code, markdown_text

FAILURES = ("diverged", "failed", "timeout", "out_of_memory")  # every other status but ok is of an unfinished run
MISSING = "–"
_MIB = 2**20


class Column(NamedTuple):
    """A number of the final rows: its key in `rows`, its heading, how it is read and how it is shown."""

    key: str
    heading: str  # ↑ more is better, ↓ less is better
    form: str
    read: Callable[[Run], float | None]
    exact: bool = False  # the same for all seeds by nature: no ± when it is
    optional: bool = False  # shown only where some run has it
    mark: str | None = None  # of a time: the column that tells who had the core; averaged over one way of acting alone
    contest: bool = True  # whether one contestant can be better than another in it


def _field(name: str, divisor: int = 1) -> Callable[[Run], float | None]:
    def read(run: Run) -> float | None:
        value = run.result.get(name)
        return None if value is None else value / divisor

    return read


def measure_of(run: Run) -> str:
    """The measure that counts on the run's task; runs that do not name it are of the time when umbrella was the only one."""
    return str(run.result.get("success_metric", "first_action_accuracy"))


COLUMNS = (
    Column("score", "score ↑", ".3f", lambda run: run.result.get(measure_of(run))),
    Column(
        "opposite",
        "at opposite target",
        ".3f",
        lambda run: run.result.get(f"{measure_of(run)}_opposite"),
        optional=True,
    ),
    Column("regret", "regret ↓", ".3f", _field("regret"), optional=True),
    Column("return", "return ↑", ".3f", _field("return_mean")),
    Column("normalised", "normalised ↑", ".1f", _field("score_normalised"), optional=True),
    Column("parameters_total", "parameters ↓", ",.0f", _field("parameters_total"), exact=True),
    Column("parameters_backbone", "of backbone ↓", ",.0f", _field("parameters_backbone"), exact=True),
    Column("tokens_per_second", "train tokens/s ↑", ",.0f", _field("train_tokens_per_second"), mark=TRAINING),
    Column("latency_p50_us", "latency p50 µs ↓", ",.1f", _field("latency_p50_us"), mark=LATENCY),
    # High-water marks of a process that held the data and trained: no memory of a decision, which `dsbench bench` counts.
    Column("peak_memory_mib", "process peak MiB", ",.0f", _field("peak_rss_bytes", _MIB), contest=False),
    Column(
        "peak_device_mib",
        "process peak GPU MiB",
        ",.0f",
        _field("peak_device_bytes", _MIB),
        optional=True,
        contest=False,
    ),
)


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
    return [_row(group) for group in read_groups(results)]


def markdown(results: Places) -> str:
    """The table as Markdown, with what the numbers mean, what failed and where it ran below it. Raises as `rows`."""
    groups = read_groups(results)
    estimates = [_estimates(group) for group in groups]
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
    return "\n".join([table, "", *notes(groups, [len(seeds_ok(group)) for group in groups], _of_times(groups))]) + "\n"


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


def _row(group: Group) -> dict[str, Any]:
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
        "metrics": {key: one and one.to_dict() for key, one in _estimates(group).items()},
        "times": {column.key: _told(choice) for column in COLUMNS if (choice := choice_of(group.runs, column))},
    }


def _told(choice: Choice[Run]) -> dict[str, Any]:
    """Under what a time was measured, or why there is none."""
    known = choice.conditions._asdict() if choice.conditions else {}
    return {"core": choice.core.name.lower(), "reason": choice.reason, "conditions": known}


def _estimates(group: Group) -> dict[str, Estimate | None]:
    return {column.key: estimate_of(group.runs, column) for column in COLUMNS}


def estimate_of(runs: Sequence[Run], column: Column) -> Estimate | None:
    """A column over the seeds that ended ok, None where none has it, or where several ways of acting made a time.

    Several runs of a seed (made from other sources) are averaged first: they are no new seeds.
    """
    values: dict[int | None, list[float]] = {}
    choice = choice_of(runs, column)
    for run in _having(runs, column) if choice is None else choice.runs:
        if (value := column.read(run)) is not None:
            values.setdefault(run.seed, []).append(value)
    return estimate([math.fsum(same) / len(same) for same in values.values()]) if values else None


def choice_of(runs: Sequence[Run], column: Column) -> Choice[Run] | None:
    """The runs that the mean of a time is over, and what is known of them; None of what is no time."""
    return None if column.mark is None else choose(_having(runs, column), column.mark)


def _having(runs: Sequence[Run], column: Column) -> list[Run]:
    return [run for run in runs if run.status == "ok" and column.read(run) is not None]


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
