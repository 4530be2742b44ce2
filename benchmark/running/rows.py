"""Columns of a final row: whose it is, and its scores by measure, decoding, role of the target and selection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from dsbench.config import RunConfig
from dsbench.config.outside_code import content_of
from dsbench.config.settings import LEARNED
from dsbench.config.varying import varied
from dsbench.envs.data import DataInfo
from dsbench.envs.spec import EnvSpec

if TYPE_CHECKING:
    from dsbench.rollout import Scores

PlayedScores: TypeAlias = "Mapping[str, Mapping[str, Scores]]"  # decode -> role of the target -> scores
SUFFIXES = {"target": "", "opposite": "_opposite"}  # of a column, by the role of the target


def identity_columns(config: RunConfig, run_id: str) -> dict[str, str | int]:
    """What every row begins with, whatever became of its run."""
    return {"run_id": run_id, "backbone": config.backbone.name, "env": config.env.name, "seed": config.seed}


def measure_columns(spec: EnvSpec, config: RunConfig) -> dict[str, str | float | None]:
    """What is measured, between which ends it lies and what varies between seeds: also of runs that came to no score."""
    return {
        "success_metric": _column(spec.success_metric),
        "measure_minimum": spec.minimum,
        "measure_maximum": spec.maximum,
        "measure_chance": spec.chance,
        "varied": ", ".join(varied(config)),
    }


def data_columns(info: DataInfo) -> dict[str, str | int]:
    """What was learned from, as it was loaded."""
    return {"data_sha256": info.sha256, "data_episodes": info.episodes, "data_timesteps": info.timesteps}


def note_columns(**notes: Sequence[str]) -> dict[str, str | None]:
    """``scaling_note`` and ``env_note``: what was found odd, in sentences; null where nothing was."""
    return {f"{about}_note": "; ".join(found) or None for about, found in notes.items()}


def makers_entry(spec: EnvSpec, config: RunConfig) -> dict[str, str]:
    """``data_made_with``: the libraries that make the episodes of a recipe; nothing for data from a path or a script."""
    if config.policy != LEARNED or ":" in config.data.recipe:
        return {}
    return {"data_made_with": ", ".join(spec.origin.libraries)}


def sources_entry(config: RunConfig) -> dict[str, dict[str, str]]:
    """``sources``: role -> hash of the code from outside and of the data from a path; nothing where there is none."""
    content = content_of(config)
    return {"sources": content} if content else {}


def score_columns(spec: EnvSpec, decodes: Sequence[str], scores: PlayedScores) -> dict[str, str | float | None]:
    """Columns from ``scores[decode][role][metric]``; the first of `decodes` is the headline and has the bare names.

    ``score_normalised`` is the return between the random policy (0) and the best one (100); ``score_error`` the standard
    error of the headline over its episodes.
    """
    headline = scores[decodes[0]]["target"]
    columns: dict[str, str | float | None] = error_columns(spec, headline)
    for place, decode in enumerate(decodes):
        for role, found in scores[decode].items():
            means = found.means()
            suffix = SUFFIXES[role] + (f"_{decode}" if place else "")
            columns |= {_column(metric) + suffix: value for metric, value in means.items()}
            columns["score_normalised" + suffix] = spec.normalised(means["return"])
    return columns


def error_columns(spec: EnvSpec, headline: Scores) -> dict[str, str | float | None]:
    """How far the headline may be off because these episodes were played and no others, and how many those were."""
    errors = headline.errors()
    of_return, one, zero = errors["return"], spec.normalised(1.0), spec.normalised(0.0)
    return {
        "score_error": errors[spec.success_metric],
        "score_normalised_error": None if of_return is None or one is None else abs(one - zero) * of_return,
        "eval_episodes": len(headline.metrics[spec.success_metric]),
    }


def reference_columns(spec: EnvSpec) -> dict[str, str | float | None]:
    """What ``score_normalised`` is measured by, and the simulator that stands behind the task (null where none does)."""
    return {
        "reference_random": spec.reference_random,
        "reference_optimal": spec.reference_optimal,
        "references": spec.references,
        "simulator": ", ".join(f"{name} {version}" for name, version in spec.simulator.items()) or None,
    }


def selection_columns(
    spec: EnvSpec, history: Sequence[Mapping[str, float]], mean_last_k: int
) -> dict[str, str | float]:
    """The success measure by two other rules of selection than "the last weights".

    Args:
        history: of each evaluation during training its ``step`` and the means as ``split/metric``.
        mean_last_k: evaluations at the end that the mean is taken over.

    Returns:
        that of the weights that were best on the selection episodes (of equals the latest), and the mean of the last few,
        with ``score_normalised`` of each.
    """
    if not history:
        return {}
    metric = spec.success_metric
    best = max(history, key=lambda entry: (entry[f"selection/{metric}"], entry["step"]))
    tail = history[-mean_last_k:]
    return {
        f"{metric}_best": best[f"eval/{metric}"],
        "score_normalised_best": spec.normalised(best["eval/return"]),
        "best_step": int(best["step"]),
        f"{metric}_mean_k": sum(entry[f"eval/{metric}"] for entry in tail) / len(tail),
        "score_normalised_mean_k": spec.normalised(sum(entry["eval/return"] for entry in tail) / len(tail)),
        "mean_k": len(tail),
    }


def _column(metric: str) -> str:
    """Name of a measure in the final row; a bare "return" would say neither of what nor how many."""
    return "return_mean" if metric == "return" else metric
