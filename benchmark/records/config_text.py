"""Settings out of YAML text, quickly: thousands of runs repeat the same few parts, so each part is read once.

A part is a top-level key with all that is indented below it. YAML reads such parts one by one as it reads them together;
a text with anything unusual at its left edge is read whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from dsbench.reading import Unparsable, parse_yaml
from dsbench.records.documents import SMALL, check_settings

_REPEATED = 4_000  # characters of a part that are worth remembering; thousands of long ones would fill the memory
_KEY = re.compile(r"^(?=[A-Za-z_])", re.MULTILINE)
_PARTS = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]*:(?: [^\n]*)?\n(?: [^\n]*\n|- [^\n]*\n)*)+")


def parse_config(text: str) -> dict[str, Any]:
    """The settings in `text`, as they stand there, each held against its model; nothing is shared with another call.

    Raises:
        Unparsable: no strict YAML, or no settings of ours.
    """
    parts = _parts(text)
    if parts is None:
        return _fresh(_read(text))
    return {key: value for part in parts for key, value in _fresh(_read(part)).items()}


def parse_flat(text: str) -> dict[str, Any]:
    """The same with nested mappings as dotted names and lists as JSON text."""
    parts = _parts(text)
    if parts is None:
        return flat(_read(text))
    flattened: dict[str, Any] = {}
    for part in parts:
        flattened.update(_flat_part(part))
    return flattened


def without_seed(text: str) -> str:
    """The settings in `text` but for the seed: the same text for all runs that differ in nothing else, where that is seen."""
    parts = _parts(text)
    return text if parts is None else "".join(part for part in parts if not part.startswith("seed:"))


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted names; lists as JSON text."""
    flattened: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flattened.update(flat(value, f"{prefix}{key}."))
        else:
            flattened[prefix + str(key)] = json.dumps(value) if isinstance(value, list) else value
    return flattened


@lru_cache(maxsize=1)
def _parts(text: str) -> Sequence[str] | None:
    """None where the text cannot be taken apart."""
    if not _PARTS.fullmatch(text):
        return None
    parts = [part for part in _KEY.split(text) if part]
    keys = [part.partition(":")[0] for part in parts]
    return parts if len(set(keys)) == len(keys) else None


def _read(text: str) -> dict[str, Any]:
    return _read_once(text) if len(text) <= _REPEATED else _read_anew(text)


@lru_cache(maxsize=4096)
def _read_once(text: str) -> dict[str, Any]:
    return _read_anew(text)


def _read_anew(text: str) -> dict[str, Any]:
    settings = parse_yaml(text, SMALL)
    if not isinstance(settings, dict):
        raise Unparsable(f"holds {type(settings).__name__}; expected settings")
    check_settings(settings)
    return settings


def _flat_part(text: str) -> dict[str, Any]:
    return _flat_once(text) if len(text) <= _REPEATED else flat(_read(text))


@lru_cache(maxsize=4096)
def _flat_once(text: str) -> dict[str, Any]:
    return flat(_read(text))


def _fresh(value: Any) -> Any:
    """A copy down to the last mapping and list."""
    if isinstance(value, dict):
        return {key: _fresh(entry) for key, entry in value.items()}
    return [_fresh(entry) for entry in value] if isinstance(value, list) else value
