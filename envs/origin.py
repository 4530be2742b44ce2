"""What decides an environment's data beyond its own id and options: who made it, how it was asked for, which libraries."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from dsbench.outside.locating import requirement_of


@dataclass(frozen=True)
class Origin:
    """Set by `get_spec`; data sets are kept under it, so that none is taken for that of another.

    Attributes:
        reference: catalogue name, or the digest of code from outside.
        options: as they were given, whether or not the environment repeats them.
        code: of code from outside the digest, or the installed distribution; None for dsbench's own.
        libraries: ``name==version`` of each library that the data is made with.
    """

    reference: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    code: str | None = None
    libraries: tuple[str, ...] = ()


def requirements(distributions: Iterable[str], modules: Iterable[str] = ()) -> tuple[str, ...]:
    """``name==version`` of installed distributions, and of those that these top-level modules belong to."""
    found = {_requirement(name) for name in distributions} | {requirement_of(name) for name in modules}
    return tuple(sorted(found))


@cache
def _requirement(distribution: str) -> str:
    try:
        return f"{distribution}=={importlib.metadata.version(distribution)}"
    except importlib.metadata.PackageNotFoundError:
        return f"{distribution}==none"
