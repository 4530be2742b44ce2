"""Checks of a task's options, the keys ``env.<option>``: `UsageError` names the option, its value and what was expected."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dsbench.errors import UsageError


def check_integer(option: str, value: Any, low: int, high: int | None = None) -> None:
    """An integer from `low` to `high`, both included; True and 3.0 are none."""
    if type(value) is not int or value < low or (high is not None and value > high):
        upper = "" if high is None else f" to {high}"
        raise UsageError(f"env.{option} is {value!r}; expected an integer from {low}{upper}")


def check_flag(option: str, value: Any) -> None:
    """True or False; 0 and 1 are neither."""
    if type(value) is not bool:
        raise UsageError(f"env.{option} is {value!r}; expected true or false")


def check_choice(option: str, value: Any, choices: Iterable[str | int]) -> None:
    """One of a few names or integers."""
    known = list(choices)
    if type(value) not in (str, int) or value not in known:
        raise UsageError(f"env.{option} is {value!r}; expected one of {', '.join(map(str, known))}")
