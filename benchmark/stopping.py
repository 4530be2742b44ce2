"""Being asked to stop: signals that mean it are noted when they come and obeyed where it does no harm. Imports nothing heavy.

A worker calls `listen` once it has something to lose; until then the system's own answer, to end the process at once, is the
right one. Whatever takes long calls `raise_if_asked` between two of its steps. In a process that does not listen nothing is
ever asked.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)

_asked: int | None = None


class Interrupted(BaseException):
    """A signal asked for an end; everything up to the last checkpoint is kept.

    No `Exception`: what measures or plays goes on after those of the code that it runs.
    """


def listen() -> None:
    """From now on note the first of these signals, and let none of them end the process, however often they come."""
    for number in not_ignored():
        signal.signal(number, _note)


def not_ignored(numbers: Iterable[signal.Signals] = STOPPING) -> list[signal.Signals]:
    """Those signals that whoever started this process did not have it ignore, as ``nohup`` does with SIGHUP."""
    return [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]


def asked() -> int | None:
    """The signal that first asked for an end; None while none has."""
    return _asked


def raise_if_asked() -> None:
    """Raise `Interrupted` when a signal has asked for an end."""
    if _asked is not None:
        raise Interrupted


def _note(number: int, _frame: FrameType | None) -> None:
    global _asked
    if _asked is None:
        _asked = number
