"""Help of options that are settings: written where the setting is defined, and read only when help is asked for."""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperCommand

_MARK = re.compile(r"\[setting ([\w.]+)\]")


def from_setting(name: str, before: str = "", more: str = "") -> str:
    """The help of an option that sets this setting, for a command of the class `WithSettings`.

    Args:
        before: words that go before.
        more: words behind, which the command line needs and a file does not.
    """
    return " ".join(filter(None, [before, f"[setting {name}]"])) + (f"; {more}." if more else ".")


class WithSettings(TyperCommand):
    """A command that puts the meaning of settings in the place of their marks."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from dsbench.config.described import meaning_of

        for parameter in self.params:
            text = getattr(parameter, "help", None)
            if text and _MARK.search(text):
                told = _MARK.sub(lambda mark: meaning_of(mark[1]), text)
                parameter.help = told[0].upper() + told[1:]  # type: ignore[attr-defined]
        super().format_help(ctx, formatter)
