"""Strict JSON: UTF-8, every key once, no NaN, nothing deeper or larger than allowed."""

from __future__ import annotations

import json
from typing import Any

from dsbench.reading.limits import Limits, Unparsable, check_bounds

_DEFAULT = Limits()
_OPENING = (b"[", b"{", b",")  # each entry has one of them before it; texts hold some too


def parse_json(data: bytes, limits: Limits = _DEFAULT) -> Any:
    """The value in `data`; `Unparsable` says what is wrong."""
    if len(data) > limits.size:
        raise Unparsable(f"is larger than {limits.size:,} bytes")
    # Before it is parsed, since an entry of one character becomes an object of a hundred bytes.
    if sum(map(data.count, _OPENING)) > 2 * limits.entries:
        raise Unparsable(f"it has more than {limits.entries:,} entries")
    try:
        value = _DECODER.decode(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Unparsable(f"byte {error.start} is not UTF-8") from None
    except RecursionError:
        raise Unparsable(f"it is nested more than {limits.depth} deep") from None
    except json.JSONDecodeError as error:
        raise Unparsable(f"not valid JSON ({error.msg})", error.lineno) from None
    except ValueError as error:  # what the hooks found, or a number of thousands of digits
        raise error if isinstance(error, Unparsable) else Unparsable("it has a number of too many digits") from None
    check_bounds(value, limits)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        seen: set[str] = set()
        double = next(key for key in keys if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise Unparsable(f"the key {double[:60]!r} is given twice")
    return found


def _no_number(text: str) -> Any:
    raise Unparsable(f"{text} is no JSON number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_no_number
)  # made once: it parses millions of lines
