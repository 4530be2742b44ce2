"""Columns laid out in as few panels as fit a width, one below the other, each behind the same first column."""

from __future__ import annotations

from collections.abc import Sequence


def panels(widths: Sequence[float], limit: float) -> list[list[int]]:
    """Places of the columns in each panel, in order, as evenly filled as their number allows.

    Args:
        widths: of each column, with the gap before it.
        limit: what a panel may take beside its first column; a column that alone is wider has a panel of its own.
    """
    count = len(_filled(widths, limit))
    even = limit
    for share in (0.5, 0.6, 0.7, 0.8, 0.9):  # the last panel should not hold one column where the others hold five
        if len(_filled(widths, share * limit)) == count:
            even = share * limit
            break
    return _filled(widths, even)


def _filled(widths: Sequence[float], limit: float) -> list[list[int]]:
    found: list[list[int]] = []
    taken = 0.0
    for place, width in enumerate(widths):
        if not found or taken + width > limit:
            found.append([])
            taken = 0.0
        found[-1].append(place)
        taken += width
    return found
