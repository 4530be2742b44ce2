"""Reading settings as people write them: YAML, TOML and JSON files, and ``a.b=value`` on the command line.

Files are read as `dsbench.reading` reads everything; of YAML the line of each key is kept, for later errors.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dsbench.errors import UsageError
from dsbench.reading import Limits, Unparsable, check_bounds, parse_json, parse_yaml, read_regular
from dsbench.reading.yaml_text import Scalar, plain_scalar

_LIMITS = Limits(depth=24, entries=50_000, text=20_000)  # settings are small, and anything larger is not settings
_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+\Z")
_INTEGER = re.compile(r"[-+]?(0|[1-9]\d*)\Z")
_FLOAT = re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+)([eE][-+]?\d+)?\Z")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*\Z")
_NOT_FINITE = re.compile(r"[-+]?\.?(nan|inf|infinity)\Z", re.IGNORECASE)


@dataclass(frozen=True)
class Lines:
    """Where in a file each setting stands: dotted path -> ``file:line``."""

    places: Mapping[str, str] = field(default_factory=dict)

    def place(self, path: str) -> str:
        """``file:line: `` of `path` or of the closest key above it; empty when it comes from no file."""
        while path:
            if path in self.places:
                return f"{self.places[path]}: " if self.places[path] else ""
            path = path.rpartition(".")[0]
        return ""

    def without(self, path: str) -> Lines:
        """The same, but `path` is from no file: something later has set it."""
        return Lines({**self.places, path: ""})


def read_config_file(path: Path) -> tuple[dict[str, Any], Lines]:
    """The settings in a .yaml, .yml, .toml or .json file, and where they stand.

    Raises:
        UsageError: the file is missing, no regular file, too large, or cannot be read as what it claims to be.
    """
    readers = {".yaml": _read_yaml, ".yml": _read_yaml, ".toml": _read_toml, ".json": _read_json}
    if path.suffix not in readers:
        raise UsageError(f"config file {str(path)!r} ends in {path.suffix!r}; expected .yaml, .yml, .toml or .json")
    lines: dict[str, str] = {}
    try:
        settings = readers[path.suffix](read_regular(path, _LIMITS.size), str(path), lines)
    except FileNotFoundError:
        raise UsageError(f"cannot read config file {str(path)!r}: no such file") from None
    except Unparsable as error:
        place = f"{path}:{error.line}" if error.line else f"{path}"
        raise UsageError(f"{place}: {error.reason}") from None
    if not isinstance(settings, dict):
        raise UsageError(f"{path}: holds {type(settings).__name__}; expected settings such as 'train:' and 'seed:'")
    # The readers of TOML and JSON tell no lines; the file is the place of all that is in it.
    return settings, Lines({name: str(path) for name in settings} | lines)


def parse_override(text: str) -> tuple[str, Any]:
    """``train.lr=1e-3`` as ``("train.lr", 0.001)``; `UsageError` when it has another form."""
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not _KEY.match(key):
        raise UsageError(f"--set {text!r} is not of the form a.b=value, such as train.lr=1e-3")
    if not value.strip():
        raise UsageError(f"--set {text!r} has no value; write {key}=null for none")
    return key, _parse_value(value.strip(), text)


def _parse_value(value: str, whole: str) -> Any:
    if value.startswith("["):
        if not value.endswith("]"):
            raise UsageError(f"--set {whole!r}: the list is not closed; write [a,b] (in quotes for most shells)")
        inner = value[1:-1].strip()
        return [_parse_value(item.strip(), whole) for item in inner.split(",")] if inner else []
    if value[0] in "'\"":
        if len(value) < 2 or value[-1] != value[0]:
            raise UsageError(f"--set {whole!r}: the quote is not closed")
        return value[1:-1]
    words = {"true": True, "false": False, "null": None}  # "none" is a word: wrapper.condition=none
    if value.lower() in words:
        return words[value.lower()]
    if _NOT_FINITE.match(value):
        raise UsageError(f"--set {whole!r}: {value} is no finite number")
    if _INTEGER.match(value):
        return int(value)
    return float(value) if _FLOAT.match(value) else value


def _read_yaml(data: bytes, file: str, lines: dict[str, str]) -> Any:
    def on_key(path: tuple[str, ...], line: int) -> None:
        lines[".".join(path)] = f"{file}:{line}"

    settings = parse_yaml(_text(data), _LIMITS, _scalar, on_key)
    return {} if settings is None else settings


def _scalar(scalar: Scalar) -> Any:
    """As in any YAML of ours, but for numbers that YAML takes for text: who writes 1e-3 means the number."""
    if scalar.kind == "str" and not scalar.quoted and _EXPONENT.match(scalar.text):
        raise Unparsable(f"{scalar.text!r} is text in YAML; write {_with_point(scalar.text)}", scalar.line)
    return plain_scalar(scalar)


def _with_point(number: str) -> str:
    """``1e-3`` as ``1.0e-3``, ``1.0e3`` as ``1.0e+3``: the form that YAML 1.1 reads as a number."""
    mantissa, _, exponent = number.lower().partition("e")
    mantissa += "" if "." in mantissa else ".0"
    return f"{mantissa}e{exponent if exponent[0] in '+-' else '+' + exponent}"


def _read_toml(data: bytes, file: str, lines: dict[str, str]) -> Any:
    text = _text(data)
    try:
        settings = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        raise Unparsable(f"not valid TOML ({reason})") from None
    check_bounds(settings, _LIMITS)
    return settings


def _read_json(data: bytes, file: str, lines: dict[str, str]) -> Any:
    return parse_json(data, _LIMITS)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unparsable(f"byte {error.start} is not UTF-8; save the file as UTF-8") from None
