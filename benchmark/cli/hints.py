"""What somebody meant who gave one command the options of another: the command that does it, to be copied."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from dsbench.errors import UsageError
from dsbench.outside.trust import command_given

# (command, option) -> the command that has it, and what the option is called there
_ELSEWHERE = {
    **{("run", option): ("sweep", option) for option in ("--seeds", "--jobs", "--control", "--yes")},
    ("run", "--backbones"): ("sweep", "--backbone"),
    ("run", "--envs"): ("sweep", "--env"),
    ("sweep", "--seed"): ("sweep", "--seeds"),
    ("sweep", "--policy"): ("sweep", "--control"),
    ("sweep", "--backbones"): ("sweep", "--backbone"),
    ("sweep", "--envs"): ("sweep", "--env"),
}
_JOINED = re.compile(r"--[a-z-]+=")
_PLACES = ("report", "cite", "export", "pack")  # which take the folder itself


def instead_of(error: Any, arguments: Sequence[str]) -> str | None:
    """The command that was meant, for an error of the parser about an option that is not there; None where nobody knows."""
    option, words = str(getattr(error, "option_name", "")), _parted(arguments)
    command = next((word for word in words if not word.startswith("-")), "")
    if option == "--results" and command in _PLACES:
        return shlex.join(["dsbench", *(word for word in words if word != option)])
    if (command, option) not in _ELSEWHERE:
        return None
    other, name = _ELSEWHERE[command, option]
    return _as(other, command, [name if word == option and name != "--seeds" else word for word in words])


def refuse_lists(given: Mapping[str, str | None]) -> None:
    """`UsageError` where an option that takes one name was given several, with the command that takes them."""
    for option, text in given.items():
        if text is None or "," not in text or os.path.exists(text.rpartition(":")[0]):
            continue
        words = _parted(command_given()[1:])
        way_out = _as("sweep", "run", words) if "run" in words else "dsbench sweep"
        raise UsageError(f"{option} is {text!r}, and a run has one; several make a sweep: {way_out}")


def _as(other: str, command: str, words: Sequence[str]) -> str:
    """The same words for another command; ``--seed 3`` is ``--seeds 3,`` there, as ``3`` alone would be three of them."""
    found = list(words)
    found[found.index(command)] = other
    if other == "sweep" and "--seed" in found[:-1]:
        place = found.index("--seed")
        found[place : place + 2] = ["--seeds", f"{found[place + 1]},"]
    return shlex.join(["dsbench", *found])


def _parted(words: Sequence[str]) -> list[str]:
    """``--seed=3`` as two words."""
    return [part for word in words for part in (word.split("=", 1) if _JOINED.match(word) else [word])]
