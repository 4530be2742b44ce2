"""Who said that code may run: deny by default, granted by digest to what the user named.

Granted are the digests that this process was told, those in ``DSBENCH_TRUSTED`` (a parent's word to its children), and
those remembered in the user's own cache folder: what they ran once they need not name again.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from dsbench.errors import UsageError
from dsbench.outside.caching import cache_folder
from dsbench.outside.closure import read_source
from dsbench.outside.source import Source

VARIABLE = "DSBENCH_TRUSTED"
FLAG = "--trust-code"
_TRUSTED = "trusted"  # folder of the cache
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_named: set[str] = set()
_command: ContextVar[tuple[str, ...]] = ContextVar("command", default=())
_using: ContextVar[Mapping[str, Source]] = ContextVar("using", default={})  # noqa: B039  never changed in place


class Untrusted(UsageError):
    """Code that a file names, and not the user; nothing of it was run."""


def named(reference: str) -> Source:
    """The user named this code: it may run, here and whenever the same bytes are met again.

    Raises:
        UsageError: there is no such code.
    """
    source = find(reference)
    _named.add(source.digest)
    _remember(source.digest)
    return source


def find(reference: str) -> Source:
    """The code behind a reference: the copy that `using` gives, or what lies there now. Runs nothing; raises as `named`."""
    copies = _using.get()
    return copies[reference] if reference in copies else read_source(reference)


@contextmanager
def using(sources: Mapping[str, Source]) -> Iterator[None]:
    """While the block lasts, these references stand for these sources, whatever lies in their place."""
    token = _using.set({**_using.get(), **sources})
    try:
        yield
    finally:
        _using.reset(token)


def check(source: Source) -> None:
    """Raises: Untrusted: the user never named this code; the message says what would run and how to allow it."""
    if source.digest in _named or source.digest in _handed_down() or _is_remembered(source.digest):
        return
    command = _command.get()
    way_out = shlex.join([*command, FLAG]) if command else "the same call with trust_code=True"
    others = len(source.files) - 1
    beside = f", {source.digest} with what it imports" if others > 0 else ""
    raise Untrusted(
        f"code that was not named by you would run: {source.attribute!r} of {source.place} (sha256 "
        f"{source.file_sha256 or source.digest}{beside}); nothing was run. If you trust it: {way_out}"
    )


def handed_over() -> dict[str, Any]:
    """What `using` holds now, as JSON for another process."""
    return {reference: source.to_json() for reference, source in _using.get().items()}


def received(data: Mapping[str, Any]) -> dict[str, Source]:
    """Inverse of `handed_over`; hashes are computed from what came."""
    return {reference: Source.from_json(one) for reference, one in data.items()}


def environment() -> dict[str, str]:
    """What a child process needs in its environment, to be allowed what this one is."""
    digests = sorted(_named | _handed_down())
    return {VARIABLE: ",".join(digests)} if digests else {}


@contextmanager
def command_line(command: Sequence[str]) -> Iterator[None]:
    """While the block lasts, a refusal prints this command with the flag that allows it."""
    token = _command.set(tuple(command))
    try:
        yield
    finally:
        _command.reset(token)


def command_given() -> tuple[str, ...]:
    """The command of `command_line`, empty in a library."""
    return _command.get()


def _handed_down() -> set[str]:
    return {text for text in os.environ.get(VARIABLE, "").split(",") if _DIGEST.match(text)}


def _remember(digest: str) -> None:
    with suppress(OSError, RuntimeError):  # without a home or the right to write, it is asked again next time
        folder = cache_folder(_TRUSTED)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / digest).touch()


def _is_remembered(digest: str) -> bool:
    with suppress(OSError, RuntimeError):
        return (cache_folder(_TRUSTED) / digest).is_file()
    return False
