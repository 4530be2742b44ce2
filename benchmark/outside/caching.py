"""Where the user's own cache keeps what is known of code from outside, by its content."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """``~/.cache/dsbench/NAME``, or below ``XDG_CACHE_HOME``; it need not exist."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return Path(base if os.path.isabs(base) else os.path.expanduser("~/.cache"), "dsbench", name)
