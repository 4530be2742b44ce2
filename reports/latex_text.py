"""Any text as LaTeX that prints it and does nothing else, with no package and by pdfLaTeX; and about how wide it is.

Names, reasons and titles are of strangers: a backslash in one is a backslash on paper and begins no command.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from dsbench.text import printable

_ASCII = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"{\char34}", "`": r"{\char96}",
}  # fmt: skip
_JOINED = re.compile("(?<=([-',]))(?=\\1)")  # two of them make another character
_SYMBOLS = {
    "±": r"$\pm$", "−": "$-$", "–": "--", "—": "---", "×": r"$\times$", "·": r"$\cdot$", "≥": r"$\geq$", "≤": r"$\leq$",
    "≠": r"$\neq$", "≈": r"$\approx$", "∞": r"$\infty$", "√": r"$\surd$", "→": r"$\rightarrow$", "←": r"$\leftarrow$",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$", "µ": r"$\mu$", "…": r"\ldots{}", "“": "``{}", "”": "''{}", "‘": "`{}",
    "’": "'{}", "\u00a0": "~", "§": r"\S{}", "ß": r"\ss{}", "æ": r"\ae{}", "ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}",
    "²": "$^2$", "³": "$^3$", "°": r"$^\circ$",
}  # fmt: skip
_GREEK = "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩ"  # those that have a command
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0308": '"', "\u030a": "r", "\u030c": "v",
    "\u0327": "c", "\u0304": "=", "\u0307": ".", "\u0306": "u", "\u030b": "H",
}  # fmt: skip
_CHUNK = 10  # letters of a long word that stay together
_WIDE, _NARROW = "mwMW@%±−×≥≤—→", " .,:;'|!()[]ijlt·"


def latex_text(text: str) -> str:
    """`text` on one line of LaTeX; what pdfLaTeX has no letter for is shown as ``[U+6A21]``."""
    parts = _JOINED.split(printable(" ".join(text.split())))[::2]
    return "{}".join("".join(map(_letter, part)) for part in parts)


def latex_paragraph(text: str) -> str:
    """The same for running text: a word that may be longer than a line is broken where it has to be."""
    return " ".join(
        r"\allowbreak{}".join(latex_text(word[place : place + _CHUNK]) for place in range(0, len(word), _CHUNK))
        if len(word) > 2 * _CHUNK
        else latex_text(word)
        for word in printable(" ".join(text.split())).split(" ")
    )


def width(text: str) -> float:
    """How wide `latex_text` of it is, in em: rather too much than too little."""
    return sum(map(_em, printable(text)))


@cache
def _letter(character: str) -> str:
    known = _ASCII.get(character) or _SYMBOLS.get(character)
    if known is not None or character.isascii():
        return known or character
    if character in _GREEK:
        name = unicodedata.name(character).rpartition(" ")[2].lower().replace("lamda", "lambda")
        return rf"$\{name.capitalize() if character.isupper() else name}$"
    base, *marks = list(unicodedata.normalize("NFD", character))
    if len(marks) == 1 and marks[0] in _ACCENTS and base.isascii() and base.isalpha() and base not in "ij":
        return rf"\{_ACCENTS[marks[0]]}{{{base}}}"
    return f"{{[}}U+{ord(character):04X}{{]}}"


@cache
def _em(character: str) -> float:
    if character in _WIDE:
        return 0.9
    if character in _NARROW:
        return 0.34
    shown = _letter(character)
    return 0.6 * len(shown) if "U+" in shown else 0.8 if character.isupper() else 0.58
