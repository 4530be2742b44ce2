"""Configurations out of YAML text, quickly: thousands of runs repeat the same few parts, so each part is parsed once.

A part is a top-level key with all that is indented below it. YAML reads such parts one by one as it reads them together,
but for anchors, which may point from one into another; a text with those, or with anything else unusual, is read whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import yaml

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's where it was built, some ten times as fast
_KEY = re.compile(r"^(?=[A-Za-z_])", re.MULTILINE)
_PARTS = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]*:(?: [^\n]*)?\n(?: [^\n]*\n|- [^\n]*\n)*)+")


def parse_config(text: str) -> dict[str, Any]:
    """What `yaml.safe_load` gives for a configuration; nothing in it is shared with another call."""
    parts = _parts(text)
    if parts is None:
        return _read(text)
    return {key: value for part in parts for key, value in _fresh(_part(part)).items()}


def parse_flat(text: str) -> dict[str, Any]:
    """The same with nested mappings as dotted names and lists as JSON text."""
    parts = _parts(text)
    if parts is None:
        return flat(_read(text))
    flattened: dict[str, Any] = {}
    for part in parts:
        flattened.update(_flat_part(part))
    return flattened


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted names; lists as JSON text."""
    flattened: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flattened.update(flat(value, f"{prefix}{key}."))
        else:
            flattened[prefix + str(key)] = json.dumps(value) if isinstance(value, list) else value
    return flattened


def _parts(text: str) -> list[str] | None:
    """None where the text cannot be taken apart."""
    if "&" in text or "*" in text or not _PARTS.fullmatch(text):
        return None
    return [part for part in _KEY.split(text) if part]


@lru_cache(maxsize=4096)
def _part(text: str) -> dict[str, Any]:
    return _read(text)


@lru_cache(maxsize=4096)
def _flat_part(text: str) -> dict[str, Any]:
    return flat(_read(text))


def _read(text: str) -> dict[str, Any]:
    loader = _LOADER(text)
    try:
        config: dict[str, Any] = loader.get_single_data()
        return config
    finally:
        loader.dispose()


def _fresh(value: Any) -> Any:
    """A copy down to the last mapping and list."""
    if isinstance(value, dict):
        return {key: _fresh(entry) for key, entry in value.items()}
    return [_fresh(entry) for entry in value] if isinstance(value, list) else value
