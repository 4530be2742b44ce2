"""The colour and the marker of a curve, the same in every figure: the reader learns them once.

A colour belongs to a backbone, so beside others ``gpt`` and ``gpt, window`` share it and differ in marker and dashes.
Every colour keeps a contrast of at least 3 : 1 on white and on the dark page (WCAG 2.2, 1.4.11). The colours were found by
search, so that any two of them stay apart for readers without red, green or blue cones too; no two backbones share a marker.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

_KNOWN = {
    "gpt": ("#b93042", "o"),
    "s4": ("#1e61c4", "s"),
    "s4d": ("#2899f1", "^"),
    "s5": ("#038b64", "D"),
    "mamba": ("#f747ac", "v"),
    "mamba2": ("#8462ff", "P"),
    "lstm": ("#935600", "X"),
    "gru": ("#b18f4b", "<"),
    "rnn": ("#678aa8", ">"),
    "mingru": ("#6a9918", "p"),
    "linear-attention": ("#f75c23", "h"),
    "mlp": ("#5f667b", "*"),
    "framestack": ("#d0757e", "d"),
}
INK = "#1f2329"  # of text, axes and grid; becomes currentColor in an SVG
_REFERENCE = ("pareto", "bound", "optimum", "chance", "copy", "empty")  # no contestant: in ink, beside the colours
# For curves that are no backbones; neighbours differ most.
_APART = ("#1e61c4", "#b93042", "#038b64", "#b18f4b", "#8462ff", "#f747ac", "#6a9918", "#f75c23")
_MARKERS = tuple(marker for _, marker in _KNOWN.values())
_DASHES: tuple[str | tuple[int, tuple[float, ...]], ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))


@dataclass(frozen=True)
class Style:
    """How one curve is drawn; `dashes` is a line style of matplotlib."""

    colour: str
    marker: str
    dashes: str | tuple[int, tuple[float, ...]]


def styles(names: Sequence[str]) -> list[Style]:
    """One style a name, in order; a marker comes twice only when there are more names than markers.

    Where every name is of one backbone (its channels, its settings) the colours tell those apart instead.
    """
    families = [_family(name) for name in names]
    if len(names) > 1 and len(set(families)) == 1:
        first = _KNOWN.get(families[0], (_APART[0], _MARKERS[0]))
        colours, markers = _after(first[0], _APART), _after(first[1], _MARKERS)
        return [Style(colours[i % len(colours)], markers[i % len(markers)], "-") for i in range(len(names))]
    own = _owned(families)
    free = [marker for marker in _MARKERS if marker not in {marker for _, marker in own.values()}]
    found, seen = [], set()
    for place, family in enumerate(families):
        colour, marker = own[family]
        again = families[:place].count(family)
        if marker in seen and free:
            marker = free.pop(0)
        seen.add(marker)
        found.append(Style(colour, marker, _DASHES[again % len(_DASHES)]))
    return found


def _owned(families: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker a family; one that is no backbone begins its search at a place of its own."""
    own = {family: _KNOWN[family] for family in families if family in _KNOWN}
    own |= {family: (INK, "|") for family in families if family in _REFERENCE}
    for family in families:
        if family not in own:
            start = zlib.crc32(family.encode())  # not hash(): that differs from process to process
            used = [style[part] for part in (0, 1) for style in own.values()]
            own[family] = (_free(_APART, start, used), _free(_MARKERS, start // 16, used))
    return own


def _free(offered: Sequence[str], start: int, used: Sequence[str]) -> str:
    turned = [offered[(start + step) % len(offered)] for step in range(len(offered))]
    return next((each for each in turned if each not in used), turned[0])


def _after(first: str, offered: Sequence[str]) -> list[str]:
    return [first, *(each for each in offered if each != first)]


def _family(name: str) -> str:
    """The backbone that a curve's name begins with: ``gpt`` of ``gpt, window of 20``."""
    return re.split(r"[\s,(:/=]", name.strip().lower(), maxsplit=1)[0]
