"""Every setting with its type, default, range and meaning, read off where it is defined: the one source for
``dsbench list settings``, for ``--help`` and for the page of settings.

Settings of a run are fields of `RunConfig`, with their range and description. Options of a task are arguments of its function,
options of a backbone those of its constructor; what they mean stands in the docstring. Of a backbone torch is imported.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args, get_origin

from dsbench.backbones.catalogue import BACKBONES
from dsbench.config.presets import DEFAULT, get_preset
from dsbench.config.resolution import settle
from dsbench.config.settings import RunConfig, to_dict
from dsbench.envs.catalogue import ENVS

NONE = "null"
_ENTRY = re.compile(r"(?P<names>\w+(?:, \w+)*): (?P<text>.*)")
_TYPES = {"integer": "integer", "number": "number", "boolean": "true | false", "string": "text", "null": NONE}
_BOUNDS = (("exclusiveMinimum", ">"), ("minimum", "≥"), ("exclusiveMaximum", "<"), ("maximum", "≤"))
_WORDS: dict[Any, str] = {int: "integer", float: "number", bool: "true | false", str: "text", type(None): NONE}


@dataclass(frozen=True)
class Setting:
    """One setting as a person meets it; texts, empty where there is nothing to say.

    Attributes:
        name: dotted path, as ``--set`` takes it.
    """

    name: str
    type: str
    default: str
    range: str
    meaning: str


def settings_of_run() -> list[Setting]:
    """Those that every run has, with the defaults of the models, which are those of most tasks under the preset quick."""
    return list(_of_schema(RunConfig.model_json_schema()))


def settings_as_resolved(env: str | None, backbone: str | None, preset: str | None) -> list[Setting]:
    """The same with the values that a run of this environment, backbone and preset begins with, their options behind them.

    Raises:
        UsageError: a name is unknown, or its code cannot be used.
    """
    named = BACKBONES.spelled_out(backbone) if backbone else get_preset(preset or DEFAULT).backbone or "s4"
    config = settle(env=env or "umbrella", backbone=named, preset=preset)
    begins = to_dict(config)
    plain = ("env.name", "backbone.name")
    found = [
        replace(one, default=shown_value(_at(begins, one.name))) for one in settings_of_run() if one.name not in plain
    ]
    found += options_of_env(env) if env is not None else []
    return found + (options_of_backbone(config.backbone.name) if backbone is not None else [])


def options_of_env(name: str) -> list[Setting]:
    """``env.<option>`` of a task, for a name that the user gives; none of one that is a ready specification."""
    ENVS.named(name)
    make = ENVS.load(name)
    if not inspect.isroutine(make):
        return []
    return _of_arguments("env", inspect.signature(make).parameters, _hints(make), arguments_in(make.__doc__))


def options_of_backbone(name: str) -> list[Setting]:
    """``backbone.<option>``, for a name that the user gives. Imports torch."""
    from dsbench.backbones.contract import options_of
    from dsbench.backbones.factory import load_class

    cls = load_class(name)
    hints: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        hints |= _hints(vars(base).get("__init__"))
    return _of_arguments("backbone", options_of(cls), hints, _told_by(cls))


def meaning_of(name: str) -> str:
    """The description of a setting of the run, for ``--help``."""
    return next(one.meaning for one in settings_of_run() if one.name == name)


def arguments_in(docstring: str | None) -> dict[str, str]:
    """Name -> text of the section ``Args:``, without marks of code; a line that is indented further goes on."""
    _, _, section = inspect.cleandoc(docstring or "").partition("Args:\n")
    found: dict[str, str] = {}
    names: list[str] = []
    for line in section.split("\n"):
        if line.strip() and not line.startswith(" "):
            break  # the next section
        entry = _ENTRY.fullmatch(line[4:]) if line[:4].isspace() and line[4:5].strip() else None
        if entry:
            names = entry["names"].split(", ")
            found |= dict.fromkeys(names, entry["text"])
        elif line.strip():
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
    return {name: text.replace("``", "").rstrip(".") for name, text in found.items()}


def shown_value(value: Any) -> str:
    """As ``--set`` takes it."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(shown_value, value))}]"
    if value is None or isinstance(value, bool):
        return {None: NONE, True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


# ---------------------------------------------------------------------- settings of a run


def _of_schema(schema: Mapping[str, Any]) -> Iterator[Setting]:
    """Fields of a JSON schema as pydantic makes it, groups after what belongs to none."""
    groups = {}
    for name, field in schema["properties"].items():
        group = _group(field, schema["$defs"])
        if group is None:
            yield _setting(name, field)
        else:
            groups[name] = group
    for name, group in groups.items():
        for inner, field in group["properties"].items():
            if inner != "options":
                yield _setting(f"{name}.{inner}", field)


def _group(field: Mapping[str, Any], known: Mapping[str, Any]) -> Mapping[str, Any] | None:
    reference = field.get("$ref") or next((one["$ref"] for one in field.get("allOf", ()) if "$ref" in one), None)
    return None if reference is None else known[reference.rpartition("/")[2]]


def _setting(name: str, field: Mapping[str, Any]) -> Setting:
    default = shown_value(field["default"]) if "default" in field else ""
    return Setting(name, _type(field), default, _range(field), field.get("description", ""))


def _type(field: Mapping[str, Any]) -> str:
    if "anyOf" in field:
        return " | ".join(map(_type, field["anyOf"]))
    if "enum" in field:
        return " | ".join(field["enum"])
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}"
    return str(field["const"]) if "const" in field else _TYPES[field["type"]]


def _range(field: Mapping[str, Any]) -> str:
    """``> 0, ≤ 1000``; a bound that is there for the machine's sake alone, such as 2^63, is left out."""
    inner = [field, *field.get("anyOf", ()), field.get("items", {})]
    bounds = [f"{sign} {one[key]:g}" for one in inner for key, sign in _BOUNDS if key in one and abs(one[key]) < 1e9]
    return ", ".join(dict.fromkeys(bounds))


def _at(settings: Mapping[str, Any], path: str) -> Any:
    found: Any = settings
    for part in path.split("."):
        found = found[part]
    return found


# ---------------------------------------------------------------------- options


def _of_arguments(
    part: str, parameters: Mapping[str, inspect.Parameter], hints: Mapping[str, Any], told: Mapping[str, str]
) -> list[Setting]:
    found = []
    for name, parameter in parameters.items():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        default = "" if parameter.default is parameter.empty else shown_value(parameter.default)
        found.append(Setting(f"{part}.{name}", _words(hints.get(name)), default, "", told.get(name, "")))
    return found


def _words(hint: Any) -> str:
    """A type in words; empty for one that has none."""
    if get_origin(hint) is Literal:
        return " | ".join(map(str, get_args(hint)))
    if get_origin(hint) in (typing.Union, types.UnionType):
        return " | ".join(filter(None, map(_words, get_args(hint))))
    if get_origin(hint) in (list, tuple):
        return f"list of {_words(get_args(hint)[0])}"
    return _WORDS.get(hint, "") if isinstance(hint, type) else ""


def _hints(function: Any) -> dict[str, Any]:
    """Types of arguments; none where they cannot be told, as where a name is imported for type checkers alone."""
    try:
        return typing.get_type_hints(function)
    except Exception:  # annotations of code from outside may be anything
        return {}


def _told_by(cls: type) -> dict[str, str]:
    """What docstrings say of the arguments of a class and of its bases, the nearest first, then those of the classes beside
    them: many a stack passes its options on to a layer that explains them."""
    own = [base.__doc__ for base in cls.__mro__]
    beside = [
        one.__doc__
        for base in cls.__mro__
        for one in vars(inspect.getmodule(base) or types.ModuleType("")).values()
        if isinstance(one, type) and one.__module__ == base.__module__ and base.__module__ != "builtins"
    ]
    found: dict[str, str] = {}
    for text in (*own, *beside):
        found = arguments_in(text) | found
    return found
