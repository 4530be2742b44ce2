"""The page as text: complete, escaped, the same twice and quick; what a browser makes of it is tested beside."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from html.parser import HTMLParser

import pytest

from dsbench.reports.document import Cell, Heading, Report, Section, Table
from dsbench.reports.page import page
from tests.reports.pages import BIBTEX, HOSTILE, LONG, RETURNS, report

VOID = {"meta", "link", "input", "br", "img"}


class Outline(HTMLParser):
    """Tags with their attributes, in order; refuses a page whose tags do not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def text() -> str:
    return page(report())


@pytest.fixture(scope="module")
def outline(text: str) -> Outline:
    return Outline(text)


def test_the_same_report_gives_the_same_page(text: str) -> None:
    assert page(report()) == text


def test_every_text_of_the_report_is_there(outline: Outline) -> None:
    words = "".join(outline.words)
    for expected in (HOSTILE, LONG, BIBTEX, *RETURNS, "n = 3 is few.", "{{ 7 * 7 }}", "t = 1,000", "On the disk."):
        assert expected in words, expected


def test_text_makes_no_element(outline: Outline) -> None:
    tags = [tag for tag, _ in outline.tags]
    assert tags.count("script") == 1
    assert "img" not in tags


def test_only_the_page_s_own_script_is_allowed(text: str) -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
    assert len(script.splitlines()) < 150


def test_ids_are_unique_and_links_lead_somewhere(outline: Outline) -> None:
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in outline.tags:
        if tag == "a":
            assert (attributes["href"] or "")[1:] in ids


def test_pictures_and_tables_have_names(outline: Outline) -> None:
    for tag, attributes in outline.tags:
        if tag == "svg":
            assert attributes["role"] == "img" and attributes["aria-label"]
        if tag == "table":
            assert attributes["aria-labelledby"]


def test_the_winner_is_bold_and_nobody_else(text: str) -> None:
    assert re.findall(r"<strong>(.*?)</strong>", text) == ["12.00"]


def test_missing_has_no_key_to_be_sorted_by(text: str) -> None:
    (body,) = re.findall(r'id="table-returns".*?<tbody>(.*?)</tbody>', text, re.DOTALL)
    keys = {
        row[0]: row[1] for row in re.findall(r'data-key="(\w+)".*?<td class="number"(?: data-key="([^"]*)")?>', body)
    }
    assert keys == {
        "s4": "0.9", "gpt": "12.0", "lstm": "-3.5", "rnn": "", "mlp": "", "s5": "0.9", "mamba": "Infinity",
    }  # fmt: skip


def test_an_empty_report_is_a_page() -> None:
    Outline(page(Report("Nothing yet", (), ())))
    Outline(page(Report("Nothing yet", (), (Section("a", "A", tables=(Table("a", "A", (Heading("x"),), ()),)),))))


def test_ten_thousand_rows_take_seconds() -> None:
    headings = tuple(Heading(f"column {place}") for place in range(10))
    rows = tuple(tuple(Cell(f"{row}.{place}", row + place) for place in range(10)) for row in range(10_000))
    start = time.process_time()
    page(Report("Many", (), (Section("runs", "Runs", tables=(Table("runs", "Runs", headings, rows),)),)))
    assert time.process_time() - start < 8.0
