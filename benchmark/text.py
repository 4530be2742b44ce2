"""Text from elsewhere on its way out: to a terminal, into a message, a Markdown file or a CSV file.

A name, a reason, a path or a setting may hold anything: codes that clear a terminal, marks that turn the direction of a
line, markup, formulas. Whatever dsbench prints goes through `say`, `show` or `note`, and nothing else prints.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console, RenderableType
    from rich.text import Text

LONGEST_VALUE, LONGEST_MESSAGE = 200, 4_000  # characters of one value and of a whole message
_SLUG = 100  # characters of a file's name
_AROUND = 12  # characters of quotes, brackets and a line number, which make a value no longer

_HIDDEN_CATEGORIES = {
    "Cc",
    "Cf",
    "Cs",
    "Co",
    "Cn",
    "Zl",
    "Zp",
}  # control, format, surrogate, private, unassigned, lines
# Letters and marks to Unicode that nothing is drawn for: fillers, joiners, selectors, the blank of Braille.
_DRAWN_AS_NOTHING = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
# A quoted value, or a word without a blank. An apostrophe inside a word opens no quote.
_LONG = re.compile(
    rf"""(?<![\w\\])'(?:[^'\\]|\\.){{{LONGEST_VALUE + 1},}}'"""
    rf"""|(?<![\w\\])"(?:[^"\\]|\\.){{{LONGEST_VALUE + 1},}}"|\S{{{LONGEST_VALUE + _AROUND},}}""",
    re.DOTALL,
)
_MARKUP = re.compile(r"([\\`*\[\]|~$])|(?<![A-Za-z0-9])(_)|(_)(?![A-Za-z0-9])")
_AT_START = re.compile(r"^(#|>|[-+](?= |$|-)|=(?==*$)|\d+(?=[.)](?: |$)))")
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\Z", re.ASCII)


def printable(text: str) -> str:
    """`text` with everything that is not drawn as itself written as an escape, such as ``\\x1b`` or ``\\u202e``.

    Line ends and tabs are escaped too: who prints several lines gives them one by one. Blanks of all widths stay.
    """
    if text.isprintable() and not _DRAWN_AS_NOTHING.search(text):
        return text
    return "".join(_escaped(character) if _is_hidden(character) else character for character in text)


def is_text(text: str) -> bool:
    """Whether UTF-8 can hold it: bytes of the command line that are none come as halves of characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def cut(text: str, limit: int = LONGEST_VALUE) -> str:
    """`text` printable and in at most `limit` characters: of a longer one both ends, and between them how long it is."""
    shown = printable(text) if len(text) <= limit else None
    if shown is not None and len(shown) <= limit:
        return shown
    told = f" ... {len(text):,} characters ... "
    kept = max(0, limit - len(told))
    head, tail = kept - kept // 2, kept // 2
    return printable(text[:head])[:head] + told + (printable(text[-tail:])[-tail:] if tail else "")


def shown(value: Any, limit: int = LONGEST_VALUE) -> str:
    """`value` as it is written in code, cut; of what Python itself cannot write, its kind."""
    try:
        return cut(repr(value), limit)
    except (ValueError, RecursionError):  # a number of thousands of digits; lists in lists in lists
        return f"too large a {type(value).__name__} to be shown"


def message_line(text: str) -> str:
    """`text` as a line of an error: printable, with every long value cut, and bounded as a whole."""
    if len(text) > 100 * LONGEST_MESSAGE:  # what is so long is not looked at word by word
        return cut(text, LONGEST_MESSAGE)
    return cut(_LONG.sub(lambda value: cut(value[0]), text), LONGEST_MESSAGE)


def markdown_text(text: str) -> str:
    """`text` on one line of Markdown, in a cell too, with nothing in it taken for markup, an entity or HTML."""
    line = printable(" ".join(text.split()))
    line = _MARKUP.sub(r"\\\g<0>", line.replace("&", "&amp;")).replace("<", "&lt;")
    return _AT_START.sub(r"\\\1" if not line[:1].isdigit() else r"\1\\", line)


def markdown_code(text: str) -> str:
    """`text` on one line as Markdown code, so that nothing in it is taken for markup."""
    return "`" + printable(" ".join(text.split())).replace("`", "'") + "`"


def slug(text: str) -> str:
    """`text` as the name of a file or an anchor: lower-case letters, digits and dashes, of a bounded length."""
    return re.sub(r"[^a-z0-9]+", "-", text[:1000].lower())[:_SLUG].strip("-") or "x"


def csv_cell(value: Any) -> Any:
    """`value` as it may stand in a CSV file: a text that a spreadsheet would take for a formula begins with an apostrophe.

    Numbers stay as they are, also those that are text.
    """
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.match(value):
        return f"'{value}"
    return value


def safe_text_columns(table: pd.DataFrame) -> pd.DataFrame:
    """`table` with every text in it and every heading as `csv_cell` gives them; what needs no change is not copied."""
    changed = {name: cells for name in table.columns if (cells := _changed(table[name])) is not None}
    return table.assign(**changed).rename(columns=csv_cell)


def json_text(value: Any, indent: int | None = 2) -> str:
    """`value` as JSON in ASCII alone, every control character in it an escape of JSON's own."""
    return json.dumps(value, indent=indent).replace("\x7f", "\\u007f")


def say(*lines: str, stream: TextIO | None = None) -> None:
    """Print each of `lines`, escaped, on standard output or on `stream`; a blank line where none is given.

    An output that was closed takes nothing.
    """
    place = stream if stream is not None else sys.stdout
    if place is not None:
        print("\n".join(map(printable, lines)), file=place, flush=True)


def complain(*lines: str) -> None:
    """As `say`, on standard error."""
    if sys.stderr is not None:
        say(*lines, stream=sys.stderr)


def drawn(text: str) -> Text:
    """`text` for a table of rich: escaped, and no markup, so that a name with brackets stays as it is."""
    from rich.text import Text

    return Text(printable(text))


def show(drawing: RenderableType, *, as_it_is: bool = False) -> None:
    """Print what was made of `drawn` texts, such as a table, on a terminal.

    Args:
        as_it_is: its lines are laid out already, and none is wrapped.
    """
    from rich.console import Console

    Console().print(drawing, soft_wrap=as_it_is)


def note(text: str, console: Console) -> None:
    """Print one line above what `console` keeps drawing."""
    console.print(drawn(text), soft_wrap=True)


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN_CATEGORIES or bool(_DRAWN_AS_NOTHING.match(character))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _changed(column: pd.Series[Any]) -> pd.Series[Any] | None:
    """The column with its formulas as text; None where it holds none, which is told by its few different values."""
    if column.dtype.kind in "biufc":
        return None
    formulas = {value: cell for value in column.dropna().unique() if (cell := csv_cell(value)) is not value}
    return column.map(lambda value: formulas.get(value, value)) if formulas else None
