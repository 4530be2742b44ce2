"""The command ``dsbench``: errors as one line, exit codes as in `dsbench.errors`."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from dsbench.errors import DsbenchError, Internal, UsageError
from dsbench.outside.blame import blamed
from dsbench.text import complain, say


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. ``--debug``, anywhere, adds the traceback to an error."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8 must not end a run
    try:
        code = _run([argument for argument in arguments if argument != "--debug"])
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader, such as head, went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except KeyboardInterrupt:
        return 130
    except DsbenchError as error:
        return _report(error, debug)
    except Exception as error:
        if (theirs := blamed(error)) is not None:
            return _report(theirs, debug)
        line = " ".join(str(error).split())
        way_out = "" if debug else "; run it again with --debug and report what it shows"
        return _report(Internal(f"internal: {type(error).__name__}: {line}{way_out}"), debug)


def _run(arguments: list[str]) -> int:
    import typer

    from dsbench.cli.app import app
    from dsbench.cli.hints import instead_of
    from dsbench.outside.trust import command_line

    # typer carries its own copy of click, which is not public; this is its UsageError
    parser_error: Any = typer.BadParameter.__bases__[0]
    try:
        with command_line(["dsbench", *arguments]):
            result = typer.main.get_command(app)(arguments, prog_name="dsbench", standalone_mode=False)
    except typer.Abort:
        return 130
    except parser_error as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # a group of commands, and none was given
            say(*error.ctx.get_help().split("\n"))
            return 0
        if (meant := instead_of(error, arguments)) is not None:
            raise UsageError(f"{' '.join(error.message.split())}; did you mean: {meant}") from None
        raise UsageError(f"{' '.join(error.format_message().split())}   (dsbench --help)") from None
    return result if isinstance(result, int) else 0


def _report(error: DsbenchError, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    complain(*f"Error: {error}".split("\n"))
    return error.exit_code
