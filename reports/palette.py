"""The colour and the marker of a curve, the same in every figure: the reader learns them once.

A colour belongs to a backbone, so beside others ``gpt`` and ``gpt, window`` share it and differ in marker and dashes.
Every colour keeps a contrast of at least 3 : 1 on white and on the dark page (WCAG 2.2, 1.4.11); no two backbones share
a marker, for the eye of a reader who confuses red and green.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

_KNOWN = {
    "gpt": ("#d1495b", "o"),
    "s4": ("#0072b2", "s"),
    "s4d": ("#2f93c8", "^"),
    "s5": ("#00936b", "D"),
    "mamba": ("#c0629c", "v"),
    "mamba2": ("#8a63c9", "P"),
    "lstm": ("#b07b12", "X"),
    "gru": ("#8a7a3d", "<"),
    "rnn": ("#7a828c", ">"),
    "mingru": ("#6f8f1f", "p"),
    "linear-attention": ("#d9622b", "h"),
    "mlp": ("#7a828c", "*"),
    "framestack": ("#7a828c", "d"),
}
_COLOURS = tuple(dict.fromkeys(colour for colour, _ in _KNOWN.values()))
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
        first = _own(families[0])
        colours = [first[0], *(colour for colour in _COLOURS if colour != first[0])]
        markers = [first[1], *(marker for marker in _MARKERS if marker != first[1])]
        return [Style(colours[i % len(colours)], markers[i % len(markers)], "-") for i in range(len(names))]
    free = [marker for marker in _MARKERS if marker not in {_own(family)[1] for family in families}]
    found, seen = [], set()
    for place, family in enumerate(families):
        colour, marker = _own(family)
        again = families[:place].count(family)
        if marker in seen and free:
            marker = free.pop(0)
        seen.add(marker)
        found.append(Style(colour, marker, _DASHES[again % len(_DASHES)]))
    return found


def _family(name: str) -> str:
    """The backbone that a curve's name begins with: ``gpt`` of ``gpt, window of 20``."""
    return re.split(r"[\s,(:/=]", name.strip().lower(), maxsplit=1)[0]


def _own(family: str) -> tuple[str, str]:
    if family in _KNOWN:
        return _KNOWN[family]
    number = zlib.crc32(family.encode())  # not hash(): that differs from process to process
    return _COLOURS[number % len(_COLOURS)], _MARKERS[(number // 16) % len(_MARKERS)]
