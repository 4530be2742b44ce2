"""Scores of one contestant over tasks and seeds, and what must be said about them before anything is averaged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dsbench.errors import UsageError
from dsbench.reports.statistics import few_seeds

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """One score a seed in each task; made by `Scores.of`, which puts tasks and seeds in order.

    Attributes:
        tasks: task -> scores, (seeds of the task,), float64, finite, in the order of `seeds`; tasks sorted by name.
        seeds: task -> its seeds, ascending.
        normalised: scores of different tasks are on one scale (as 0 for random play and 1 for an expert), so that
            they may be pooled.
        failures: task -> runs that failed or diverged and stand here with the minimum; tasks without one are absent.
    """

    tasks: Mapping[str, FloatArray]
    seeds: Mapping[str, tuple[int, ...]]
    normalised: bool
    failures: Mapping[str, int]

    @classmethod
    def of(
        cls,
        runs: Mapping[str, Mapping[int, float | None]],
        *,
        normalised: bool,
        minimum: Mapping[str, float] | None = None,
    ) -> Scores:
        """Scores with every failed run at its task's minimum, in an order that does not depend on that of `runs`.

        Args:
            runs: task -> seed -> score; None, NaN or an infinite score is a run that failed or diverged.
            normalised: see `Scores`.
            minimum: task -> the lowest score that counts on it; needed for tasks with a failed run.

        Raises:
            UsageError: no task, a task without runs, a failed run on a task without a finite minimum, or a finished
                run below the minimum (a failure would count for more than that run).
        """
        if not runs:
            raise UsageError("no tasks to aggregate; expected scores of at least one task")
        filled = {task: _filled(task, runs[task], (minimum or {}).get(task)) for task in sorted(runs)}
        return cls(
            tasks={task: np.array(list(scores.values()), dtype=np.float64) for task, scores in filled.items()},
            seeds={task: tuple(scores) for task, scores in filled.items()},
            normalised=normalised,
            failures={task: count for task in filled if (count := sum(map(_failed, runs[task].values())))},
        )

    @property
    def n(self) -> int:
        """Runs over all tasks."""
        return sum(map(len, self.seeds.values()))

    def pools(self) -> list[FloatArray]:
        """The scores of each task, for use together.

        Raises:
            UsageError: there are several tasks and their scores are not normalised.
        """
        if len(self.tasks) > 1 and not self.normalised:
            raise UsageError(
                f"scores of {len(self.tasks)} tasks ({_names(self.tasks)}) are not normalised and cannot be pooled; "
                "normalise them and say so with normalised=True, or aggregate each task by itself"
            )
        return list(self.tasks.values())


def cautions(scores: Scores) -> list[str]:
    """A sentence for each thing a reader of a number over `scores` has to know; empty when there is none."""
    counts = {task: len(seeds) for task, seeds in scores.seeds.items()}
    single = [task for task, count in counts.items() if count == 1]
    said = [few_seeds(list(counts.values()))]
    if single:
        said.append(f"No bootstrap interval: a single seed on {_names(single)} leaves nothing to resample.")
    if scores.failures:
        said.append(
            f"Failures count: {sum(scores.failures.values())} of {scores.n} runs failed or diverged and stand with "
            f"the minimum score of their task ({_counted(scores.failures)})."
        )
    if len(set(counts.values())) > 1:
        said.append(
            f"Unequal numbers of seeds ({_counted(counts)}): a task with more of them weighs more in what is pooled."
        )
    return [sentence for sentence in said if sentence]


def _failed(score: float | None) -> bool:
    return score is None or not math.isfinite(score)


def _filled(task: str, scores: Mapping[int, float | None], minimum: float | None) -> dict[int, float]:
    """Seed -> score in ascending order of seeds, the minimum in place of what failed."""
    if not scores:
        raise UsageError(f"no runs on task {task!r}; run it, or leave the task out for every contestant")
    lowest = min((score for score in scores.values() if score is not None and math.isfinite(score)), default=math.inf)
    if minimum is not None and lowest < minimum:
        raise UsageError(
            f"a run on task {task!r} scored {lowest}, below the minimum {minimum} that failed runs count as; "
            "give the lowest score over all contestants or of the task itself"
        )
    filled: dict[int, float] = {}
    for seed, score in sorted(scores.items(), key=lambda item: item[0]):
        if score is not None and math.isfinite(score):
            filled[seed] = float(score)
        elif minimum is not None and math.isfinite(minimum):
            filled[seed] = float(minimum)
        else:
            raise UsageError(
                f"the run with seed {seed} on task {task!r} failed (score {score}) and minimum[{task!r}] is {minimum}; "
                "expected a finite minimum score for it to count as: failed runs are never dropped"
            )
    return filled


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{task} {count}" for task, count in counts.items())


def _names(tasks: Mapping[str, object] | list[str]) -> str:
    """Up to four names, then how many more."""
    names = list(tasks)
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
