"""The scores of a final row: one column a measure, decoding and role of the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dsbench.envs.spec import EnvSpec

SUFFIXES = {"target": "", "opposite": "_opposite"}  # of a column, by the role of the target


def score_columns(
    spec: EnvSpec, decodes: Sequence[str], scores: Mapping[str, Mapping[str, Mapping[str, float]]]
) -> dict[str, str | float]:
    """Columns from ``scores[decode][role][metric]``; the first of `decodes` is the headline and has the bare names.

    ``success_metric`` names the measure that counts on this task, ``score_normalised`` is the return between the random
    policy (0) and the best one (100).
    """
    columns: dict[str, str | float] = {"success_metric": _column(spec.success_metric)}
    for place, decode in enumerate(decodes):
        for role, means in scores[decode].items():
            suffix = SUFFIXES[role] + (f"_{decode}" if place else "")
            columns |= {_column(metric) + suffix: value for metric, value in means.items()}
            columns["score_normalised" + suffix] = spec.normalised(means["return"])
    return columns


def _column(metric: str) -> str:
    """Name of a measure in the final row; a bare "return" would say neither of what nor how many."""
    return "return_mean" if metric == "return" else metric
