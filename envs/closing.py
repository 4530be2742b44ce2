"""Closing what is no longer needed: what goes wrong there hides neither a result nor the error that came first."""

from __future__ import annotations

from contextlib import suppress
from typing import Any


def close_quietly(env: Any) -> None:
    """Close an environment, or several stepped together, where it has a ``close``; what that raises is passed over."""
    with suppress(Exception, SystemExit):
        close = getattr(env, "close", None)
        if close is not None:
            close()
