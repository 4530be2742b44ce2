"""Reading settings as people write them: YAML, TOML and JSON files, and ``a.b=value`` on the command line.

YAML is read through its node graph, so that duplicate keys, aliases and numbers that YAML takes for text are refused
with their line, and so that later errors can name the line too.
"""

from __future__ import annotations

import json
import math
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from dsbench.errors import UsageError
from dsbench.text import cut, is_text, shown

_LARGEST = 1 << 20  # bytes; settings are small, and anything larger is not settings
_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+\Z")
_INTEGER = re.compile(r"[-+]?(0|[1-9]\d*)\Z", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+)([eE][-+]?\d+)?\Z", re.ASCII)
_DIGITS = 400  # of a number; floats end at 309, and no setting takes a longer one
_DEEPEST = 8  # groups in groups, and lists in lists; settings need two
_DEEPEST_TOML, _DEEPEST_YAML = 16, 50
_TOML = re.compile(  # quoted texts, comments, words; what ends a dotted key
    r'''"""(?:[^"\\]|\\.|"(?!""))*"""|\'{3}.*?\'{3}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|\#[^\n]*|[\w-]+|[ \t]+|\.|(?P<ends>.)''',
    re.DOTALL,
)
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*\Z")
_NOT_FINITE = re.compile(r"[-+]?\.?(nan|inf|infinity)\Z", re.IGNORECASE)
_TAG = "tag:yaml.org,2002:"


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
        UsageError: the file is missing, too large, of another kind, or cannot be read as what it claims to be.
    """
    readers = {".yaml": _read_yaml, ".yml": _read_yaml, ".toml": _read_toml, ".json": _read_json}
    if path.suffix not in readers:
        raise UsageError(f"config file {str(path)!r} ends in {path.suffix!r}; expected .yaml, .yml, .toml or .json")
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UsageError(f"config file {str(path)!r} is no regular file; expected one of settings")
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:  # a NUL in the name is a ValueError
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"cannot read config file {str(path)!r}: {reason}") from None
    if len(data) > _LARGEST:
        raise UsageError(f"config file {str(path)!r} is larger than {_LARGEST} bytes; it cannot be a configuration")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
    lines: dict[str, str] = {}
    settings = readers[path.suffix](text, str(path), lines)
    if not isinstance(settings, dict):
        raise UsageError(f"{path}: holds {type(settings).__name__}; expected settings such as 'train:' and 'seed:'")
    return settings, Lines(lines)


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


def _read_yaml(text: str, file: str, lines: dict[str, str]) -> Any:
    _check_brackets(text, file)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise UsageError(
                    f"{file}:{_line(event.start_mark)}: aliases (*name) are not supported; repeat the value"
                )
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        return {} if node is None else _plain(node, "", file, lines)
    except RecursionError:
        raise UsageError(f"{file}: groups stand too deep in each other; settings need two") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise UsageError(f"{file}{line}: not valid YAML ({getattr(error, 'problem', None) or error})") from None


def _check_brackets(text: str, file: str) -> None:
    """`UsageError` for more open brackets than settings ever have; the library's time grows with the square of them."""
    depth = 0
    for bracket in re.finditer(r"[\[\]{}]", text):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > _DEEPEST_YAML:
            raise UsageError(f"{file}: lists stand more than {_DEEPEST_YAML} deep in each other; settings need two")


def _plain(node: yaml.Node, path: str, file: str, lines: dict[str, str]) -> Any:
    """The Python value of a YAML node; plain scalars, lists and mappings with text keys only."""
    place = f"{file}:{_line(node.start_mark)}"
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = f"{file}:{_line(key_node.start_mark)}"
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != _TAG + "str":
                raise UsageError(
                    f"{line}: the key {getattr(key_node, 'value', 'here')!r} is not text; put it in quotes"
                )
            inner = f"{path}.{key_node.value}" if path else key_node.value
            if key_node.value in result:
                raise UsageError(f"{line}: {inner} is given twice (first at {lines[inner]}); remove one")
            lines[inner] = line
            result[key_node.value] = _plain(value_node, inner, file, lines)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, f"{path}.{index}", file, lines) for index, item in enumerate(node.value)]
    assert isinstance(node, yaml.ScalarNode)  # YAML has three kinds of nodes
    return _scalar(node, path, place)


def _scalar(node: yaml.ScalarNode, path: str, place: str) -> Any:
    text, kind = node.value, node.tag.removeprefix(_TAG)
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in ("true", "yes", "on")
    if (kind == "int" and _INTEGER.match(text)) or (kind == "float" and _FLOAT.match(text)):
        return _number(text, f"{place}: {path}")
    if kind == "str":
        if node.style is None and _EXPONENT.match(text):
            raise UsageError(f"{place}: {path}: {text!r} is text in YAML; write {_with_point(text)}")
        return text
    if kind in ("int", "float"):
        raise UsageError(f"{place}: {path}: {text!r} is not a plain finite decimal number")
    raise UsageError(f"{place}: {path}: {text!r} is a {kind.lstrip('!')}; expected a number, true, false, null or text")


def _line(mark: Any) -> int:
    return int(mark.line) + 1  # yaml counts from 0


def _with_point(number: str) -> str:
    """``1e-3`` as ``1.0e-3``, ``1.0e3`` as ``1.0e+3``: the form that YAML 1.1 reads as a number."""
    mantissa, _, exponent = number.lower().partition("e")
    mantissa += "" if "." in mantissa else ".0"
    return f"{mantissa}e{exponent if exponent[0] in '+-' else '+' + exponent}"


def _read_toml(text: str, file: str, lines: dict[str, str]) -> Any:
    _check_toml_depth(text, file)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a ValueError too
        raise UsageError(f"{file}: not valid TOML ({error})") from None


def _check_toml_depth(text: str, file: str) -> None:
    """`UsageError` for groups nested deeper than settings ever are; the library's time grows with the square of that."""
    depth = chain = 0
    for token in _TOML.finditer(text):
        depth += (token[0] in "[{") - (token[0] in "]}")
        if token[0] == ".":
            chain += 1
        elif token["ends"]:
            chain = 0
        if max(depth, chain) > _DEEPEST_TOML:
            line = text.count("\n", 0, token.start()) + 1
            raise UsageError(f"{file}:{line}: groups stand more than {_DEEPEST_TOML} deep in each other")


def _read_json(text: str, file: str, lines: dict[str, str]) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        for key in keys:
            if keys.count(key) > 1:
                raise UsageError(f"{file}: the key {key!r} is given twice; remove one")
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file}: not valid JSON ({error})") from None
