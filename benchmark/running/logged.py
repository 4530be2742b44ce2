"""What runs log while they go on, for programs beside dsbench. The parent writes it, so that no worker is slower for it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dsbench.errors import DsbenchError
from dsbench.records.run_folder import RunFolder
from dsbench.records.tensorboard import RunEvents
from dsbench.running.progress import Display

PLACE = "tensorboard"  # below the results folder
_EVERY_S = 5.0


class Logged:
    """Shows what `display` shows, and follows the journals of the runs into TensorBoard's files.

    A disk that takes none of them stops no run: what happened is noted once.

    Args:
        results: the results folder of the runs; their files go into ``RESULTS/tensorboard/RUN_ID``.
    """

    def __init__(self, display: Display, results: Path) -> None:
        self._display, self._results = display, results
        self._followed: dict[str, RunEvents] = {}
        self._looked_at: dict[str, float] = {}
        self._given_up = False

    def __enter__(self) -> Self:
        self._display.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self._followed):
            self._finish(name)
        self._display.__exit__(kind, error, trace)

    def event(self, name: str, event: Mapping[str, Any]) -> None:
        self._display.event(name, event)
        now = time.monotonic()
        if now - self._looked_at.get(name, -_EVERY_S) >= _EVERY_S:
            self._looked_at[name] = now
            self._guarded(lambda: self._events_of(name).follow())

    def overall(self, done: int, total: int, left_s: float | None) -> None:
        self._display.overall(done, total, left_s)

    def note(self, text: str) -> None:
        self._display.note(text)

    def end(self, name: str) -> None:
        self._finish(name)
        self._display.end(name)

    def _events_of(self, name: str) -> RunEvents:
        if name not in self._followed:
            run = RunFolder.open(self._results, name)
            self._followed[name] = RunEvents(self._results / PLACE / name, run)
        return self._followed[name]

    def _finish(self, name: str) -> None:
        self._guarded(lambda: self._events_of(name).close())
        self._followed.pop(name, None)

    def _guarded(self, write: Any) -> None:
        if self._given_up:
            return
        try:
            write()
        except DsbenchError as error:
            self._given_up = True
            self._display.note(f"nothing more is logged for TensorBoard: {error}")
