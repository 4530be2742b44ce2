"""Whose mistake an error is: code from outside that raised is shown by its own lines, and by nothing of ours."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType

from dsbench.errors import DsbenchError, UsageError
from dsbench.outside.locating import Found, is_installed
from dsbench.outside.source import PREFIX

_installed: set[str] = set()  # modules of installed distributions that were loaded as code from outside
_MOST = 8  # frames that are shown, the last ones; a recursion has a thousand


class FaultyCode(UsageError):
    """Code from outside raised an error: what it says, then the lines of that code that led there."""


@dataclass(frozen=True)
class Frame:
    """A place in a user's file. `line` counts from 1, `text` is what stands there."""

    path: str
    line: int
    function: str
    text: str

    def told(self) -> list[str]:
        return [f"  {self.path}, line {self.line}, in {self.function}", f"    {self.text}"]


def frames_of(error: BaseException) -> list[Frame]:
    """The frames of code from outside, the innermost last; of what an error was raised from, where it has none itself."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        if found := [*_of_traceback(one.__traceback__), *_of_syntax(one)]:
            return found[-_MOST:]
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return []


def blamed(error: BaseException, what: str = "") -> FaultyCode | None:
    """`error` as a message for whoever wrote the code; None where no code from outside took part, or the error is ours.

    Args:
        what: begins the message.
    """
    if isinstance(error, FaultyCode):
        return error
    frames = [] if isinstance(error, DsbenchError) else frames_of(error)
    if not frames:
        return None
    return faulty(f"{what}{one_line(error)}", frames)


def faulty(message: str, frames: Iterable[Frame]) -> FaultyCode:
    """The error with these frames below its message."""
    return FaultyCode(message, *(line for frame in frames for line in frame.told()))


def brief(error: BaseException) -> str:
    """One line: the error, and in brackets the innermost line of code from outside that it came from, if any did."""
    if isinstance(error, FaultyCode):
        first, *more = str(error).split("\n")
        return f"{first} ({': '.join(line.strip() for line in more[-2:])})" if more else first
    frames = frames_of(error)
    if not frames or isinstance(error, DsbenchError):
        return one_line(error)
    last = frames[-1]
    return f"{one_line(error)} ({last.path}, line {last.line}, in {last.function}: {last.text})"


def one_line(error: BaseException) -> str:
    """``TypeError: it is none``."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)  # its text names the line once more
    return f"{type(error).__name__}: {' '.join(text.split())}"


def told(error: BaseException, when: str = "") -> str:
    """``ValueError when made: no such map (my_env.py, line 12)``: what, when, and the innermost line that a user wrote.

    Of an object that was handed over in Python, whose code no source was ever found for, as much as of code from outside.
    """
    text, place = " ".join(str(error).split()), _last_place(error)
    kind = f"{type(error).__name__} {when}" if when else type(error).__name__
    return f"{kind}{f': {text}' if text else ''}{f' ({place})' if place and place not in text else ''}"


def _last_place(error: BaseException) -> str:
    """``my_env.py, line 12``; empty where no line on the way is a user's."""
    frames = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__) if _is_a_user_s(frame)]
    return f"{_from_here(frames[-1][0].f_code.co_filename)}, line {frames[-1][1]}" if frames else ""


def _is_a_user_s(frame: FrameType) -> bool:
    """Neither ours nor of an installed package or Python itself."""
    name, file = str(frame.f_globals.get("__name__", "")), frame.f_code.co_filename
    ours = name == "dsbench" or name.startswith("dsbench.")
    return not ours and not file.startswith("<frozen") and not is_installed(Found(Path(file)))


def note_installed(module: str) -> None:
    """A module of an installed distribution is loaded as code from outside."""
    if module.partition(".")[0] != "dsbench":
        _installed.add(module)


def _is_outside(module: str) -> bool:
    return module.startswith(PREFIX) or any(module == own or module.startswith(f"{own}.") for own in _installed)


def _of_traceback(trace: TracebackType | None) -> Iterator[Frame]:
    if trace is None:
        return
    is_outside = [_is_outside(str(frame.f_globals.get("__name__", ""))) for frame, _ in traceback.walk_tb(trace)]
    for one, is_theirs in zip(traceback.extract_tb(trace), is_outside, strict=True):
        if is_theirs:
            yield Frame(_from_here(one.filename), one.lineno or 0, one.name, (one.line or "").strip())


def _from_here(path: str) -> str:
    """As a user would write it: records travel, and where a user's files lie is nobody else's business."""
    here = os.path.join(os.getcwd(), "")
    return path.removeprefix(here)


def _of_syntax(error: BaseException) -> Iterator[Frame]:
    """Text that is no Python has no frame of its own."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        yield Frame(_from_here(error.filename), error.lineno, "<module>", (error.text or "").strip())
