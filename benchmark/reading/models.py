"""Holding a parsed value against the model of its kind."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from dsbench.reading.limits import Unparsable

T = TypeVar("T")


class Document(BaseModel):
    """Base of the models of stored documents: nothing is converted; what a later version added is let through."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)


def checked(kind: TypeAdapter[T], value: Any) -> T:
    """`value` as the typed value of its kind; `Unparsable` names the first field that is wrong, and what was found."""
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        raise Unparsable(_first(error)) from None
    except RecursionError:
        raise Unparsable("it is nested too deep") from None


def _first(error: ValidationError) -> str:
    detail = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in detail["loc"])[:100] or "it"
    if detail["type"] == "missing":
        return f"{place} is missing"
    shown = repr(detail["input"])
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    message = str(detail.get("ctx", {}).get("error", detail["msg"]))[:300]
    return f"{place} is {shown}: {message[:1].lower()}{message[1:]}"
