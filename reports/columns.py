"""The numbers of final rows that reports show: how each is called, read and written."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from dsbench.reports.contention import undisturbed
from dsbench.reports.groups import Run
from dsbench.reports.outcomes import NORMALISED, RETURN, measure_in
from dsbench.reports.statistics import Estimate, estimate

_MIB = 2**20


class Column(NamedTuple):
    """A number of the final rows: its key in `rows`, its heading, how it is read and how it is shown."""

    key: str
    heading: str  # ↑ more is better, ↓ less is better
    form: str
    read: Callable[[Run], float | None]
    exact: bool = False  # the same for all seeds by nature: no ± when it is
    optional: bool = False  # shown only where some run has it
    timed: bool = False  # decision by decision: a run whose core others had counts only where all are such
    scored: str | None = None  # the column of final rows that failures count in


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
    Column("parameters_total", "parameters ↓", ",.0f", _field("parameters_total"), exact=True),
    Column("parameters_backbone", "of backbone ↓", ",.0f", _field("parameters_backbone"), exact=True),
    Column("tokens_per_second", "train tokens/s ↑", ",.0f", _field("train_tokens_per_second")),
    Column("latency_p50_us", "latency p50 µs ↓", ",.1f", _field("latency_p50_us"), timed=True),
    Column("peak_memory_mib", "peak memory MiB ↓", ",.0f", _field("peak_rss_bytes", _MIB)),
    Column("peak_device_mib", "peak GPU MiB ↓", ",.0f", _field("peak_device_bytes", _MIB), optional=True),
)


def estimate_of(runs: Sequence[Run], column: Column) -> Estimate | None:
    """A column over the seeds that ended ok, None where none has it.

    Several runs of a seed (made from other sources) are averaged first: they are no new seeds.
    """
    having = [run for run in runs if run.status == "ok" and column.read(run) is not None]
    values: dict[int | None, list[float]] = {}
    for run in undisturbed(having, lambda run: run.result) if column.timed else having:
        if (value := column.read(run)) is not None:
            values.setdefault(run.seed, []).append(value)
    return estimate([math.fsum(same) / len(same) for same in values.values()]) if values else None
