"""What is checked of arguments whichever command takes them: paths that can be none, and grids that are larger than meant."""

from __future__ import annotations

import math
import os
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import typer

from dsbench.errors import UsageError

RUN_HELP = "A finished run: its id, the beginning of its id, last, or its folder."
MANY, MOST = 10_000, 1_000_000  # runs that are asked about, and that no folder holds
_LONGEST_NAME, _LONGEST_PATH = 255, 4_000  # bytes, of one part and of the whole; Linux takes no more


def a_path(text: str | Path) -> Path:
    """The path that an argument names; the parser of every one of them.

    Raises:
        UsageError: it can be the path of no file and no folder, or is that of a device or a pipe.
    """
    path, expected = os.fspath(text), "expected the path of a file or a folder"
    if not path or "\0" in path:
        raise UsageError(f"the path {path!r} leads nowhere; {expected}")
    data = os.fsencode(path)
    if len(data) > _LONGEST_PATH or any(len(part) > _LONGEST_NAME for part in data.split(b"/")):
        raise UsageError(f"the path {path!r} is longer than file systems take; {expected}")
    with suppress(OSError):  # missing, or not to be looked at: the command says so
        mode = os.stat(path).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise UsageError(f"{path!r} is a device, a pipe or a socket; {expected}")
    return Path(path)


def finite(option: str, value: float) -> float:
    """`value`; `UsageError` for infinity and NaN."""
    if not math.isfinite(value):
        raise UsageError(f"{option} is {value}; expected a finite number")
    return value


def ask_if_many(yes: bool) -> Callable[[int], None]:
    """What a grid tells its number of runs before it is made: of a large one a person is asked, elsewhere --yes is.

    Raises, when called:
        UsageError: nobody can be asked, the answer is no, or no folder holds so many.
    """

    def check(runs: int) -> None:
        if runs > MOST:
            raise UsageError(f"{runs:,} runs are asked for; expected at most {MOST:,}: split them into several")
        if runs <= MANY or yes:
            return
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError(f"{runs:,} runs are asked for, more than {MANY:,}; if they are meant, add --yes")
        if not typer.confirm(f"{runs:,} runs are asked for. Begin?", err=True):
            raise UsageError(
                f"{runs:,} runs were asked for and not begun; choose fewer backbones, envs, seeds or labels"
            )

    return check
