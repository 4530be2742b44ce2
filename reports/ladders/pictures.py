"""Pictures of climbs: reach on the ladder's own scale, and the profile of skills."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dsbench.reports.document import Figure
from dsbench.reports.figures import UNCALIBRATED
from dsbench.reports.figures_by_name import Row, cells, rows
from dsbench.reports.ladders.reach import Judged
from dsbench.reports.ladders.sentences import budget
from dsbench.text import slug


def reach_figure(name: str, one: Judged) -> Figure:
    """A row a contestant: its seeds as dots, the mean with its interval."""
    climb, drawn = one.climb, []
    for climber in climb.climbers:
        estimate = one.estimates.get(climber.name)
        drawn.append(
            Row(
                climber.name,
                list(climber.reaches.values()),
                None if estimate is None else estimate.mean,
                None if estimate is None else estimate.low,
                None if estimate is None else estimate.high,
                uncertain=estimate is not None and not estimate.calibrated,
            )
        )
    ticks = ["none", *(rung.label for rung in climb.ladder.rungs[: climb.top])]
    caption = (
        f"The highest rung passed with none failed below, at {budget(climb)}: dots are seeds, marks their means with 95 % "
        "intervals."
    )
    if any(row.uncertain for row in drawn):
        caption += UNCALIBRATED
    return rows(slug(name), climb.ladder.title, caption, drawn, climb.ladder.scale, ticks)


def profile_figure(name: str, judged: Sequence[Judged], names: Sequence[str]) -> Figure:
    """Skills by contestants; the colour is how much of the ladder was climbed, the words are on its own scale."""
    shares = np.full((len(judged), len(names)), np.nan)
    texts = [["" for _ in names] for _ in judged]
    for row, one in enumerate(judged):
        for column, contestant in enumerate(names):
            estimate = one.estimates.get(contestant)
            if estimate is not None:
                shares[row, column] = estimate.mean / one.climb.top
                texts[row][column] = one.climb.ladder.at(estimate.mean, one.climb.top).replace(" ", "")
    caption = (
        "How far each backbone reaches, by skill: the mean over seeds on each ladder's own scale; the darker the cell, the "
        "less of the ladder. Ladders have different scales, so rows compare within themselves."
    )
    labels = [one.climb.ladder.skill for one in judged]
    return cells(slug(name), "How far does each backbone reach?", caption, shares, texts, labels, list(names))
