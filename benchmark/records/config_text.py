"""Configurations out of YAML text, quickly: thousands of runs repeat the same few parts, so each part is parsed once.

A part is a top-level key with all that is indented below it. YAML reads such parts one by one as it reads them together,
but for anchors, which may point from one into another; a text with those, or with anything else unusual, is read whole.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import yaml

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's where it was built, some ten times as fast
_KEY = re.compile(r"^(?=[A-Za-z_])", re.MULTILINE)
_PARTS = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]*:(?: [^\n]*)?\n(?: [^\n]*\n|- [^\n]*\n)*)+")


def parse_config(text: str) -> dict[str, Any]:
    """What `yaml.safe_load` gives for a configuration; nothing in it is shared with another call."""
    if "&" in text or "*" in text or not _PARTS.fullmatch(text):
        return _read(text)
    return {key: value for part in _KEY.split(text) if part for key, value in _fresh(_part(part)).items()}


@lru_cache(maxsize=4096)
def _part(text: str) -> dict[str, Any]:
    return _read(text)


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
