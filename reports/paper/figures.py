"""Figures for a paper: each as PDF and as SVG, with the letters inside, so that they look the same wherever they are printed.

A PDF embeds its font as TrueType (type 42), which publishers ask for; the letters of an SVG are outlines.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure as Canvas

from dsbench.files import write_below
from dsbench.reports.document import Figure
from dsbench.reports.svg import drawing

_EMBEDDED: dict[Any, Any] = {"pdf.fonttype": 42, "svg.fonttype": "path"}
_DATELESS = {"CreationDate": None, "ModDate": None}  # the same figures are the same bytes


def write_figures(figures: Sequence[Figure], folder: Path) -> list[Path]:
    """``NAME.pdf`` and ``NAME.svg`` of each into the folder, which is returned.

    Raises:
        CannotWrite: disk full or no rights.
    """
    for figure in figures:
        if figure.canvas is not None:
            write_below(folder, f"{figure.name}.pdf", _saved(figure.canvas, figure.name, "pdf", _DATELESS))
            write_below(folder, f"{figure.name}.svg", _saved(figure.canvas, figure.name, "svg", {"Date": None}))
    return [folder]


def pdf_of_all(figures: Sequence[Figure]) -> bytes:
    """One PDF, a figure a page."""
    file = io.BytesIO()
    with matplotlib.rc_context(_EMBEDDED), PdfPages(file, metadata=_DATELESS) as pages:  # fonts are written at the end
        for figure in figures:
            if figure.canvas is not None:
                with _embedding(figure.name):
                    figure.canvas.savefig(pages, format="pdf", facecolor="white")
    return file.getvalue()


def _saved(canvas: Canvas, name: str, kind: str, metadata: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    with _embedding(name):
        canvas.savefig(file, format=kind, facecolor="white", metadata=metadata)
    return file.getvalue()


def _embedding(name: str) -> ExitStack:
    """The settings of the drawing itself, with its letters inside."""
    stack = ExitStack()
    stack.enter_context(drawing(name))
    stack.enter_context(matplotlib.rc_context(_EMBEDDED))
    stack.enter_context(warnings.catch_warnings())
    warnings.filterwarnings("ignore", message="Glyph .* missing")  # a name may hold letters that the font has not
    return stack
