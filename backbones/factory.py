"""Making a backbone from its name and options."""

from __future__ import annotations

from typing import Any

from dsbench.backbones.catalogue import BACKBONES
from dsbench.backbones.contract import Backbone, options_of
from dsbench.errors import UsageError, suggestion


def load_class(name: str) -> type[Backbone]:
    """The class behind a built-in name, ``package.module:Class`` or ``path/file.py:Class``."""
    cls = BACKBONES.load(name)
    if not (isinstance(cls, type) and issubclass(cls, Backbone)):
        raise UsageError(f"{name!r} is {cls!r}; expected a subclass of dsbench.backbones.Backbone")
    return cls


def build(name: str, d_model: int, **options: Any) -> Backbone:
    """A new backbone of width `d_model`; `UsageError` names an unknown option and the closest one."""
    cls = load_class(name)
    known = options_of(cls)
    for option in options:
        if option not in known:
            hint = suggestion(option, known) or f"Known: {', '.join(sorted(known)) or 'none'}."
            raise UsageError(f"backbone {name!r} has no option {option!r}. {hint}")
    return cls(d_model, **options)
