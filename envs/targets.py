"""Which return to ask a policy for: one rule a task, fixed beforehand and recorded, never chosen by its own outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dsbench.episodes import Episodes, Observations


@dataclass(frozen=True)
class Target:
    """A return to ask for at the start of an episode.

    Attributes:
        value: the return; with `by_start` its mean over the starts.
        by_start: (S,) a return for each start, or None.
        start_of: index of the start in `by_start` from (rows, ...) first observations.
    """

    value: float
    by_start: NDArray[np.float64] | None = None
    start_of: Callable[[Observations], NDArray[np.int64]] | None = None

    def of(self, first: Observations, rows: int) -> NDArray[np.float64]:
        """(rows,) what to ask for in episodes that begin with these observations."""
        if self.by_start is None or self.start_of is None:
            return np.full(rows, self.value)
        return np.asarray(self.by_start, np.float64)[self.start_of(first)]

    def to_json(self) -> Any:
        """A number, or a list with a number for each start."""
        return self.value if self.by_start is None else self.by_start.tolist()


class TargetRule(Protocol):
    """Returns to ask for, by role: ``target``, and where the rule has one the ``opposite`` target, as a test of obedience."""

    @property
    def text(self) -> str:
        """The rule in words."""

    def __call__(self, episodes: Episodes, quantile: float, opposite_quantile: float) -> Mapping[str, Target]: ...


@dataclass(frozen=True)
class Quantile:
    """A high and a low quantile of the data's returns, ``eval.target_quantile`` and ``eval.opposite_quantile``."""

    text: str = "quantile of the data"

    def __call__(self, episodes: Episodes, quantile: float, opposite_quantile: float) -> Mapping[str, Target]:
        return {
            "target": Target(return_at(episodes, quantile)),
            "opposite": Target(return_at(episodes, opposite_quantile)),
        }


@dataclass(frozen=True)
class Fixed:
    """One return whatever the data holds."""

    value: float

    @property
    def text(self) -> str:
        return f"{self.value:g}"

    def __call__(self, episodes: Episodes, quantile: float, opposite_quantile: float) -> Mapping[str, Target]:
        return {"target": Target(self.value)}


@dataclass(frozen=True)
class BestFromStart:
    """For each start the best return-to-go that the data shows from there; without any, the worst of the data.

    Args:
        starts: how many there are.
        start_of: (rows,) index of the start in (rows, ...) observations.
    """

    starts: int
    start_of: Callable[[Observations], NDArray[np.int64]]
    text: str = "best of the data from the same start"

    def __call__(self, episodes: Episodes, quantile: float, opposite_quantile: float) -> Mapping[str, Target]:
        seen = self.start_of(episodes.observations)
        to_go = episodes.returns_to_go()
        best = np.full(self.starts, to_go.min())
        np.maximum.at(best, seen, to_go)
        return {"target": Target(float(best[np.unique(seen)].mean()), best, self.start_of)}


def return_at(episodes: Episodes, quantile: float) -> float:
    """The return at this quantile of the data, one that occurs: the next higher one from the median up, the next lower
    one below it, so that a high and a low target lie equally far out."""
    return float(np.quantile(episodes.returns(), quantile, method="higher" if quantile >= 0.5 else "lower"))
