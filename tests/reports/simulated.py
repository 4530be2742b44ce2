"""Reports out of nothing: runs as the report reads them, with scores drawn from distributions whose means are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsbench.reports.content.contest import Task
from dsbench.reports.content.gathering import tasks_of
from dsbench.reports.groups import Run, grouped
from dsbench.reports.outcomes import FAILURES

Scores = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int, int]], Scores]  # (tasks, contestants, seeds)
CONTESTANTS, TASKS = 6, 5
SPREADS = np.array([3.0, 1.0, 0.3, 0.1, 0.05, 0.01])


def _bimodal(generator: np.random.Generator, shape: tuple[int, int, int]) -> Scores:
    return np.where(generator.random(shape) < 0.7, 1.0, 0.5)


SHAPES: Mapping[str, Draw] = {
    "normal": lambda generator, shape: generator.normal(size=shape),
    "lognormal": lambda generator, shape: generator.lognormal(size=shape),
    "ceiling": lambda generator, shape: generator.beta(20, 1, size=shape),
    "bimodal": _bimodal,
    "heavy tails": lambda generator, shape: generator.standard_t(3, size=shape),
    "unequal": lambda generator, shape: generator.normal(size=shape) * SPREADS[: shape[1], None],
}
MEANS = {
    "normal": 0.0, "lognormal": float(np.exp(0.5)), "ceiling": 20 / 21, "bimodal": 0.85, "heavy tails": 0.0, "unequal": 0.0,
}  # fmt: skip
DEVIATIONS = {
    "normal": 1.0, "lognormal": float(np.sqrt((np.e - 1) * np.e)), "ceiling": float(np.sqrt(20 / (21**2 * 22))),
    "bimodal": float(np.sqrt(0.21) * 0.5), "heavy tails": float(np.sqrt(3)),
}  # fmt: skip


def name_of(contestant: int) -> str:
    return f"backbone{contestant}"


def report_of(scores: Scores, row: Mapping[str, Any] | None = None, keep: Scores | None = None) -> list[Task]:
    """The tasks of a report over runs with these scores, (tasks, contestants, seeds); NaN is a run that failed.

    Args:
        row: further columns of every final row.
        keep: where this is False, the run was never begun, (tasks, contestants, seeds).
    """
    runs = []
    for (task, contestant, seed), score in np.ndenumerate(scores):
        if keep is None or keep[task, contestant, seed]:
            runs.append(_run(f"task{task}", name_of(contestant), seed, float(score), row or {}))
    return tasks_of(grouped(runs), {f"task{task}": "all" for task in range(len(scores))})


def _run(env: str, backbone: str, seed: int, score: float, row: Mapping[str, Any]) -> Run:
    ended: dict[str, Any] = {"success_metric": "success", **row}
    failed = not np.isfinite(score)
    if not failed:
        ended |= {"success": score, "score_normalised": score}
    return Run(
        run_id=f"{backbone}-{env}-s{seed}", backbone=backbone, env=env, seed=seed,
        status=FAILURES[seed % len(FAILURES)] if failed else "ok", reason="it broke" if failed else None, attempt=1,
        preset=None, settings={"data.recipe": "random", "train.lr": 0.003}, result=ended, provenance={"dsbench": "0"},
    )  # fmt: skip
