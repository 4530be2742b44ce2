"""Named errors. Every message says what was given, what was expected and the way out; the exit code travels with it.

Exit codes (one table for the whole tool): 0 ok, 1 some runs or checks failed, 2 bad input, 70 internal,
73 cannot write, 75 held by another process: look again later, 128 + signal: interrupted by it and resumable.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Self

from dsbench.installation import extra_line
from dsbench.text import message_line

_LISTED = 50  # lines of one message


class DsbenchError(Exception):
    """Base of all errors whose message is meant for the user; the CLI prints it without a traceback.

    Args:
        lines: the message; further ones make a list below it. What a value in one of them holds makes neither another
            line nor a code of the terminal, and a value too long to be read is cut.
    """

    exit_code = 1

    def __init__(self, *lines: str) -> None:
        more = [f"  and {len(lines) - _LISTED:,} more"] if len(lines) > _LISTED else []
        super().__init__("\n".join([*map(message_line, lines[:_LISTED]), *more]))

    @classmethod
    def told(cls, message: str, exit_code: int | None = None) -> Self:
        """An error of this kind again, out of its text, as a process tells it to its parent."""
        error = cls.__new__(cls)
        DsbenchError.__init__(error, *message.split("\n"))
        error.exit_code = cls.exit_code if exit_code is None else exit_code
        return error

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self.args, self.__dict__)


class UsageError(DsbenchError):
    """A name, key or value that the user gave cannot be used."""

    exit_code = 2


class UnknownName(UsageError):
    """A name is in no catalogue; the message offers the closest one."""

    def __init__(self, kind: str, name: str, known: Iterable[str], where: str = "") -> None:
        names = sorted(known)
        self.name = name
        hint = suggestion(name, names) or f"Known: {', '.join(names)}."
        super().__init__(f"unknown {kind} {name!r}. {hint}{f'   ({where})' if where else ''}")


class MissingExtra(UsageError):
    """An optional package is needed and not installed; the message is the install line."""

    def __init__(self, what: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{what} needs the {extra!r} extra, which is not installed: {extra_line(extra)}")


class DatasetError(UsageError):
    """Offline data cannot be trusted: names the file, the field and the first bad index."""


class EnvironmentFault(DsbenchError):
    """An environment broke its contract while it was played: it raised, hung, or gave something that is no number."""


class CorruptFile(DsbenchError):
    """A file that dsbench wrote is torn or changed: names the file and what can be done."""


class UnreadableRecord(CorruptFile):
    """A stored document cannot be read: `place` (file), `reason`, and the way out."""

    def __init__(self, place: object, reason: str, way_out: str) -> None:
        self.place, self.reason = str(place), reason
        super().__init__(f"{place} {reason.strip()}; {way_out}")


class Internal(DsbenchError):
    """Something inside dsbench broke; a bug report is the way out."""

    exit_code = 70


class CannotWrite(DsbenchError):
    """A results folder cannot be written (missing rights, full disk)."""

    exit_code = 73


class RunHeld(DsbenchError):
    """Another live process works on the same run."""

    exit_code = 75


def suggestion(name: str, known: Iterable[str]) -> str:
    """``Did you mean 'x'?`` for the closest of `known`, or an empty string when nothing is close."""
    folded = {candidate.lower(): candidate for candidate in known}
    given = name.lower()
    family = given[: given.find(":") + 1]
    if all(candidate.startswith(family) for candidate in folded):  # "hf:" in all of them makes nothing closer
        given, folded = given.removeprefix(family), {key.removeprefix(family): folded[key] for key in folded}
    close = difflib.get_close_matches(given, list(folded), n=1, cutoff=0.5)
    return f"Did you mean {folded[close[0]]!r}?" if close else ""


def _again(kind: type[DsbenchError], arguments: tuple[str, ...], attributes: dict[str, Any]) -> DsbenchError:
    """The error that was pickled; kinds whose arguments are not their message could not be made anew otherwise."""
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    error.__dict__.update(attributes)
    return error
