"""Reading settings as people write them: YAML, TOML and JSON files, and ``a.b=value`` on the command line.

Files are read as `dsbench.reading` reads everything; of YAML the line of each key is kept, for later errors.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from dsbench.errors import UsageError
from dsbench.reading import Limits, Unparsable, check_bounds, parse_json, parse_yaml, read_regular
from dsbench.reading.yaml_text import EXPONENT, Scalar, plain_scalar
from dsbench.text import cut, is_text, shown

_LIMITS = Limits(depth=24, entries=50_000, text=20_000)  # settings are small, and anything larger is not settings
_INTEGER = re.compile(r"[-+]?(0|[1-9]\d*)\Z", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+)([eE][-+]?\d+)?\Z", re.ASCII)
_DIGITS = 400  # of a number; floats end at 309, and no setting takes a longer one
_DEEPEST = 8  # groups in groups, and lists in lists; settings need two
_DEEPEST_TOML = 16
_TOML = re.compile(  # quoted texts, comments, words; what ends a dotted key
    r'''"""(?:[^"\\]|\\.|"(?!""))*"""|\'{3}.*?\'{3}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|\#[^\n]*|[\w-]+|[ \t]+|\.|(?P<ends>.)''',
    re.DOTALL,
)
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
    place = f"--set {shown(text)}"
    if not is_text(text):
        raise UsageError(f"{place} is no text in UTF-8; expected such as train.lr=1e-3")
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not _KEY.match(key):
        raise UsageError(f"{place} is not of the form a.b=value, such as train.lr=1e-3")
    if key.count(".") >= _DEEPEST:
        raise UsageError(f"{place} names a setting {key.count('.') + 1:,} groups deep; expected at most {_DEEPEST}")
    if not value.strip():
        raise UsageError(f"{place} has no value; write {key}=null for none")
    return key, _parse_value(value.strip(), place)


def as_overrides(settings: Mapping[str, Any]) -> list[str]:
    """Settings by dotted name as the texts that `parse_override` reads."""
    return [f"{path}={_word(value)}" for path, value in settings.items()]


def _word(value: Any) -> str:
    """Text in quotes, so that it stays text."""
    if isinstance(value, list | tuple):
        return f"[{','.join(_word(one) for one in value)}]"
    if isinstance(value, str):
        return f"'{value}'"
    return "null" if value is None else str(value).lower()


def _parse_value(value: str, place: str, depth: int = 0) -> Any:
    if value.startswith("["):
        if depth >= _DEEPEST:
            raise UsageError(f"{place}: lists stand more than {_DEEPEST} deep in each other")
        return [_parse_value(item, place, depth + 1) for item in _items(value, place)]
    if value[0] in "'\"":
        if len(value) < 2 or value[-1] != value[0]:
            raise UsageError(f"{place}: the quote is not closed")
        return value[1:-1]
    words = {"true": True, "false": False, "null": None}  # "none" is a word: wrapper.condition=none
    if value.lower() in words:
        return words[value.lower()]
    if _NOT_FINITE.match(value):
        raise UsageError(f"{place}: {value} is no finite number")
    return _number(value, place) if _FLOAT.match(value) else value


def _items(value: str, place: str) -> list[str]:
    """The entries of a list, split at its own commas and not at those of a list or a quoted text inside it."""
    if not value.endswith("]") or value == "[":
        raise UsageError(f"{place}: the list is not closed; write [a,b] (in quotes for most shells)")
    ends, depth, quote, fresh = [0], 0, "", True  # fresh: an entry begins here, which a quote may open
    for index, character in enumerate(value[1:-1], 1):
        if quote:
            quote = "" if character == quote else quote
        elif fresh and character in "'\"":
            quote = character
        elif character == "," and not depth:
            ends.append(index)
        else:
            depth += (character == "[") - (character == "]")
        fresh = fresh if character.isspace() else character in "[,"
    ends.append(len(value) - 1)
    items = [value[start + 1 : end].strip() for start, end in pairwise(ends)]
    if items == [""]:
        return []
    if "" in items:
        raise UsageError(f"{place}: an entry of the list is empty; write null for none")
    return items


def _number(text: str, place: str) -> int | float:
    """A number out of its text, which has the form of one; `UsageError` where no setting could hold it."""
    if len(text) > _DIGITS:
        raise UsageError(f"{place}: {cut(text)} has {len(text):,} characters; expected a number of at most {_DIGITS}")
    if _INTEGER.match(text):
        return int(text)
    number = float(text)
    if not math.isfinite(number):
        raise UsageError(f"{place}: {text} is larger than any number here; expected a finite one")
    return number


def _read_yaml(data: bytes, file: str, lines: dict[str, str]) -> Any:
    def on_key(path: tuple[str, ...], line: int) -> None:
        lines[".".join(path)] = f"{file}:{line}"

    settings = parse_yaml(_text(data), _LIMITS, _scalar, on_key)
    return {} if settings is None else settings


def _scalar(scalar: Scalar) -> Any:
    """As in any YAML of ours, but for numbers that YAML 1.1 takes for text: who writes 1e-3 means the number."""
    if scalar.kind == "str" and not scalar.quoted and EXPONENT.match(scalar.text):
        number = float(scalar.text)
        if not math.isfinite(number):
            raise Unparsable(f"{cut(scalar.text)} is larger than any number here; expected a finite one", scalar.line)
        return number
    return plain_scalar(scalar)


def _read_toml(data: bytes, file: str, lines: dict[str, str]) -> Any:
    text = _text(data)
    _check_toml_depth(text)
    try:
        settings = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        raise Unparsable(f"not valid TOML ({reason})") from None
    check_bounds(settings, _LIMITS)
    return settings


def _check_toml_depth(text: str) -> None:
    """`Unparsable` for groups nested deeper than settings ever are; the library's time grows with the square of that."""
    depth = chain = 0
    for token in _TOML.finditer(text):
        depth += (token[0] in "[{") - (token[0] in "]}")
        if token[0] == ".":
            chain += 1
        elif token["ends"]:
            chain = 0
        if max(depth, chain) > _DEEPEST_TOML:
            line = text.count("\n", 0, token.start()) + 1
            raise Unparsable(f"groups stand more than {_DEEPEST_TOML} deep in each other", line)


def _read_json(data: bytes, file: str, lines: dict[str, str]) -> Any:
    return parse_json(data, _LIMITS)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unparsable(f"byte {error.start} is not UTF-8; save the file as UTF-8") from None
