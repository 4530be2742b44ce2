"""Comparisons at equal size: what ``match`` asks for, and the width that comes nearest to it. Imports no torch.

``params=100k`` is a number of live parameters of the whole model (wrapper, backbone and head), ``state=16KiB`` the bytes
that one sequence carries from one decision to the next. A cache of keys and values grows with the context: it counts at
its full window.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

WIDEST = 65_536  # of backbone.d_model
GAP = 1_024  # widths in a row that a backbone may refuse, such as those that its heads do not divide
AROUND = 8, 24, 64  # widths tried on each side: at least, a share of the width, at most
FLAT = 64  # a size that is the same at a width so many times larger is the same at every width
FAR = 2.0  # a size that is off by more than this factor matches nothing

_FORM = re.compile(r"(params|state)=(\d{1,15}(?:\.\d{1,15})?)([A-Za-z]*)\Z", re.ASCII)
_UNITS = {
    "params": {"": 1, "k": 1_000, "K": 1_000, "M": 1_000_000},
    "state": {"": 1, "B": 1, "kB": 1_000, "KB": 1_000, "KiB": 2**10, "MB": 1_000_000, "MiB": 2**20},
}
UNITS = {"params": "live parameters", "state": "bytes of state"}


@dataclass(frozen=True)
class Match:
    """What is to be equal, and how much of it: parameters, or bytes."""

    kind: Literal["params", "state"]
    target: int


@dataclass(frozen=True)
class Width:
    """A width and the size that a model has at it."""

    d_model: int
    size: int


class NoWidth(ValueError):
    """No width comes near; the message says why, without the name of the backbone."""


def parse_match(text: str) -> Match:
    """``params=100k`` or ``state=16KiB``; `ValueError` when it has another form."""
    expected = "expected params=NUMBER such as params=100k, or state=BYTES such as state=16KiB"
    form = _FORM.match(text)
    if form is None or form[3] not in _UNITS[form[1]]:
        raise ValueError(f"{text!r} says no size; {expected}")
    target = round(float(form[2]) * _UNITS[form[1]][form[3]])
    if not 1 <= target <= 10**12:
        raise ValueError(f"{text!r} is {target:,} in all; {expected}, of 1 to 10^12")
    return Match("params" if form[1] == "params" else "state", target)


def nearest_width(size: Callable[[int], int | None], target: int) -> Width:
    """The width whose size comes nearest to `target`; of equals the smaller.

    The size need not grow with every step (a width with few divisors makes more heads), so that the widths around the
    crossing are tried one by one.

    Args:
        size: of a model at a width; None where the backbone refuses the width.
        target: at least 1.

    Raises:
        NoWidth: no width can be used, or all are off by more than `FAR`.
    """
    known: dict[int, int | None] = {}

    def size_at(width: int) -> int | None:
        if width not in known:
            known[width] = size(width)
        return known[width]

    def first_from(width: int) -> Width | None:
        for candidate in range(width, min(width + GAP, WIDEST + 1)):
            if (found := size_at(candidate)) is not None:
                return Width(candidate, found)
        return None

    low = first_from(1)
    if low is None:
        raise NoWidth(f"none of the widths up to {GAP:,} can be built")
    high = low
    narrowest = low
    while high.size < target and (wider := first_from(2 * high.d_model)) is not None:
        low, high = high, wider
        if high.size == narrowest.size and high.d_model >= FLAT * narrowest.d_model:
            break  # the size does not depend on the width
    below, above = _crossing(first_from, low, high, target)
    least, share, most = AROUND
    reach = min(max(least, above.d_model // share), most)
    around = range(max(1, below.d_model - reach), min(WIDEST, above.d_model + reach) + 1)
    tried = [below, above]
    tried += [Width(width, found) for width in around if (found := size_at(width)) is not None]
    best = min(tried, key=lambda one: (abs(one.size - target), one.d_model))
    if not target / FAR <= best.size <= target * FAR:
        raise NoWidth(_why_far({one.size for one in (*tried, low, high)}, best))
    return best


def _crossing(first_from: Callable[[int], Width | None], low: Width, high: Width, target: int) -> tuple[Width, Width]:
    """Two usable widths without another between them, with the target between their sizes; by bisection."""
    while True:
        middle = first_from(max(low.d_model + 1, (low.d_model + high.d_model) // 2))
        if middle is None or middle.d_model >= high.d_model:
            middle = first_from(low.d_model + 1)
        if middle is None or middle.d_model >= high.d_model:
            return low, high
        low, high = (middle, high) if middle.size < target else (low, middle)


def _why_far(sizes: set[int], best: Width) -> str:
    if sizes == {0}:
        return "it carries no state"
    if len(sizes) == 1:
        return f"it has {best.size:,} at every width; change its options instead, such as backbone.d_state"
    return f"the nearest, d_model {best.d_model:,}, has {best.size:,}"
