"""Tables fit the place or are as narrow as their words allow, and lose nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsbench.cli import main, tables
from dsbench.cli.tables import _NARROWEST, laid_out

WORD = st.text(st.characters(codec="ascii", categories=("L", "N", "P")), min_size=1, max_size=30)
CELL = st.lists(WORD, max_size=12).map(" ".join)


@given(
    st.integers(1, 6).flatmap(lambda n: st.lists(st.tuples(*[CELL] * n), min_size=1, max_size=5)), st.integers(20, 200)
)
def test_no_line_is_wider_than_the_place_or_the_longest_words(rows: list[tuple[str, ...]], width: int) -> None:
    header, *rest = rows
    lines = laid_out(header, rest, width)
    columns = list(zip(*rows, strict=True))
    full = [max(map(len, column)) for column in columns]
    words = [max([0, *(len(word) for cell in column for word in cell.split())]) for column in columns]
    least = [min(a, max(_NARROWEST, b)) for a, b in zip(full, words, strict=True)]
    assert max(map(len, lines)) <= max(width, sum(least) + 2 * (len(columns) - 1))
    assert sorted("".join(lines).replace(" ", "")) == sorted("".join(map("".join, rows)).replace(" ", ""))
    assert all(any(word in line for line in lines) for row in rows for cell in row for word in cell.split())


@pytest.mark.parametrize(
    "kind", ["backbones", "envs", "recipes", "presets", "controls", "studies", "ladders", "settings"]
)
def test_every_list_fits_a_hundred_columns(
    kind: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "width", lambda: tables.WIDTH)
    assert main(["list", kind]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 100
