"""Strict YAML: one document of plain mappings, lists and scalars; no aliases, anchors or tags, every key once.

The value is built from the stream of events, which has no recursion and grows in proportion to the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.resolver import Resolver

from dsbench.reading.limits import Limits, Unparsable, check_bounds

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's where it was built, some ten times as fast
_TAG = "tag:yaml.org,2002:"
_DEFAULT = Limits()
MOST_DIGITS = 20
_RESOLVER: Any = Resolver()
_TRUE = ("true", "yes", "on")
INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")  # 010 would be 8, and 1_000 or 1:30 something else again
FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)([eE][-+]?[0-9]+)?\Z")

# Numbers that YAML 1.2 knows and YAML 1.1 takes for text: 1e-3 without a point, 1.0e3 without a sign.
EXPONENT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+\Z")


@dataclass(frozen=True)
class Scalar:
    """A scalar as it stands in the text: its characters, the kind that YAML 1.1 takes it for, and its line."""

    text: str
    kind: str  # null, bool, int, float, str, or a kind that is no setting, such as timestamp
    line: int
    quoted: bool


@dataclass
class _Open:
    """A mapping or list that has begun; of a mapping the key whose value comes next, None where a key does."""

    value: dict[str, Any] | list[Any]
    path: tuple[str, ...]
    key: str | None = None
    first: dict[str, int] = field(default_factory=dict)  # key -> line


def plain_scalar(scalar: Scalar) -> Any:
    """The value of a scalar: null, true and false, decimal numbers, text; `Unparsable` for anything else."""
    text, kind = scalar.text, scalar.kind
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in _TRUE
    if kind == "str":
        return text
    if kind == "int" and INTEGER.match(text) and len(text) <= MOST_DIGITS:
        return int(text)
    if kind == "float" and FLOAT.match(text):
        return float(text)
    if kind in ("int", "float"):
        raise Unparsable(f"{text[:60]!r} is not a plain finite decimal number", scalar.line)
    raise Unparsable(f"{text[:60]!r} is a {kind}; expected a number, true, false, null or text", scalar.line)


def parse_yaml(
    text: str,
    limits: Limits = _DEFAULT,
    scalar: Callable[[Scalar], Any] = plain_scalar,
    on_key: Callable[[tuple[str, ...], int], None] = lambda path, line: None,
) -> Any:
    """The value in `text`, None for a text without one.

    Args:
        text: the document.
        limits: as for JSON.
        scalar: makes the value of a scalar, or raises `Unparsable`.
        on_key: called with the path of every key (list entries by their index) and its line, counted from 1.

    Raises:
        Unparsable: with the line.
    """
    if len(text) > limits.size:
        raise Unparsable(f"is larger than {limits.size:,} bytes")
    try:
        value = _Builder(limits, scalar, on_key).build(_events(text))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise Unparsable(f"not valid YAML ({reason})", mark.line + 1 if mark else None) from None
    except (UnicodeError, RecursionError) as error:
        raise Unparsable(f"not valid YAML ({type(error).__name__})") from None
    check_bounds(value, limits)
    return value


def _events(text: str) -> Iterator[Any]:
    return yaml.parse(text, Loader=_LOADER)


class _Builder:
    def __init__(
        self, limits: Limits, scalar: Callable[[Scalar], Any], on_key: Callable[[tuple[str, ...], int], None]
    ) -> None:
        self._limits, self._scalar, self._on_key = limits, scalar, on_key
        self._open: list[_Open] = []
        self._value: Any = None
        self._entries = 0

    def build(self, events: Iterator[Any]) -> Any:
        documents = 0
        for event in events:
            line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise Unparsable("a second document begins; expected one", line)
            elif isinstance(event, yaml.AliasEvent):
                raise Unparsable("aliases (*name) are not supported; repeat the value", line)
            elif isinstance(event, yaml.NodeEvent):
                self._node(event, line)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._open.pop()
        return self._value

    def _node(self, event: Any, line: int) -> None:
        if event.anchor is not None:
            raise Unparsable("anchors (&name) are not supported; repeat the value", line)
        if event.tag is not None:
            raise Unparsable(f"the tag {str(event.tag)[:60]!r} is not supported; write the plain value", line)
        self._entries += 1
        if self._entries > 2 * self._limits.entries:
            raise Unparsable(f"it has more than {self._limits.entries:,} entries", line)
        top = self._open[-1] if self._open else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            self._key(top, event, line)
            return
        path = self._place(top)
        if isinstance(event, yaml.ScalarEvent):
            self._put(top, self._value_of(event, path, line))
            return
        if len(self._open) >= self._limits.depth:
            raise Unparsable(f"it is nested more than {self._limits.depth} deep", line)
        value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._put(top, value)
        self._open.append(_Open(value, path))

    def _value_of(self, event: Any, path: tuple[str, ...], line: int) -> Any:
        try:
            return self._scalar(_scalar_of(event, line))
        except Unparsable as error:
            raise Unparsable(": ".join([*([".".join(path)[:100]] if path else []), error.reason]), error.line) from None

    def _key(self, top: _Open, event: Any, line: int) -> None:
        scalar = _scalar_of(event, line) if isinstance(event, yaml.ScalarEvent) else None
        if scalar is None or scalar.kind != "str":
            shown = "here" if scalar is None else repr(scalar.text[:60])
            raise Unparsable(f"the key {shown} is not text; put it in quotes", line)
        if scalar.text in top.first:
            path = ".".join((*top.path, scalar.text))[:100]
            raise Unparsable(f"{path} is given twice (first in line {top.first[scalar.text]}); remove one", line)
        top.key, top.first[scalar.text] = scalar.text, line
        self._on_key((*top.path, scalar.text), line)

    def _place(self, top: _Open | None) -> tuple[str, ...]:
        if top is None:
            return ()
        return (*top.path, str(len(top.value)) if isinstance(top.value, list) else str(top.key))

    def _put(self, top: _Open | None, value: Any) -> None:
        if top is None:
            self._value = value
        elif isinstance(top.value, list):
            top.value.append(value)
        else:
            top.value[str(top.key)] = value
            top.key = None


def _scalar_of(event: Any, line: int) -> Scalar:
    quoted = bool(event.style)  # libyaml says "" of a plain one, the other parser None
    tag = _RESOLVER.resolve(yaml.ScalarNode, event.value, event.implicit)
    return Scalar(event.value, str(tag).removeprefix(_TAG), line, quoted)


class _Dumper(yaml.SafeDumper):
    """Text that a reader of ours, or of YAML 1.2, would take for a number stands in quotes."""


def _represented(dumper: yaml.SafeDumper, text: str) -> Any:
    quoted = "'" if EXPONENT.match(text) else None
    return dumper.represent_scalar(f"{_TAG}str", text, style=quoted)


_Dumper.add_representer(str, _represented)


def dump_yaml(value: Mapping[str, Any]) -> str:
    """`value`, plain data, as YAML that `parse_yaml` reads back, in the order of its keys."""
    text: str = yaml.dump(dict(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text
