"""Whether the labels *memory* hold: what `mlp` and `copier` score on every recipe of every task that is said to take it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from dsbench.config.controls import stands_for
from dsbench.envs import ENVS, get_spec
from dsbench.envs.spec import EnvSpec

CONTROLS = ("mlp", "copier")
SEEDS = 5
MADE_BY = "make studies"
# Labelled since that was last run; the first records of a task take it off this list.
AWAITING = ("recall", "state-tracking", "t-maze")


def flagged() -> list[EnvSpec]:
    """The tasks that are said to take memory, at default size."""
    return [spec for name in ENVS.names() if (spec := get_spec(name)).needs_memory]


def measure(spec: EnvSpec) -> str:
    """The name that the success measure has in a final row."""
    return "return_mean" if spec.success_metric == "return" else spec.success_metric


def misses(rows: Iterable[Mapping[str, Any]], specs: Iterable[EnvSpec]) -> list[str]:
    """A sentence for each cell (task, recipe, control) that does not show what the label says; none where all labels hold.

    Args:
        rows: final rows with their settings, by the columns of the table of runs.
        specs: tasks that are said to take memory, at default size; rows of other sizes do not count.
    """
    kept = [row for row in rows if not any(str(column).startswith("env.") and _given(row[column]) for column in row)]
    return [
        f"{spec.name}, {recipe}, {control}: {wrong}"
        for spec in specs
        for recipe in spec.recipes
        for control in CONTROLS
        if (wrong := _wrong(spec, [row for row in kept if _is_of(row, spec, recipe, control)]))
    ]


def _is_of(row: Mapping[str, Any], spec: EnvSpec, recipe: str, control: str) -> bool:
    plain = row.get("wrapper.condition") == "return" and not _given(row.get("data.top_percent"))
    return plain and row.get("env") == spec.name and row.get("data.recipe") == recipe and stands_for(row, control)


def _wrong(spec: EnvSpec, rows: list[Mapping[str, Any]]) -> str | None:
    assert spec.foot is not None, spec.name
    scores = [float(row[f"result.{measure(spec)}"]) for row in rows if row.get("status") == "ok"]
    if len({row["seed"] for row in rows if row.get("status") == "ok"}) < SEEDS:
        return f"{len(scores)} finished runs, expected {SEEDS} seeds; made by: {MADE_BY}"
    mean = float(np.mean(scores))
    return None if mean <= spec.foot else f"{mean:.4g}, above the foot of {spec.foot:.4g}"


def _given(value: Any) -> bool:
    return value is not None and value == value  # NaN is what a table has where a row has nothing
