"""A page on every command, out of what ``--help`` reads."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import typer

from dsbench.cli.app import app
from making.text import table

_EXIT_CODES = (
    "Exit codes: 0 all is well, 1 some runs or checks failed, 2 bad input, 70 internal error, 73 cannot write, 75 held by "
    "another process, 128 + signal interrupted."
)


def pages() -> dict[str, str]:
    """``command-line.md``."""
    lines = ["# Command line", "", f"Every command shows the same with `--help`. {_EXIT_CODES}", ""]
    for path, command in _commands("dsbench", typer.main.get_command(app)):
        lines += [f"## `{path}`", "", *_described(command), *_options(command)]
    return {"command-line.md": "\n".join(lines)}


def _commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its words."""
    below = getattr(command, "commands", None)
    if below is None:
        yield path, command
        return
    for name in sorted(below):
        if not below[name].hidden:
            yield from _commands(f"{path} {name}", below[name])


def _described(command: Any) -> list[str]:
    """What it does, then its examples as commands."""
    said, _, examples = inspect.cleandoc(command.help or "").partition("Examples:")
    lines = [said.strip(), ""]
    shown = [line for line in examples.splitlines() if line.strip()]
    return [*lines, "```text", *shown, "```", ""] if shown else lines


def _options(command: Any) -> list[str]:
    rows = []
    for one in command.params:
        if one.param_type_name == "argument":
            name = one.metavar or one.name.upper()
        else:
            name = " ".join([", ".join(one.opts), *([one.metavar] if one.metavar and not one.is_flag else [])])
        given = "" if one.default in (None, False, "", ()) or callable(one.default) else f"`{one.default}`"
        rows.append((f"`{name}`", one.help or "", given))
    return [table(("option", "meaning", "default"), rows), ""] if rows else []
