"""Whether something that outside code offers was written there, or only passed on from another library."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from dsbench.outside.loading import package_of
from dsbench.outside.source import Source


def is_own(source: Source, found: Any) -> bool:
    """Whether what a call of `found` runs first is defined in the source's own modules.

    Wrappers with ``functools.wraps`` and ``functools.partial`` count as what they wrap.
    """
    package = package_of(source) if source.files else source.module
    name = _defined_in(found)
    return name == package or name.startswith(f"{package}.")


def _defined_in(found: Any) -> str:
    """The module whose text defines it; empty for what is not written in Python."""
    while True:
        if isinstance(found, functools.partial):
            found = found.func
        elif inspect.ismethod(found):
            found = found.__func__
        elif (inner := inspect.unwrap(found)) is not found:
            found = inner
        else:
            break
    if inspect.isfunction(found):
        return str(found.__globals__.get("__name__", ""))
    if inspect.isbuiltin(found):
        return ""
    return str((found if inspect.isclass(found) else type(found)).__module__)
