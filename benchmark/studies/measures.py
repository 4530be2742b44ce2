"""What a study can tabulate: numbers of final rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Measure:
    """One number of a run.

    Attributes:
        heading: of its column; ↑ more is better, ↓ less is better.
        form: how it is written.
        read: from a final row; None where it has none.
        larger: whether more is better.
        relative: shown as a multiple of the first cell of its environment.
        timed: decision by decision; a run whose core others had counts only where all of its cell are such.
    """

    heading: str
    form: str
    read: Callable[[Mapping[str, Any]], float | None]
    larger: bool = False
    relative: bool = False
    timed: bool = False


def _column(name: str, divisor: float = 1) -> Callable[[Mapping[str, Any]], float | None]:
    def read(row: Mapping[str, Any]) -> float | None:
        value = row.get(name)
        return None if value is None else value / divisor

    return read


def _score(row: Mapping[str, Any]) -> float | None:
    """The measure that counts on the run's task."""
    value: float | None = row.get(str(row.get("success_metric")))
    return value


MEASURES = {
    "score": Measure("score ↑", ".3f", _score, larger=True),
    "return": Measure("return ↑", ".3f", _column("return_mean"), larger=True),
    "normalised": Measure("normalised ↑", ".1f", _column("score_normalised"), larger=True),
    "parameters": Measure("parameters ↓", ",.0f", _column("parameters_total")),
    "share": Measure("share of parameters ↓", ".2f", _column("parameters_total"), relative=True),
    "state": Measure("state, bytes ↓", ",.0f", _column("state_bytes")),
    "latency": Measure("latency p50, µs ↓", ",.0f", _column("latency_p50_us"), timed=True),
    "training": Measure("training, s ↓", ",.1f", _column("train_seconds")),
    "speed": Measure("training, tokens/s ↑", ",.0f", _column("train_tokens_per_second"), larger=True),
}
