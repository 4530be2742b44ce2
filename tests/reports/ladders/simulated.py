"""Climbs out of nothing: runs as a report reads them, of contestants whose reach is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dsbench.reports.groups import Group, Run, grouped
from dsbench.reports.ladders.ladder import Ladder, Rung

PASSED, LOST = 1.0, 0.5
ENOUGH = 2  # rungs without any seed after which a contestant has fallen


def ladder(name: str = "span", rungs: int = 8, **changes: Any) -> Ladder:
    """Rungs 10, 20, 40, ... of an option ``env.length``."""
    steps = [10 * 2**k for k in range(rungs)]
    made: dict[str, Any] = {
        "name": name, "title": f"How far does {name} go?", "question": "How far?", "skill": name.replace("-", " "),
        "scale": "timesteps", "env": f"env-{name}", "mark": 0.9, "settings": {"data.recipe": "random"},
        "rungs": tuple(Rung(f"{step:,}", {"env.length": step}, {}, float(step)) for step in steps),
    }  # fmt: skip
    return Ladder(**(made | changes))


def runs_of(
    one: Ladder,
    reaches: Mapping[str, Sequence[int]],
    updates: int = 500,
    rng: np.random.Generator | None = None,
    **columns: Any,
) -> list[Run]:
    """The runs of a climb in which the seeds of each contestant have these reaches.

    Args:
        columns: further settings of all runs.
        rng: where given, seeds pass rungs above their first failure by chance, as real ones do.
    """
    found = []
    for backbone, own in reaches.items():
        lost = 0
        for number, rung in enumerate(one.rungs, 1):
            passed = [
                number <= reach or (rng is not None and number > reach + 1 and rng.random() < 0.2) for reach in own
            ]
            found += [
                run(one, rung, backbone, seed, updates, PASSED if up else LOST, **columns)
                for seed, up in enumerate(passed)
            ]
            lost = 0 if any(passed) else lost + 1
            if lost == ENOUGH:
                break
    return found


def run(one: Ladder, rung: Rung, backbone: str, seed: int, updates: int, score: float | None, **columns: Any) -> Run:
    """A run on a rung; without a score it diverged."""
    settings = {
        **one.settings, **rung.settings, **rung.of_backbone.get(backbone, {}), "backbone.d_model": 64, "train.updates": updates,
        "train.lr": 0.003, "train.batch_size": 64, "eval.episodes": 500, **columns,
    }  # fmt: skip
    result = {
        "success_metric": "correct", "train_seconds": 10.0 + len(rung.label), "latency_p50_us": 300.0, "state_bytes": 1024,
        "parameters_total": 50_000, "acting": "stateful", "train_contended": 0.0, "latency_contended": 0.0,
    }  # fmt: skip
    if score is not None:
        result["correct"] = score
    return Run(
        run_id=f"{backbone}-{one.name}-{rung.label}-{updates}-{columns}-s{seed}", backbone=backbone, env=one.env, seed=seed,
        status="ok" if score is not None else "diverged", reason=None if score is not None else "loss nan", attempt=1,
        preset="quick", settings=settings, result=result, provenance={"dsbench": "0"},
    )  # fmt: skip


def groups_of(*runs: Sequence[Run]) -> list[Group]:
    """As a report gathers them."""
    return grouped(run for own in runs for run in own)
