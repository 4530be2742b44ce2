"""How far behind the best on the seeds that both have: what a seed gives to both (its data, its episodes) cancels."""

from __future__ import annotations

from collections.abc import Mapping

from dsbench.errors import UsageError
from dsbench.reports.aggregate_bootstrap import Bootstrap
from dsbench.reports.aggregate_pairs import paired_difference
from dsbench.reports.aggregate_scores import Scores
from dsbench.reports.content.cells import measured
from dsbench.reports.content.contest import Task, ranked
from dsbench.reports.document import MISSING, Cell, Heading
from dsbench.reports.statistics import Estimate, estimate


def paired_heading(best: str) -> Heading:
    """Of the column of differences from `best`."""
    return Heading(f"− {best}, paired", f"mean over shared seeds of this minus {best}; 0 is as good")


def paired_on(task: Task, form: str) -> tuple[str, list[Cell]] | None:
    """The best of a task and a cell for each of its contestants; None where no other shares two seeds with the best.

    Failed seeds stand at the lowest score of the task, as in its table; intervals are Student's t over the shared seeds.
    """
    order = ranked(task)
    if not order:
        return None
    best = order[0][0]
    own = _filled(best.scores, task.minimum)
    behind = {one.name: _difference(_filled(one.scores, task.minimum), own) for one, _ in order[1:]}
    if not any(found is not None and found.n > 1 for found in behind.values()):
        return None
    return best.name, [measured(behind.get(one.name), form) for one in task.contestants]


def paired_over(scores: Mapping[str, Scores], how: Bootstrap) -> list[Cell]:
    """Each contestant minus the first, of normalised scores over all tasks; '–' for the first and without shared seeds."""
    first, *others = scores.values()
    return [Cell(MISSING), *(_over(one, first, how) for one in others)]


def _over(one: Scores, first: Scores, how: Bootstrap) -> Cell:
    try:
        found = paired_difference(one, first, how)
    except UsageError:  # a task without a shared seed
        return Cell(MISSING)
    interval = found.difference
    return Cell(interval.text(".1f"), interval.value, False, interval.low, interval.high, interval.n)


def _difference(one: Mapping[int, float], best: Mapping[int, float]) -> Estimate | None:
    shared = [score - best[seed] for seed, score in one.items() if seed in best]
    return estimate(shared) if shared else None


def _filled(scores: Mapping[int, float | None], minimum: float | None) -> dict[int, float]:
    filled = {seed: minimum if score is None else score for seed, score in scores.items()}
    return {seed: score for seed, score in filled.items() if score is not None}
