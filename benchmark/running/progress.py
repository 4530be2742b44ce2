"""Showing what workers do: bars with the time left on a terminal, a line now and then elsewhere. Goes to stderr."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from dsbench.text import complain, cut, note, printable

if TYPE_CHECKING:
    from rich.console import Console

LINE_EVERY_S = 10.0
WHOLE = "all"  # name of the bar over all runs


def counted(event: Mapping[str, Any]) -> tuple[int, int]:
    """(done, all) of an event. Some totals are least numbers, such as that of timed decisions: beyond them all is done."""
    total = int(event["total"])
    return min(int(event["done"]), total), total


class Pace:
    """How long the rest of many equal pieces will take, by those that this process has seen through."""

    def __init__(self) -> None:
        self._began, self._seen = time.monotonic(), 0

    def left_s(self, remaining: int) -> float | None:
        """Seconds, one more piece being done; pieces that were done before are not told to it."""
        self._seen += 1
        return (time.monotonic() - self._began) / self._seen * remaining


def duration(seconds: float) -> str:
    """``40 s``, ``25 min``, ``3 h 10 min``."""
    if seconds < 90:
        return f"{max(1, math.ceil(seconds))} s"
    minutes = math.ceil(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


class Report(Protocol):
    """Where a worker tells its progress: ``report(phase, done, total, message)``."""

    def __call__(self, phase: str, done: int, total: int, message: str = "") -> None: ...


class Display(Protocol):
    """Where progress of one or several runs is shown."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def event(self, name: str, event: Mapping[str, Any]) -> None:
        """A run has advanced: ``phase``, ``done``, ``total``, ``message``."""

    def overall(self, done: int, total: int, left_s: float | None) -> None:
        """So much of the whole is done, and about `left_s` seconds are left; None where nothing tells yet."""

    def note(self, text: str) -> None:
        """A line that stays."""

    def end(self, name: str) -> None:
        """A run has ended, well or not."""


class Silent:
    """Shows nothing; for library use."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def event(self, name: str, event: Mapping[str, Any]) -> None: ...

    def overall(self, done: int, total: int, left_s: float | None) -> None: ...

    def note(self, text: str) -> None: ...

    def end(self, name: str) -> None: ...


class Lines(Silent):
    """A line when a phase begins and every ten seconds."""

    def __init__(self, names: bool = False) -> None:
        self._names, self._began = names, time.monotonic()
        self._last: dict[str, tuple[str, float, float, int]] = {}  # run -> phase, last line, phase began, done then

    def event(self, name: str, event: Mapping[str, Any]) -> None:
        now, phase, (done, total) = time.monotonic(), cut(str(event["phase"])), counted(event)
        previous, line_at, began, first = self._last.get(name, ("", 0.0, now, done))
        if phase == previous and now - line_at < LINE_EVERY_S:
            return
        if phase != previous:
            began, first = now, done
        self._last[name] = (phase, now, began, first)
        left = (now - began) / (done - first) * (total - done) if done > first else None
        parts = [f"{phase} {done}/{total}" if total > 1 else phase, cut(str(event.get("message") or ""))]
        parts.append(f"about {left:.0f} s left in this phase" if left else "")
        prefix = f"{name}: " if self._names else ""
        self.note(f"[{now - self._began:5.0f} s] {prefix}{', '.join(part for part in parts if part)}")

    def overall(self, done: int, total: int, left_s: float | None) -> None:
        if left_s is not None and done < total:
            now = time.monotonic()
            self.note(f"[{now - self._began:5.0f} s] {done}/{total} of all, about {duration(left_s)} left")

    def note(self, text: str) -> None:
        complain(text)

    def end(self, name: str) -> None:
        self._last.pop(name, None)


class Bars:
    """A bar a run, with the time left in the phase, on a terminal."""

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

        from dsbench.running.time_left import TimeLeft

        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.fields[run]}", markup=False),
            TextColumn("{task.fields[phase]}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeLeft(),
            TextColumn("{task.fields[message]}", markup=False),
            console=console or Console(stderr=True),
            transient=True,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def event(self, name: str, event: Mapping[str, Any]) -> None:
        phase = cut(str(event["phase"]))
        fields: dict[str, Any] = {
            "run": printable(name),
            "phase": phase,
            "message": cut(str(event.get("message") or "")),
        }
        done, total = counted(event)
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task("", total=total, **fields)
        task = self._tasks[name]
        if self._progress.tasks[self._progress.task_ids.index(task)].fields["phase"] != phase:
            self._progress.reset(task, total=total, **fields)  # the clock of the time left starts anew
        self._progress.update(task, completed=done, total=total, **fields)

    def overall(self, done: int, total: int, left_s: float | None) -> None:
        if WHOLE not in self._tasks:
            self._tasks[WHOLE] = self._progress.add_task("", total=total, run=WHOLE, phase="", message="", left_s=None)
        self._progress.update(self._tasks[WHOLE], completed=done, total=total, left_s=left_s)

    def note(self, text: str) -> None:
        note(text, self._progress.console)

    def end(self, name: str) -> None:
        if name in self._tasks:
            self._progress.remove_task(self._tasks.pop(name))


def display(several: bool = False) -> Display:
    """Bars on a terminal, lines elsewhere."""
    return Bars() if sys.stderr is not None and sys.stderr.isatty() else Lines(names=several)
