"""Two contestants on the same tasks: how likely a run of one scores more than one of the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dsbench.errors import UsageError
from dsbench.reports.aggregate_scores import Scores


def probability_of_improvement(a: Scores, b: Scores) -> float:
    """Probability that a run of `a` scores more than one of `b` on the same task, ties by half, mean over tasks.

    Only the order within a task counts and every task counts the same, so scores need not be normalised. It describes these
    runs; whether one is above the other is for `dsbench.reports.claims`.

    Raises:
        UsageError: other tasks, or one of the two normalised alone.
    """
    odd = sorted(a.tasks.keys() ^ b.tasks.keys())
    if odd:
        raise UsageError(
            f"only one side has scores on {', '.join(odd)}; expected the same tasks: run or leave them out"
        )
    if a.normalised != b.normalised:
        raise UsageError("one side is normalised and the other is not; expected both on the same scale")
    shares = [np.mean((np.sign(a.tasks[task][:, None] - b.tasks[task]) + 1) / 2) for task in a.tasks]
    return float(np.mean(shares))


def ranges(seeds: Sequence[int]) -> str:
    """``0-4, 7``: ascending seeds with runs of neighbours drawn together."""
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
