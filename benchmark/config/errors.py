"""What is wrong with a configuration, in one message: every key and value, where it stands and what was expected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dsbench.config.sources import Lines
from dsbench.errors import UsageError, suggestion
from dsbench.text import shown

_SHOWN = 60  # characters of a value
_MOST = 50  # problems that are told
_EXPECTED = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "finite_number": "a finite number",
    "tuple_type": "a list",
    "dict_type": "a group of settings",
    "model_type": "a group of settings",
    "model_attributes_type": "a group of settings",
    "too_short": "at least one entry",
    "string_too_short": "a name",
}


def problems(error: ValidationError, model: type[BaseModel], lines: Lines | None = None) -> list[str]:
    """What pydantic found, the first `_MOST` of it, one text each, in the words of the settings."""
    found: dict[str, str] = {}  # path -> message; a union reports one path several times
    details = error.errors(include_url=False)
    for detail in details[:_MOST]:
        path = _path(detail["loc"], model)
        if not any(known.startswith(f"{path}.") for known in found):  # the entry says more than its list
            found.setdefault(path, _message(detail, path, model))
    texts = [f"{(lines or Lines()).place(path)}{text}" for path, text in found.items()]
    return texts if len(details) <= _MOST else [*texts, f"and {len(details) - _MOST} more"]


def usage_error(texts: Sequence[str]) -> UsageError:
    """All problems in one error: one line for one, a list for several."""
    if len(texts) == 1:
        return UsageError(texts[0])
    return UsageError(f"{len(texts)} settings cannot be used:", *(f"  {text}" for text in texts))


def known_paths(model: type[BaseModel]) -> list[str]:
    """Dotted path of every setting, groups expanded; options of backbones and environments are not listed."""
    paths: list[str] = []
    for name, info in model.model_fields.items():
        section, word = _section(info.annotation), info.alias or name
        paths += [f"{word}.{inner}" for inner in known_paths(section)] if section else [word]
    return [path for path in paths if not path.endswith(".options")]


def _message(detail: ErrorDetails, path: str, model: type[BaseModel]) -> str:
    kind, given, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown setting {_shown(path)}. {_closest(path[:100], model)}"
    if kind == "missing":
        option = f"--{path} NAME or " if path in ("backbone", "env") else ""
        key = f"{path}.name" if path in ("backbone", "env") else path
        return f"{path} is missing; give {option}--set {key}=VALUE"
    if kind == "value_error":
        return f"{path}: {context['error']}".removeprefix(": ")  # of the settings as a whole there is no path
    if kind == "literal_error":
        hint = suggestion(given, _words(context["expected"])) if isinstance(given, str) else ""
        return f"{path} is {_shown(given)}; expected {context['expected']}. {hint}".rstrip().removesuffix(".")
    return f"{path} is {_shown(given)}; expected {_expected(kind, context, detail['msg'])}"


def _expected(kind: str, context: dict[str, Any], message: str) -> str:
    signs = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le"}
    words = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}
    if kind in signs:
        return f"{words[signs[kind]]} {context[signs[kind]]:g}"
    if kind == "string_pattern_mismatch":
        return "auto, cpu, cuda or cuda:<number>"
    return _EXPECTED.get(kind, message[0].lower() + message[1:])


def _closest(path: str, model: type[BaseModel]) -> str:
    """The setting that was meant: close as a whole, or with the same last word in another group."""
    paths = known_paths(model)
    same_word = [known for known in paths if known.rpartition(".")[2] == path.rpartition(".")[2]]
    if same_word:
        return f"Did you mean {same_word[0]!r}?"
    sections = [name for name, info in model.model_fields.items() if _section(info.annotation)]
    group = [known for known in paths if known.startswith(path.rpartition(".")[0] + ".")]
    return suggestion(path, [*paths, *sections]) or f"Known: {', '.join(group or sorted(model.model_fields))}."


def _path(location: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """Dotted path of the setting; pydantic appends names of its own for members of a union, which are dropped."""
    parts: list[str] = []
    current: type[BaseModel] | None = model
    for part in location:
        if current is None and not isinstance(part, int):
            break
        parts.append(str(part))
        field = current.model_fields.get(str(part)) if current else None
        current = _section(field.annotation) if field else None
    return ".".join(parts)


def _section(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _words(expected: str) -> list[str]:
    return [word.strip(" '") for word in expected.replace(" or ", ",").split(",")]


def _shown(value: Any) -> str:
    text = {True: "true", False: "false", None: "null"}.get(value) if value is None or isinstance(value, bool) else None
    return text or shown(value, _SHOWN)
