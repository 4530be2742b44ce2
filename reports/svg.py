"""A drawing as text that may stand inside a page or alone: its ink follows the reader's light or dark scheme."""

from __future__ import annotations

import io
import re
from contextlib import AbstractContextManager
from html import escape
from typing import Any

import matplotlib.style
from matplotlib.figure import Figure as Canvas

from dsbench.reports.palette import INK
from dsbench.text import printable

_LETTERS = 60  # of a name in a picture
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
_SETTINGS = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.parse_math": False,  # a run's name may hold dollars
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.13,
    "grid.linewidth": 0.6,
    "hatch.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "legend.handlelength": 2.0,
    "legend.columnspacing": 1.2,
    "lines.linewidth": 1.7,
    "lines.markersize": 5,
    "path.simplify": False,
}
# `svg:root` speaks of the picture as a document of its own and of nothing in a page that holds it.
_ALONE = (
    "svg:root{{color:#1f2329;background:#fff}}"
    "@media (prefers-color-scheme:dark){{svg:root{{color:#e4e8ee;background:#12161c}}}}"
    "#{name} *{{stroke-linejoin:round;stroke-linecap:butt}}"
)


def drawing(name: str) -> AbstractContextManager[None]:
    """matplotlib's settings while figure `name` is drawn: ours on top of its own defaults.

    What a user's file or another library of this process has set must not change the picture.
    """
    own: dict[Any, Any] = {**_SETTINGS, "svg.hashsalt": name}  # typed loosely, for the stubs name every key
    return matplotlib.style.context(["default", own])


def render(canvas: Canvas, name: str, title: str) -> tuple[str, bytes]:
    """The drawing as SVG text and as PNG bytes, the same for the same drawing; within `drawing(name)`."""
    text, picture = io.StringIO(), io.BytesIO()
    with drawing(name):
        canvas.savefig(text, format="svg", transparent=True, metadata={"Date": None})
        canvas.savefig(picture, format="png", dpi=180, facecolor="white", metadata={"Software": None})
    return _adapted(text.getvalue(), f"fig-{name}", title), picture.getvalue()


def label(text: str) -> str:
    """One line without the characters that XML forbids or that turn its direction, cut where a picture would burst."""
    plain = printable(text).strip()
    return plain if len(plain) <= _LETTERS else plain[: _LETTERS - 1] + "…"


def _adapted(svg: str, prefix: str, title: str) -> str:
    """`prefix` makes the ids the figure's own, so that several pictures may stand in one page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<[^>]* )id="([^"]+)"', rf'\1id="{prefix}-\2"', svg)
    svg = re.sub(r'((?:xlink:)?href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    svg = svg.replace(INK, "currentColor").replace("'DejaVu Sans'", _FONT)
    svg = re.sub(r'(?<= )(d|x|y|transform)="([^"]*)"', _rounded, svg)
    svg = re.sub(r'<style type="text/css">.*?</style>', f"<style>{_ALONE.format(name=prefix)}</style>", svg, count=1)
    name = escape(label(title), quote=True)
    return svg.replace("<svg ", f'<svg id="{prefix}" role="img" aria-label="{name}" fill="currentColor" ', 1)


def _rounded(attribute: re.Match[str]) -> str:
    """A hundredth of a point is finer than any screen; the rest of the digits would double the page."""
    numbers = re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", attribute[2])
    return f'{attribute[1]}="{" ".join(numbers.split())}"'
