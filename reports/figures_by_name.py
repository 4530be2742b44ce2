"""Pictures with names along an axis: rows of dots on a scale of steps, and a matrix with words in its cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from numpy.typing import NDArray

from dsbench.reports.document import Figure
from dsbench.reports.figures import DASHES, as_figure, on_canvas
from dsbench.reports.palette import INK, styles
from dsbench.reports.svg import label

_ROW, _AROUND = 0.36, 0.75  # height of a row of dots and of what is around all of them, inches
_CELL = 0.3  # height of a row of cells
_STACK = 0.11  # between dots on the same place, as a share of a row
_STEEP = 30  # degrees, of names that would run into each other
_MAP = "cividis"
_DARK = 0.55  # of the map: cells below take light words


@dataclass(frozen=True)
class Row:
    """One name with its values on the scale; the mean and its interval are None where they are not known."""

    name: str
    dots: Sequence[float]
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    uncertain: bool = False


def rows(name: str, title: str, caption: str, drawn: Sequence[Row], scale: str, ticks: Sequence[str]) -> Figure:
    """A row for each name: small dots are its values, the mark their mean with its interval.

    Args:
        drawn: the first on top.
        scale: what the ticks count.
        ticks: words at 0, 1, 2, ... of the scale.
    """
    with on_canvas(name, height=_AROUND + _ROW * len(drawn)) as (canvas, axes):
        for place, (row, style) in enumerate(zip(drawn, styles([each.name for each in drawn]), strict=True)):
            if row.low is not None and row.high is not None:
                axes.hlines(place, row.low, row.high, colors=style.colour, linewidth=1.6,
                            linestyles=DASHES if row.uncertain else "-")  # fmt: skip
            if row.mean is not None:
                axes.plot([row.mean], [place], linestyle="", marker=style.marker, color=style.colour, markersize=7)
            across, up = _stacked(row.dots, place)
            axes.plot(across, up, linestyle="", marker="o", markersize=3, color=style.colour, alpha=0.6)
        axes.set_ylim(len(drawn) - 0.4, -0.6)
        axes.set_yticks(range(len(drawn)), [label(row.name) for row in drawn])
        axes.set_xlim(-0.25, len(ticks) - 0.75)
        axes.set_xticks(range(len(ticks)), [label(tick) for tick in ticks])
        if sum(map(len, ticks)) > 40:
            axes.tick_params(axis="x", rotation=_STEEP)
        axes.set_xlabel(label(scale))
        axes.grid(True, axis="x")
        axes.set_axisbelow(True)
        return as_figure(canvas, name, title, caption)


def cells(
    name: str,
    title: str,
    caption: str,
    shares: NDArray[np.float64],
    texts: Sequence[Sequence[str]],
    row_names: Sequence[str],
    column_names: Sequence[str],
) -> Figure:
    """A matrix (rows, columns) coloured by shares from 0 to 1, with words in the cells; NaN stays blank."""
    colours = matplotlib.colormaps[_MAP]
    with on_canvas(name, height=1.0 + _CELL * len(row_names)) as (canvas, axes):
        axes.imshow(shares, cmap=_MAP, vmin=0.0, vmax=1.0, aspect="auto", interpolation="none")
        for (row, column), share in np.ndenumerate(shares):
            if np.isnan(share):
                continue
            light = float(np.mean(colours(share)[:3])) < _DARK
            words = label(texts[row][column])
            axes.text(
                column,
                row,
                words,
                ha="center",
                va="center",
                fontsize=7.5 if len(column_names) < 9 else 6.5,
                color="#fdfdfd" if light else "#111418",
            )
        axes.set_yticks(range(len(row_names)), [label(each) for each in row_names])
        axes.set_xticks(range(len(column_names)), [label(each) for each in column_names])
        axes.tick_params(axis="x", rotation=_STEEP, top=True, labeltop=True, bottom=False, labelbottom=False)
        axes.tick_params(length=0)
        for tick in axes.get_xticklabels():
            tick.set_horizontalalignment("left")
        for side in axes.spines.values():
            side.set_visible(False)
        axes.tick_params(colors=INK)
        return as_figure(canvas, name, title, caption)


def _stacked(dots: Sequence[float], place: int) -> tuple[list[float], list[float]]:
    """Dots below their row; those on the same place side by side downwards, so that all are seen."""
    seen: Counter[float] = Counter()
    up = []
    for dot in dots:
        seen[dot] += 1
        up.append(place + 0.08 + _STACK * seen[dot])
    return list(dots), up
