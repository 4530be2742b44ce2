"""Making a backbone from its name and options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dsbench.backbones.catalogue import BACKBONES
from dsbench.backbones.contract import Backbone, options_of
from dsbench.errors import UsageError, suggestion


def load_class(name: str) -> type[Backbone]:
    """The class behind a name that the user gives: built-in, ``package.module:Class`` or ``path/file.py:Class``."""
    name = BACKBONES.spelled_out(name)
    BACKBONES.named(name)
    return class_of(name)


def build(name: str, d_model: int, **options: Any) -> Backbone:
    """A new backbone of width `d_model`, for a name that the user gives: code from outside may run.

    Raises:
        UsageError: an unknown option, with the closest one, or something that is no backbone.
    """
    name = BACKBONES.spelled_out(name)
    BACKBONES.named(name)
    return make_backbone(name, d_model, options)


def class_of(name: str) -> type[Backbone]:
    """The class behind a name that may have come from a file.

    Raises:
        Untrusted: it stands for code from outside that the user did not name.
    """
    cls = BACKBONES.load(name)
    if not (isinstance(cls, type) and issubclass(cls, Backbone)):
        raise UsageError(f"{name!r} is {cls!r}; expected a subclass of dsbench.backbones.Backbone")
    return cls


def make_backbone(name: str, d_model: int, options: Mapping[str, Any]) -> Backbone:
    """As `build`, for a name that may have come from a file. Raises as `build` and `class_of`."""
    cls = class_of(name)
    known = options_of(cls)
    for option in options:
        if option not in known:
            hint = suggestion(option, known) or f"Known: {', '.join(sorted(known)) or 'none'}."
            raise UsageError(f"backbone {name!r} has no option {option!r}. {hint}")
    return cls(d_model, **options)
