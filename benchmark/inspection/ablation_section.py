"""The part of a page on what becomes of the score when previous actions are drawn at random."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dsbench.inspection.ablation import Ablation
from dsbench.inspection.dynamics_section import number
from dsbench.reports.document import Cell, Heading, Section, Table

OWN, DRAWN = "its own", "drawn at random"


def ablation_section(found: Ablation) -> Section:
    """A sentence, and the spread over the episodes of both scores."""
    headings = (
        Heading("previous actions", numeric=False),
        Heading("mean", f"of {found.metric.replace('_', ' ')} over the episodes"),
        Heading("standard error", "of the mean, over the episodes"),
        Heading("standard deviation", "over the episodes"),
        Heading("lowest"),
        Heading("highest"),
        Heading("episodes"),
    )
    rows = tuple(_row(name, scores) for name, scores in ((OWN, found.own), (DRAWN, found.drawn)) if scores is not None)
    tables = (Table("previous-actions", "Score by previous actions", headings, rows),) if rows else ()
    return Section("ablation", "Previous actions", (ablation_sentence(found),), tables)


def ablation_sentence(found: Ablation) -> str:
    """Both scores in words."""
    if found.own is None:
        return found.reason or ""
    own = f"{found.metric.replace('_', ' ')} of {_spread(found.own)}"
    if found.drawn is None:
        return f"The policy does not see its previous actions, so there are none to draw at random: {own}."
    return (
        f"With its own previous actions the policy has a {own}, with previous actions drawn at random {_spread(found.drawn)} "
        f"(mean over the same {len(found.own):,} episodes ± its standard error, decoded by {found.decode}): what is lost it "
        "had from copying, or from what it can see nowhere else."
    )


def spread(scores: NDArray[np.float64]) -> dict[str, float]:
    """Mean, standard error and standard deviation over episodes, lowest and highest; no spread from one episode."""
    deviation = float(scores.std(ddof=1)) if len(scores) > 1 else float("nan")
    return {
        "mean": float(scores.mean()), "standard_error": deviation / len(scores) ** 0.5, "standard_deviation": deviation,
        "lowest": float(scores.min()), "highest": float(scores.max()),
    }  # fmt: skip


def _spread(scores: NDArray[np.float64]) -> str:
    of = spread(scores)
    return f"{of['mean']:.4g} ± {of['standard_error']:.2g}" if len(scores) > 1 else f"{of['mean']:.4g}"


def _row(name: str, scores: NDArray[np.float64]) -> tuple[Cell, ...]:
    return (
        Cell(name, name),
        *(number(value, ".4g") for value in spread(scores).values()),
        number(float(len(scores)), ",.0f"),
    )
