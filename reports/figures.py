"""The figures of a report: lines, points, stems, the unit disk and heat maps, each as SVG and as PNG.

Nothing here computes a result: the callers bring the numbers. The same numbers give the same bytes.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from dsbench.reports.document import Figure
from dsbench.reports.palette import INK, Style, styles
from dsbench.reports.svg import drawing, label, render

_WIDTH, _HEIGHT = 5.2, 3.2  # inches; small, so that the letters are still read on a phone
_LETTER, _HANDLE = 0.069, 0.5  # width of one letter and of one sample line of the legend, inches
_BAND = 0.12  # opacity of an interval; a dozen of them still let the lines be seen
_ROW = 0.2  # height of one line of the legend, inches
_PLACES, _APART = 8, 0.09  # ticks at most that are the curves' own, and how near two may be, as a share of the axis
UNCALIBRATED = " Dashed intervals: n too small to calibrate."  # of a caption
DASHES = (0, (3, 2))  # of an interval that is not calibrated
_EDGE = 0.62  # share of the width beyond which a mark's words stand left of its line


@dataclass(frozen=True)
class Series:
    """One curve or cloud; None or NaN in `y` is a gap. `low` and `high` bound an interval around `y`.

    The first word of `name` is the backbone and decides the colour. `dashed` marks the lesser of two of a kind (a
    bound, a paper's number, before training); `marks` draws the points, `line` joins them. `uncertain` draws the interval
    dashed: it is not known to hold as often as it says. `dots` are the values that each of `y` is a mean of. `hollow` says of
    each point, or of all, that it stands under a caution that the caption tells. `left` and `right` bound a spread around `x`.
    `beside` are further curves of the same name, (x, y) each, such as those of other seeds: drawn like the first.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    dashed: bool = False
    marks: bool = True
    line: bool = True
    uncertain: bool = False
    dots: Sequence[Sequence[float]] = ()
    hollow: bool | Sequence[bool] = False
    left: Sequence[float] | None = None
    right: Sequence[float] | None = None
    beside: Sequence[tuple[Sequence[float], Sequence[float]]] = ()


@dataclass(frozen=True)
class Mark:
    """A vertical line with its words, such as a crossover."""

    x: float
    text: str


@dataclass(frozen=True)
class Axis:
    """What is along it, with the unit; a logarithmic one leaves out what is not above zero.

    `least` and `most` are where the measure ends: nothing is drawn beyond, for nothing can be there.
    """

    label: str
    log: bool = False
    least: float | None = None
    most: float | None = None


Numbers = NDArray[np.float64]


def plot(
    name: str, title: str, caption: str, series: Sequence[Series], x: Axis, y: Axis, marks: Sequence[Mark] = ()
) -> Figure:
    """Curves with their intervals; a series without line is a cloud of points with error bars."""
    with on_canvas(name) as (canvas, axes):
        pairs = zip(series, styles([each.name for each in series]), strict=True)
        plain = any(one.dashed for one in series)  # then dashes say that alone
        lines = [_curve(axes, one, replace(style, dashes="-") if plain else style, y.log) for one, style in pairs]
        _axis(axes, x, y)
        if x.log and all(one.line for one in series):
            _own_ticks(axes, [value for one in series for value in one.x if value > 0])
        _marks(axes, marks)
        _legend(canvas, lines, [one.name for one in series])
        return as_figure(canvas, name, title, caption)


def stems(name: str, title: str, caption: str, series: Sequence[Series], x: Axis, y: Axis) -> Figure:
    """A line from zero to each value, such as the taps of a kernel; series stand beside each other."""
    with on_canvas(name) as (canvas, axes):
        lines = []
        for place, (one, style) in enumerate(zip(series, styles([each.name for each in series]), strict=True)):
            across, up = _numbers(one.x), _numbers(one.y)
            step = float(np.min(np.diff(np.unique(across)))) if len(np.unique(across)) > 1 else 1.0
            shift = 0.0 if x.log else step * 0.6 * ((place + 0.5) / len(series) - 0.5)
            axes.vlines(across + shift, 0.0, up, colors=style.colour, linewidth=1.0, alpha=0.7)
            lines += axes.plot(across + shift, up, linestyle="", markersize=3.5, **_look(one, style))
        axes.axhline(0.0, color=INK, linewidth=0.8)
        _axis(axes, x, y)
        _legend(canvas, lines, [one.name for one in series])
        return as_figure(canvas, name, title, caption)


def unit_disk(name: str, title: str, caption: str, series: Sequence[Series]) -> Figure:
    """Eigenvalues in the complex plane: `x` is the real part, `y` the imaginary one; the unit circle is drawn."""
    with on_canvas(name, height=4.6) as (canvas, axes):
        angle = np.linspace(0.0, 2.0 * np.pi, 181)
        axes.plot(np.cos(angle), np.sin(angle), color=INK, linewidth=0.9, alpha=0.6)
        lines = []
        for one, style in zip(series, styles([each.name for each in series]), strict=True):
            lines += axes.plot(_numbers(one.x), _numbers(one.y), linestyle="", alpha=0.85, **_look(one, style))
        axes.axhline(0.0, color=INK, linewidth=0.6, alpha=0.3)
        axes.axvline(0.0, color=INK, linewidth=0.6, alpha=0.3)
        axes.set_aspect("equal", adjustable="datalim")
        _axis(axes, Axis("real part"), Axis("imaginary part"))
        _legend(canvas, lines, [one.name for one in series])
        return as_figure(canvas, name, title, caption)


def heatmap(
    name: str, title: str, caption: str, values: NDArray[np.floating], x: Axis, y: Axis, colour_label: str
) -> Figure:
    """A matrix (rows, columns), row 0 on top, both axes linear and counted from 0; NaN stays blank."""
    with on_canvas(name, height=4.2) as (canvas, axes):
        image = axes.imshow(np.asarray(values, dtype=float), cmap="cividis", aspect="auto", interpolation="none")
        bar = canvas.colorbar(image, ax=axes)
        bar.set_label(label(colour_label))
        bar.outline.set_visible(False)
        axes.set_xlabel(label(x.label))
        axes.set_ylabel(label(y.label))
        return as_figure(canvas, name, title, caption)


@contextmanager
def on_canvas(name: str, height: float = _HEIGHT) -> Iterator[tuple[Canvas, Axes]]:
    """The axes of a new drawing, under the settings that all of them share."""
    with drawing(name), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the reader's font draws the SVG's letters
        canvas = Canvas(figsize=(_WIDTH, height), layout="constrained")
        yield canvas, canvas.add_subplot()


def as_figure(canvas: Canvas, name: str, title: str, caption: str) -> Figure:
    """The drawing as SVG and PNG."""
    svg, png = render(canvas, name, title)
    return Figure(name, title, caption, svg, png, canvas)


def _numbers(values: Sequence[float | None]) -> Numbers:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _look(one: Series, style: Style) -> dict[str, Any]:
    """Hollow markers for the lesser of two of a kind."""
    return {
        "color": style.colour,
        "marker": style.marker,
        "markerfacecolor": "none" if one.dashed else style.colour,
        "markeredgewidth": 1.1,
    }


_MARKED = 25  # points of a curve that all have a mark


def _marked(filled: NDArray[np.bool_]) -> list[int]:
    """Which points have one; of curves of many points some, enough to be known by."""
    step = max(1, len(filled) // 10) if len(filled) > _MARKED else 1
    return [int(place) for place in np.flatnonzero(filled) if not place % step]


_FINE = {"linewidth": 1.0, "markersize": 3}  # of curves of which there are several a name
_HOLLOW = {"markerfacecolor": "none", "markersize": 8, "markeredgewidth": 1.4}  # wide, as a line may run through it


def _hollow(one: Series) -> NDArray[np.bool_]:
    """Of each point."""
    return np.broadcast_to(np.asarray(one.hollow, dtype=np.bool_), len(one.x))


def _curve(axes: Axes, one: Series, style: Style, log: bool) -> Line2D:
    across, up = _numbers(one.x), _numbers(one.y)
    look = _look(one, style) | (_FINE if one.beside else {})
    dashes = ((0, (4, 2)) if one.dashed else style.dashes) if one.line else ""
    if not one.marks and one.line:
        look["marker"] = ""
    if one.low is not None and one.high is not None:
        low, high = _numbers(one.low), _numbers(one.high)
        if log:
            low = np.where(low > 0, low, np.nan)
        if not one.line:
            axes.vlines(
                across,
                low,
                high,
                colors=style.colour,
                linewidth=1.2,
                alpha=0.7,
                linestyles=DASHES if one.uncertain else "-",
            )
        elif one.uncertain:
            for end in (low, high):
                axes.plot(across, end, color=style.colour, linewidth=0.8, alpha=0.6, linestyle=DASHES)
        else:
            axes.fill_between(across, low, high, color=style.colour, alpha=_BAND, linewidth=0)
    for place, values in zip(across, one.dots, strict=False):
        shown = [value for value in values if not log or value > 0]
        axes.plot(
            [place] * len(shown),
            shown,
            linestyle="",
            marker="o",
            markersize=2.2,
            color=style.colour,
            alpha=0.55,
            zorder=1,
        )
    up = np.where(up > 0, up, np.nan) if log else up
    for xs, ys in one.beside:
        axes.plot(_numbers(xs), _numbers(ys), linestyle=dashes, **look)
    if one.left is not None and one.right is not None:
        axes.hlines(up, _numbers(one.left), _numbers(one.right), colors=style.colour, linewidth=1.2, alpha=0.7)
    hollow = _hollow(one)
    if hollow.all() and look["marker"]:
        return axes.plot(across, up, linestyle=dashes, **look | _HOLLOW)[0]
    (drawn,) = axes.plot(across, up, linestyle=dashes, markevery=_marked(~hollow), **look)
    if hollow.any() and look["marker"]:
        axes.plot(across[hollow], up[hollow], linestyle="", **look | _HOLLOW)
    return drawn


def _axis(axes: Axes, x: Axis, y: Axis) -> None:
    axes.set_xlabel(label(x.label))
    axes.set_ylabel(label(y.label))
    axes.grid(True)
    axes.set_axisbelow(True)
    limits = axes.dataLim
    for side, scale, log in (
        (axes.xaxis, axes.set_xscale, x.log and math.isfinite(limits.minposx)),  # nothing above zero: nothing to show
        (axes.yaxis, axes.set_yscale, y.log and math.isfinite(limits.minposy)),
    ):
        if log:
            scale("log")
            side.set_major_locator(LogLocator(subs=_ticks(side.get_view_interval())))
            side.set_minor_formatter(NullFormatter())
        side.set_major_formatter(FuncFormatter(_number(side.get_view_interval, log)))
    _end(axes, x, y)


def _end(axes: Axes, x: Axis, y: Axis) -> None:
    """Axes end where the measure does; what lies on an end is drawn in full."""
    for axis, limits, end in ((x, axes.get_xlim(), axes.set_xlim), (y, axes.get_ylim(), axes.set_ylim)):
        low = limits[0] if axis.least is None else max(limits[0], axis.least)
        high = limits[1] if axis.most is None else min(limits[1], axis.most)
        if (low, high) != limits and low < high:
            end(low, high)
            for mark in axes.get_lines():
                mark.set_clip_on(False)


def _own_ticks(axes: Axes, values: Sequence[float]) -> None:
    """Where curves were measured at a few places alone, those are named; of two too close to each other the larger."""
    places = sorted(set(values), reverse=True)
    if not 3 <= len(places) <= _PLACES:
        return
    span = math.log(places[0] / places[-1])
    kept = places[:1]
    for place in places[1:]:
        if math.log(kept[-1] / place) >= _APART * span:
            kept.append(place)
    axes.xaxis.set_major_locator(FixedLocator(kept))
    axes.xaxis.set_minor_locator(FixedLocator(places))


def _ticks(view: Sequence[float]) -> tuple[float, ...]:
    """Where the powers of ten alone would leave an axis nearly bare, what lies between them is named too."""
    decades = math.inf if view[0] <= 0 else math.log10(view[1]) - math.log10(view[0])
    if decades > 2.2:
        return (1.0,)
    return (1.0, 2.0, 5.0) if decades > 0.9 else (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)


def _number(view: Callable[[], Sequence[float]], log: bool) -> Callable[[float, int], str]:
    """Ticks as one would write them: 0.05, 20, 1,000, 40k, 2M."""

    def text(value: float, _place: int) -> str:
        size = abs(value)
        if size >= 1e6 or (size != 0 and size < 1e-4 and (log or max(map(abs, view())) < 1e-3)):
            short = f"{value / 1e6:g}M" if 1e6 <= size < 1e9 else f"{value:.3g}"
            return short.replace("-", "\N{MINUS SIGN}")
        rounded = size >= 1e4 and size % 100 == 0
        short = f"{value / 1e3:g}k" if rounded else f"{round(value, 6):,.10g}"
        return short.replace("-", "\N{MINUS SIGN}")

    return text


def _marks(axes: Axes, marks: Sequence[Mark]) -> None:
    """The words stand above the axes, where no curve runs through them."""
    for place, mark in enumerate(sorted(marks, key=lambda each: each.x)):
        axes.axvline(mark.x, color=INK, linewidth=1.0, linestyle=(0, (2, 2)), alpha=0.7)
        share = axes.transAxes.inverted().transform(axes.transData.transform((mark.x, axes.get_ylim()[0])))[0]
        axes.annotate(
            label(mark.text), (mark.x, 1.0), (0, 2 + 12 * place), textcoords="offset points",
            xycoords=axes.get_xaxis_transform(), ha="right" if share > _EDGE else "left", va="bottom", fontsize=9,
        )  # fmt: skip


def _legend(canvas: Canvas, lines: Sequence[Line2D], names: Sequence[str]) -> None:
    """Above the axes, in as many columns as fit; one curve needs none, for the title names it."""
    if len(names) < 2:
        return
    words = [label(name) for name in names]
    columns = max(1, min(len(words), int(_WIDTH / (_HANDLE + _LETTER * max(map(len, words))))))
    canvas.set_figheight(canvas.get_figheight() + _ROW * math.ceil(len(words) / columns))
    legend = canvas.legend(lines, ["x"] * len(words), loc="outside upper left", ncols=columns)
    for shown, word in zip(legend.get_texts(), words, strict=True):
        shown.set_text(word)  # afterwards, for matplotlib drops a label that begins with an underscore
