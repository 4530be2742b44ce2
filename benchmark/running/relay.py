"""A parent's side of stops: the first one is passed on to the processes that it started, and once is enough."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from dsbench.stopping import not_ignored

AGAIN_S = 5.0  # SIGINT so long after the first stop is a person who does not want to wait


class Relay:
    """Hears the signals that mean stop.

    Args:
        stop: called with the first one.
        leave: called when a person insists; this process ends right after it.
    """

    def __init__(self, stop: Callable[[int], None], leave: Callable[[], None]) -> None:
        self._stop, self._leave = stop, leave
        self.first: int | None = None
        self._since = 0.0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While the block lasts; outside the main thread, where a library user's own handling stays, nothing is heard."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._hear) for number in not_ignored()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.first is None:
            self.first, self._since = number, now
            with suppress(OSError):  # the terminal that it would be told on may be what went away
                self._stop(number)
        elif number == signal.SIGINT and now - self._since > AGAIN_S:
            self._leave()
            os._exit(128 + self.first)
