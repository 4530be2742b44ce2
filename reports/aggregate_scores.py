"""Scores of one contestant over tasks and seeds, and what must be said about them before anything is averaged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dsbench.errors import UsageError
from dsbench.reports.outcomes import Sample
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
        failures: task -> seeds that failed or diverged and stand here at the floor; tasks without one are absent.
    """

    tasks: Mapping[str, FloatArray]
    seeds: Mapping[str, tuple[int, ...]]
    normalised: bool
    failures: Mapping[str, int]

    @classmethod
    def of(cls, samples: Mapping[str, Sample], *, normalised: bool) -> Scores:
        """Scores of one contestant, task -> sample, in an order that does not depend on that of `samples` or their seeds.

        Raises:
            UsageError: no task, a task without runs, or a score that is no finite number.
        """
        if not samples:
            raise UsageError("no tasks to aggregate; expected scores of at least one task")
        sorted_scores = {task: dict(sorted(samples[task].scores.items())) for task in sorted(samples)}
        for task, scores in sorted_scores.items():
            if not scores:
                raise UsageError(f"no runs on task {task!r}; run it, or leave the task out for every contestant")
            for seed, score in scores.items():
                if not math.isfinite(score):
                    raise UsageError(
                        f"the score of seed {seed} on task {task!r} is {score}; expected a finite number: a run that failed "
                        "counts as the floor of its task"
                    )
        return cls(
            tasks={task: np.array(list(scores.values()), dtype=np.float64) for task, scores in sorted_scores.items()},
            seeds={task: tuple(scores) for task, scores in sorted_scores.items()},
            normalised=normalised,
            failures={task: len(samples[task].failed) for task in sorted_scores if samples[task].failed},
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
        said.append(f"No interval: a single seed on {_names(single)} leaves nothing to resample.")
    if scores.failures:
        said.append(
            f"Failures count: {sum(scores.failures.values())} of {scores.n} runs failed or diverged and stand at "
            f"the floor of their task ({_counted(scores.failures)})."
        )
    if len(set(counts.values())) > 1:
        said.append(
            f"Unequal numbers of seeds ({_counted(counts)}): a task with more of them weighs more in what is pooled over runs."
        )
    return [sentence for sentence in said if sentence]


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{task} {count}" for task, count in counts.items())


def _names(tasks: Mapping[str, object] | list[str]) -> str:
    """Up to four names, then how many more."""
    names = list(tasks)
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
