"""What ``dsbench inspect`` leaves on disk: numbers as JSON and CSV, figures, one page, and the same as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dsbench.files import to_json, write_below
from dsbench.inspection.ablation import Ablation
from dsbench.inspection.ablation_section import ablation_section, spread
from dsbench.inspection.attention import mean_lag
from dsbench.inspection.dynamics_section import CHANNELS, dynamics_section
from dsbench.inspection.findings import QUANTILES, Findings
from dsbench.inspection.memory_length import MemoryLength
from dsbench.inspection.other_sections import attention_section, memory_section, memory_sentence, rounding_section
from dsbench.inspection.rounding import EPSILON, Drift
from dsbench.inspection.systems import Dynamics, half_lives
from dsbench.reports.document import Report
from dsbench.reports.markdown import markdown
from dsbench.reports.page import page
from dsbench.text import safe_text_columns

Tables = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Written:
    """The folder, its page and how many figures there are."""

    folder: Path
    page: Path
    figures: int


def write(folder: Path, found: Findings | None, drifts: Sequence[Drift] = ()) -> Written:
    """Everything about a run, about rounding, or both, into `folder`; a file that is there is replaced."""
    report = report_of(found, drifts)
    write_below(folder, "inspect.json", to_json(summary(found, drifts)))
    for name, table in tables(found, drifts).items():
        write_below(
            folder,
            f"tables/{name}.csv",
            safe_text_columns(table).to_csv(index=False, lineterminator="\r\n", float_format="%.9g").encode(),
        )
    figures = [figure for section in report.sections for figure in section.figures]
    for figure in figures:
        write_below(folder, f"figures/{figure.name}.svg", figure.svg.encode())
        write_below(folder, f"figures/{figure.name}.png", figure.png)
    write_below(folder, "inspect.md", markdown(report).encode())
    write_below(folder, "inspect.html", page(report).encode())
    return Written(folder, folder / "inspect.html", len(figures))


def report_of(found: Findings | None, drifts: Sequence[Drift] = ()) -> Report:
    """The page's content."""
    sections = []
    if found is not None:
        sections = [memory_section(found), ablation_section(found.previous_actions), dynamics_section(found)]
        sections += [attention_section(found.attention)] if found.attention else []
    sections += [rounding_section(list(drifts))] if drifts else []
    if found is None:
        return Report("Rounding of a recurrence", (), tuple(sections))
    title = f"Inside {found.backbone} on {found.env}, seed {found.seed}"
    headline = [memory_sentence(found.memory), *([found.data_note] if found.data_note else [])]
    return Report(title, tuple(headline), tuple(sections))


def summary(found: Findings | None, drifts: Sequence[Drift] = ()) -> dict[str, Any]:
    """What ``inspect.json`` holds: the run, and of every part the few numbers that sum it up."""
    content: dict[str, Any] = {"format": 1}
    if found is not None:
        content |= {
            "run_id": found.name, "backbone": found.backbone, "env": found.env, "seed": found.seed,
            "longest_episode_tokens": found.tokens, "data_note": found.data_note,
            "memory": {"before": _memory(found.memory_before), "after": _memory(found.memory)},
            "previous_actions": _ablation(found.previous_actions),
            "dynamics": [
                {"layer": each.layer, "moved": each.moved, "before": _radii(each.before), "after": _radii(each.after)}
                for each in found.dynamics
            ],
            "no_dynamics_because": found.reason,
            "attention": [
                {"layer": each.layer, "head": head, "mean_distance_tokens": float(lag)}
                for each in found.attention
                for head, lag in enumerate(mean_lag(each.weights))
            ],
        }  # fmt: skip
    if drifts:
        content["rounding"] = {
            "epsilon": EPSILON,
            "repeats": drifts[0].bound.shape[0],
            "last_step": [
                {"lambda": each.lambda_, "bound": float(each.bound[:, -1].mean())}
                | {name: float(error[:, -1].mean()) for name, error in each.errors.items()}
                for each in drifts
            ],
        }
    return content


def _memory(memory: MemoryLength) -> dict[str, Any]:
    return {
        "effective_length_steps": memory.length,
        "longest_lag_steps": len(memory.influence) - 1,
        "influence_unit": memory.unit,
        "influence_of_the_present": float(memory.influence[0]),
        "pairs_of_episodes": int(memory.pairs[0]),
    }


def _ablation(found: Ablation) -> dict[str, Any]:
    if found.own is None:
        return {"not_played_because": found.reason}
    return {
        "metric": found.metric, "decode": found.decode, "episodes": len(found.own), "own": _finite(spread(found.own)),
        "drawn_at_random": None if found.drawn is None else _finite(spread(found.drawn)),
    }  # fmt: skip


def _finite(values: dict[str, float]) -> dict[str, float | None]:
    return {name: float(value) if math.isfinite(value) else None for name, value in values.items()}


def _radii(dynamics: Dynamics) -> dict[str, float | None]:
    radii, lives = dynamics.radii, half_lives(dynamics.radii)
    values = {
        "largest_radius": radii.max(), "median_radius": np.median(radii), "smallest_radius": radii.min(),
        "median_half_life_tokens": np.median(lives), "longest_half_life_tokens": lives.max(),
        "median_condition": np.median(dynamics.condition),
    }  # fmt: skip
    return _finite(values)


# ------------------------------------------------------------------ tidy tables


def tables(found: Findings | None, drifts: Sequence[Drift] = ()) -> Tables:
    """The CSV files by name; only those that have rows."""
    made = dict(_of_run(found)) if found is not None else {}
    if drifts:
        made["rounding"] = pd.concat([_of_drift(each) for each in drifts])
    return {name: table for name, table in made.items() if len(table)}


def _of_run(found: Findings) -> Iterator[tuple[str, pd.DataFrame]]:
    both = (("before", found.memory_before), ("after", found.memory))
    yield "influence", pd.concat([_of_memory(memory).assign(weights=when) for when, memory in both])
    if found.previous_actions.own is not None:
        yield "previous_actions", _of_ablation(found.previous_actions)
    systems = [
        (each.layer, when, dynamics)
        for each in found.dynamics
        for when, dynamics in (("before", each.before), ("after", each.after))
    ]
    if systems:
        yield (
            "eigenvalues",
            pd.concat([_of_eigenvalues(d).assign(layer=layer, weights=when) for layer, when, d in systems]),
        )
        yield (
            "kernels",
            pd.concat(
                [_of_kernel(d.kernel[:CHANNELS]).assign(layer=layer, weights=when) for layer, when, d in systems]
            ),
        )
    lives = [
        pd.DataFrame({"share": QUANTILES, "half_life_tokens": values}).assign(layer=each.layer, weights=when)
        for each in found.half_lives
        for when, values in (("before", each.before), ("after", each.after))
    ]
    if lives:
        yield "half_lives", pd.concat(lives)
    maps = [
        _of_map(weights).assign(layer=each.layer, head=head)
        for each in found.attention
        for head, weights in enumerate(each.weights)
    ]
    if maps:
        yield "attention", pd.concat(maps)


def _of_memory(memory: MemoryLength) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "steps_ago": range(len(memory.influence)), "influence": memory.influence, "standard_error": memory.error,
            "share_beyond": memory.beyond, "pairs": memory.pairs,
        }
    )  # fmt: skip


def _of_ablation(found: Ablation) -> pd.DataFrame:
    assert found.own is not None
    table = pd.DataFrame({"episode": range(len(found.own)), "own": found.own})
    return table if found.drawn is None else table.assign(drawn_at_random=found.drawn)


def _of_eigenvalues(dynamics: Dynamics) -> pd.DataFrame:
    systems, states = np.indices(dynamics.eigenvalues.shape)
    values = dynamics.eigenvalues.ravel()
    return pd.DataFrame(
        {
            "system": systems.ravel(), "state": states.ravel(), "real": values.real, "imaginary": values.imag,
            "radius": np.abs(values),
        }
    )  # fmt: skip


def _of_kernel(kernel: np.ndarray) -> pd.DataFrame:
    channels, lags = np.indices(kernel.shape)
    return pd.DataFrame({"channel": channels.ravel(), "tokens_ago": lags.ravel(), "kernel": kernel.ravel()})


def _of_map(weights: np.ndarray) -> pd.DataFrame:
    looks, at = np.nonzero(weights)
    return pd.DataFrame({"token": looks, "looked_at": at, "weight": weights[looks, at]})


def _of_drift(drift: Drift) -> pd.DataFrame:
    means = {f"error_{name}": error.mean(0) for name, error in drift.errors.items()}
    return pd.DataFrame(
        {"lambda": drift.lambda_, "step": range(drift.bound.shape[1])} | means | {"bound": drift.bound.mean(0)}
    )
