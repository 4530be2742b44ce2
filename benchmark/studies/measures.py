"""What a study can tabulate: numbers of final rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dsbench.reports.contention import LATENCY, TRAINING
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
        mark: of a time, the column of final rows that tells who had the core; averaged over one way of acting alone.
    """

    heading: str
    form: str
    read: Callable[[Mapping[str, Any]], float | None]
    larger: bool = False
    relative: bool = False
    scored: bool = False
    mark: str | None = None

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


def _state(row: Mapping[str, Any]) -> float | None:
    """What is carried from one decision to the next; nothing is where the last timesteps are encoded anew."""
    value: float | None = None if row.get("acting") == "windowed" else row.get("state_bytes")
    return value


MEASURES = {
    "score": Measure("score ↑", ".3f", _score, larger=True, scored=True),
    "return": Measure("return ↑", ".3f", _column(RETURN), larger=True, scored=True),
    "normalised": Measure("normalised ↑", ".1f", _column(NORMALISED), larger=True, scored=True),
    "parameters": Measure("parameters ↓", ",.0f", _column("parameters_total")),
    "share": Measure("share of parameters ↓", ".2f", _column("parameters_total"), relative=True),
    "state": Measure("state, bytes ↓", ",.0f", _state),
    "latency": Measure("latency p50, µs ↓", ",.0f", _column("latency_p50_us"), mark=LATENCY),
    "training": Measure("training, s ↓", ",.1f", _column("train_seconds"), mark=TRAINING),
    "speed": Measure("training, tokens/s ↑", ",.0f", _column("train_tokens_per_second"), larger=True, mark=TRAINING),
}
