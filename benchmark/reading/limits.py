"""How much a document may hold, and what is wrong with one that holds more or is not what it claims to be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

MIB = 1 << 20
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1  # what tables and libraries hold; more digits are no quantity of ours


class Unparsable(ValueError):
    """A document is not what it claims to be: `reason`, and the `line` where that is known."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        self.reason, self.line = reason, line
        super().__init__(reason if line is None else f"line {line}: {reason}")


@dataclass(frozen=True)
class Limits:
    """Bounds of one kind of document.

    Attributes:
        size: bytes of the file.
        depth: mappings and lists inside each other.
        entries: keys and list entries in all.
        text: characters of one text.
    """

    size: int = MIB
    depth: int = 32
    entries: int = 100_000
    text: int = 100_000


def check_bounds(value: Any, limits: Limits) -> None:
    """`Unparsable` where a parsed value is deeper or larger than `limits`, or holds what is no plain number or text.

    Plain are finite floats, integers of 64 bits, and text that can be written as UTF-8.
    """
    left, level, longest = limits.entries, [value], limits.text
    for _ in range(limits.depth + 1):
        inner: list[Any] = []
        for one in level:
            kind = type(one)
            if kind is str:  # as most are
                if not (one.isascii() and len(one) <= longest):
                    _check_text(one, limits)
            elif isinstance(one, dict):
                left -= len(one)
                inner += one.values()
                text = "".join(one)  # all keys at once: none is longer than they together
                if not (text.isascii() and len(text) <= longest):
                    for key in one:
                        _check_text(key, limits)
            elif isinstance(one, list):
                left -= len(one)
                inner += one
            elif isinstance(one, str):
                _check_text(one, limits)
            elif isinstance(one, float):
                if not math.isfinite(one):
                    raise Unparsable("it has a number that is too large or no number")
            elif isinstance(one, int) and not _SMALLEST <= one <= _LARGEST:
                raise Unparsable(f"it has a number of {one.bit_length()} bits; integers have at most 64")
        if left < 0:
            raise Unparsable(f"it has more than {limits.entries:,} entries")
        if not inner:
            return
        level = inner
    raise Unparsable(f"it is nested more than {limits.depth} deep")


def _check_text(text: str, limits: Limits) -> None:
    if len(text) > limits.text:
        raise Unparsable(f"it has a text of {len(text):,} characters; at most {limits.text:,} are read")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Unparsable("it has a text with half a character (a lone surrogate)") from None
