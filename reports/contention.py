"""Times taken while other work had the core: they only get longer by it, so runs that had it to themselves go first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
MOST = 0.25  # of the blocks of decisions: the median of the rest is still that of a core of one's own


def contended(result: Mapping[str, Any]) -> bool:
    """Whether a final row says so of its latency; rows without the mark (several threads, older runs) do not."""
    share = result.get("latency_contended")
    return share is not None and share > MOST


def undisturbed(runs: Sequence[T], result: Callable[[T], Mapping[str, Any]]) -> Sequence[T]:
    """The runs with a core to themselves while they were timed; all of them where none had."""
    return [run for run in runs if not contended(result(run))] or runs


def contention_note(results: Sequence[Mapping[str, Any]]) -> str | None:
    """What is to be said under a table with latencies of these final rows; None where nothing is."""
    shared = sum(map(contended, results))
    if not shared:
        return None
    return (
        f"Latency: in {shared} of {len(results)} runs other work had the core for more than {100 * MOST:g} % of the time "
        "it was measured, which only adds to it; they are left out where other seeds had the core to themselves."
    )
