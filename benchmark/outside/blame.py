"""What an exception of a user's own code was, and where it was raised, for messages of one sentence."""

from __future__ import annotations

from pathlib import Path
from traceback import walk_tb
from types import FrameType

from dsbench.outside.locating import Found, is_installed


def told(error: BaseException, when: str = "") -> str:
    """``ValueError when made: no such map (my_env.py, line 12)``: what, when, and the innermost line that a user wrote."""
    text, place = " ".join(str(error).split()), place_of(error)
    kind = f"{type(error).__name__} {when}" if when else type(error).__name__
    return f"{kind}{f': {text}' if text else ''}{f' ({place})' if place and place not in text else ''}"


def place_of(error: BaseException) -> str:
    """``my_env.py, line 12``; empty where no line on the way is a user's."""
    frames = [(frame, line) for frame, line in walk_tb(error.__traceback__) if _is_a_user_s(frame)]
    return f"{frames[-1][0].f_code.co_filename}, line {frames[-1][1]}" if frames else ""


def _is_a_user_s(frame: FrameType) -> bool:
    """Neither ours nor of an installed package or Python itself."""
    name, file = str(frame.f_globals.get("__name__", "")), frame.f_code.co_filename
    ours = name == "dsbench" or name.startswith("dsbench.")
    return not ours and not file.startswith("<frozen") and not is_installed(Found(Path(file)))
