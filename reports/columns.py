"""The numbers of final rows that reports show: how each is called, read and written."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from dsbench.reports.conditions import Choice, choose
from dsbench.reports.contention import LATENCY, TRAINING
from dsbench.reports.groups import Run
from dsbench.reports.outcomes import NORMALISED, RETURN, measure_in
from dsbench.reports.statistics import Estimate, estimate

_MIB = 2**20
_PEAK = "high-water mark of the whole process, its data and training included; no memory of a model"


class Column(NamedTuple):
    """A number of the final rows: its key in `rows`, its heading, how it is read and how it is shown."""

    key: str
    heading: str  # ↑ more is better, ↓ less is better
    form: str
    read: Callable[[Run], float | None]
    exact: bool = False  # the same for all seeds by nature: no ± when it is
    optional: bool = False  # shown only where some run has it
    mark: str | None = None  # of a time: the column that tells who had the core; averaged over one way of acting alone
    scored: str | None = None  # the column of final rows that failures count in
    cost: bool = False  # what a contestant takes, not what it achieves
    hint: str = ""  # what it is, where the heading does not say it


def _field(name: str, divisor: int = 1) -> Callable[[Run], float | None]:
    def read(run: Run) -> float | None:
        value = run.result.get(name)
        return None if value is None else value / divisor

    return read


def measure_of(run: Run) -> str:
    """The measure that counts on the run's task."""
    return measure_in(run.result)


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
    Column("return", "return ↑", ".3f", _field(RETURN), scored=RETURN),
    Column("normalised", "normalised ↑", ".1f", _field(NORMALISED), optional=True, scored=NORMALISED),
    Column("parameters_total", "parameters ↓", ",.0f", _field("parameters_total"), exact=True, cost=True),
    Column("parameters_backbone", "of backbone ↓", ",.0f", _field("parameters_backbone"), exact=True, cost=True),
    Column(
        "tokens_per_second", "train tokens/s ↑", ",.0f", _field("train_tokens_per_second"), mark=TRAINING, cost=True
    ),
    Column("latency_p50_us", "latency p50 µs ↓", ",.1f", _field("latency_p50_us"), mark=LATENCY, cost=True),
    Column("peak_memory_mib", "process peak MiB", ",.0f", _field("peak_rss_bytes", _MIB), hint=_PEAK, cost=True),
    Column(
        "peak_device_mib",
        "process peak GPU MiB",
        ",.0f",
        _field("peak_device_bytes", _MIB),
        optional=True,
        hint=_PEAK,
        cost=True,
    ),
)


def _state(run: Run) -> float | None:
    value: float | None = None if run.result.get("acting") == "windowed" else run.result.get("state_bytes")
    return value


STATE = Column(
    "state_bytes", "state bytes ↓", ",.0f", _state, exact=True, cost=True,
    hint="carried from one decision to the next; nothing is where the last timesteps are encoded anew",
)  # fmt: skip


def estimate_of(runs: Sequence[Run], column: Column) -> Estimate | None:
    """A column over the seeds that ended ok, None where none has it, or where several ways of acting made a time.

    Several runs of a seed (made from other sources) are averaged first: they are no new seeds.
    """
    choice = choice_of(runs, column)
    values: dict[int | None, list[float]] = {}
    for run in _having(runs, column) if choice is None else choice.runs:
        if (value := column.read(run)) is not None:
            values.setdefault(run.seed, []).append(value)
    return estimate([math.fsum(same) / len(same) for same in values.values()]) if values else None


def choice_of(runs: Sequence[Run], column: Column) -> Choice[Run] | None:
    """The runs that the mean of a time is over, and what is known of them; None of what is no time."""
    return None if column.mark is None else choose(_having(runs, column), column.mark)


def _having(runs: Sequence[Run], column: Column) -> list[Run]:
    return [run for run in runs if run.status == "ok" and column.read(run) is not None]
