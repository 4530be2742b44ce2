"""Which objects from outside may be called to make an environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from dsbench.errors import UsageError
from dsbench.outside.own import is_own
from dsbench.outside.source import Source

if TYPE_CHECKING:
    from dsbench.envs.spec import EnvSpec

_MARK = "__dsbench_makes_spec__"
_Function = TypeVar("_Function", bound=Callable[..., "EnvSpec"])


def makes_spec(function: _Function) -> _Function:
    """Mark a function of a package as one that makes an `EnvSpec`, so that ``--env package.module:function`` may call it.

    A function in a file that is named by its path needs no mark.
    """
    setattr(function, _MARK, True)
    return function


def check_callable(name: str, found: Any, source: Source) -> None:
    """`UsageError` unless calling `found` is what the author of `source` offers; nothing is called here."""
    if getattr(found, _MARK, False) is True or (source.is_file and callable(found) and is_own(source, found)):
        return
    if source.is_file:
        raise UsageError(
            f"{name!r} is {found!r}, which is no function of that file but from elsewhere; expected an EnvSpec, or a "
            "function defined there that returns one"
        )
    raise UsageError(
        f"{name!r} is {found!r}, which is neither an EnvSpec nor marked as a function that makes one, and was not called; "
        "if it makes one, add 'from dsbench.envs import makes_spec' and '@makes_spec' above it"
    )
