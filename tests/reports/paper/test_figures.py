"""Figures for a paper carry their letters with them, and are the same twice."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dsbench.reports.document import Figure
from dsbench.reports.figures import Axis, Series, plot
from dsbench.reports.figures_by_name import Row, rows
from dsbench.reports.paper.figures import pdf_of_all, write_figures

NAMES = ("gpt", "模型 $x^2$ \\input{y}", "_hidden")


def figures() -> list[Figure]:
    series = [Series(name, (1, 2, 3), (place, 2, 3)) for place, name in enumerate(NAMES)]
    curves = plot("curves", NAMES[1], "c", series, Axis("updates"), Axis("score ±", least=0.0, most=3.0))
    return [
        curves,
        rows("reach", "t", "c", [Row(name, [1.0, 2.0], 1.5, 1.0, 2.0) for name in NAMES], "rungs", ["a", "b"]),
    ]


@pytest.mark.parametrize("whole", [False, True])
def test_a_pdf_embeds_its_font_as_truetype(tmp_path: Path, whole: bool) -> None:
    write_figures(figures(), tmp_path)
    pictures = [pdf_of_all(figures())] if whole else [path.read_bytes() for path in tmp_path.glob("*.pdf")]
    assert len(pictures) == (1 if whole else 2)
    for data in pictures:
        assert b"/FontFile2" in data and b"/Type3" not in data
        fonts, files = (set(re.findall(pattern, data)) for pattern in (rb"/BaseFont /(\S+)", rb"/FontFile2 (\d+) 0 R"))
        assert fonts and len(files) >= 1
        assert b"CreationDate" not in data and b"ModDate" not in data
        assert len(re.findall(rb"/Type /Page\b", data)) == (2 if whole else 1)


def test_an_svg_needs_no_font_and_nothing_from_elsewhere(tmp_path: Path) -> None:
    write_figures(figures(), tmp_path)
    pictures = list(tmp_path.glob("*.svg"))
    assert len(pictures) == 2
    for path in pictures:
        root = ElementTree.fromstring(path.read_bytes())
        assert not [one for one in root.iter() if one.tag.endswith(("}text", "}script", "}image"))]
        links = [value for one in root.iter() for name, value in one.attrib.items() if name.endswith("href")]
        assert links and all(link.startswith("#") for link in links)


def test_the_same_figures_are_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        write_figures(figures(), tmp_path / folder)
    assert {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "other").iterdir()
    }
    assert pdf_of_all(figures()) == pdf_of_all(figures())
