"""Tables on a terminal: no line is wider than asked for, and no cell is lost."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from dsbench.reports.document import BOLD, Cell, Heading, Table
from dsbench.reports.plain import MARK, plain

WORDS = st.text(max_size=60)


@given(st.lists(WORDS, min_size=1, max_size=9), st.lists(WORDS, min_size=1, max_size=6), WORDS, st.integers(60, 120))
def test_any_words_fit_the_width(headings: list[str], names: list[str], note: str, width: int) -> None:
    heads = (Heading("name", numeric=False), *map(Heading, headings))
    rows = tuple((Cell(name), *(Cell(name[::-1], best=True) for _ in headings)) for name in names)
    lines = plain(Table("t", "T", heads, rows, (note,)), width)
    assert max(map(cell_len, lines), default=0) <= width
    assert not [one for line in lines for one in line if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp")]


def test_every_number_stands_there_once_and_the_name_in_every_panel() -> None:
    heads = (Heading("backbone", numeric=False), *(Heading(f"task-{place}") for place in range(10)))
    rows = tuple(
        (Cell(name), *(Cell(f"{place}.{row}00 [0.000, 1.000]", 1.0, best=row == 0) for place in range(10)))
        for row, name in enumerate(("gpt", "lstm"))
    )
    text = "\n".join(plain(Table("t", "T", heads, rows, (f"{BOLD}: the best.",)), 100))
    assert all(text.count(f"{place}.{row}00 [") == 1 for place in range(10) for row in (0, 1))
    panels = text.count("backbone")
    assert text.count("gpt") == text.count("lstm") == panels > 1
    assert text.count(f"{MARK} ") == 10 and f"{MARK}: the best." in text
