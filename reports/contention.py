"""Whether a run had the core to itself while it was timed: other work only makes times longer, so others go first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, TypeVar

T = TypeVar("T")
LATENCY, TRAINING = "latency_contended", "train_contended"  # columns of the final row: the share that others had
# Above these others are said to have had the core. A median of decisions is that of the rest; a mean of updates grows along.
MOST = {LATENCY: 0.25, TRAINING: 0.1}
_TIMED = {LATENCY: ("Latency", "latency_p50_us"), TRAINING: ("Training speed", "train_tokens_per_second")}
WHY_UNKNOWN = "it was not noted, or cannot be told: with several threads or on a GPU"


class Core(Enum):
    """Who had the core; the value is the mark that stands behind the number."""

    ALONE = ""
    UNKNOWN = "?"
    SHARED = "*"


LEGEND = (
    f"{Core.SHARED.value} others had the core for more than {100 * MOST[LATENCY]:g} % of the time it was measured (of "
    f"training: {100 * MOST[TRAINING]:g} %), which can only make it slower; {Core.UNKNOWN.value} it is not known whether "
    f"they had ({WHY_UNKNOWN})."
)
_BEST_FIRST = (Core.ALONE, Core.UNKNOWN, Core.SHARED)


def worst(cores: Iterable[Core]) -> Core:
    """What is to be said of a number that is made of several times."""
    return max(cores, key=_BEST_FIRST.index, default=Core.ALONE)


def core_of_share(share: float | None, most: float) -> Core:
    """Of the share of a time that others had."""
    if share is None:
        return Core.UNKNOWN
    return Core.SHARED if share > most else Core.ALONE


def core(result: Mapping[str, Any], mark: str = LATENCY) -> Core:
    """Of a final row; rows without the mark (older ones, several threads, a GPU) do not say."""
    return core_of_share(result.get(mark), MOST[mark])


def undisturbed(
    runs: Sequence[T], result: Callable[[T], Mapping[str, Any]], mark: str = LATENCY
) -> tuple[Sequence[T], Core]:
    """The runs with a core to themselves while they were timed; where none had, those that may have had; else all.

    And what that is: the worst that is to be said of any of them.
    """
    for wanted in _BEST_FIRST:
        found = [run for run in runs if core(result(run), mark) is wanted]
        if found:
            return found, wanted
    return runs, Core.ALONE


def contention_note(results: Sequence[Mapping[str, Any]], mark: str = LATENCY) -> str | None:
    """What is to be said under a table with times of these final rows; None where nothing is."""
    name, column = _TIMED[mark]
    cores = [core(result, mark) for result in results if result.get(column) is not None]
    shared, unknown = cores.count(Core.SHARED), cores.count(Core.UNKNOWN)
    told = [
        f"in {shared} of {len(cores)} runs other work had the core for more than {100 * MOST[mark]:g} % of the time it was "
        f"measured, which can only make it slower ({Core.SHARED.value})"
        if shared
        else "",
        f"of {unknown} of {len(cores)} runs it is not known whether other work had the core ({Core.UNKNOWN.value}: "
        f"{WHY_UNKNOWN})"
        if unknown
        else "",
    ]
    if not any(told):
        return None
    return (
        f"{name}: {'; '.join(part for part in told if part)}. Such runs are left out where other seeds had the core to "
        "themselves, and what is marked takes part in no contest."
    )


def contention_notes(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Of all times that a table of runs shows."""
    return [note for mark in _TIMED if (note := contention_note(results, mark)) is not None]
