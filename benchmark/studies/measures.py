"""What a study can tabulate: numbers of final rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dsbench.reports.outcomes import NORMALISED, RETURN, Outcome, measure_among, measure_in


@dataclass(frozen=True)
class Measure:
    """One number of a run.

    Attributes:
        heading: of its column; ↑ more is better, ↓ less is better.
        form: how it is written.
        read: from a final row; None where it has none.
        larger: whether more is better.
        relative: shown as a multiple of the first cell of its environment.
        scored: whether it is a score, in which failed runs count and of which claims are made; costs are no contest.
        timed: decision by decision; a run whose core others had counts only where all of its cell are such.
    """

    heading: str
    form: str
    read: Callable[[Mapping[str, Any]], float | None]
    larger: bool = False
    relative: bool = False
    timed: bool = False
    scored: bool = False

    def column(self, outcomes: Sequence[Outcome]) -> str:
        """Of a scored one, the column of the final rows of these runs."""
        return {"normalised ↑": NORMALISED, "return ↑": RETURN}.get(self.heading) or measure_among(outcomes)


def _column(name: str, divisor: float = 1) -> Callable[[Mapping[str, Any]], float | None]:
    def read(row: Mapping[str, Any]) -> float | None:
        value = row.get(name)
        return None if value is None else value / divisor

    return read


def _score(row: Mapping[str, Any]) -> float | None:
    """The measure that counts on the run's task."""
    value: float | None = row.get(measure_in(row))
    return value


MEASURES = {
    "score": Measure("score ↑", ".3f", _score, larger=True, scored=True),
    "return": Measure("return ↑", ".3f", _column(RETURN), larger=True, scored=True),
    "normalised": Measure("normalised ↑", ".1f", _column(NORMALISED), larger=True, scored=True),
    "parameters": Measure("parameters ↓", ",.0f", _column("parameters_total")),
    "share": Measure("share of parameters ↓", ".2f", _column("parameters_total"), relative=True),
    "state": Measure("state, bytes ↓", ",.0f", _column("state_bytes")),
    "latency": Measure("latency p50, µs ↓", ",.0f", _column("latency_p50_us"), timed=True),
    "training": Measure("training, s ↓", ",.1f", _column("train_seconds")),
    "speed": Measure("training, tokens/s ↑", ",.0f", _column("train_tokens_per_second"), larger=True),
}
