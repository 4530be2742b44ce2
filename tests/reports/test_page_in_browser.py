"""The page in headless Chromium: quiet, offline, inert to hostile text, usable by mouse, keyboard, phone and printer."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dsbench.reports.content.build import build
from dsbench.reports.contention import LATENCY, TRAINING
from dsbench.reports.document import Figure, Report, Section
from dsbench.reports.page import page
from tests.reports.pages import BIBTEX, report
from tests.reports.synthetic import make_run
from tests.reports.test_costs import bench

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[test]'")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH: apt install chromium")

FIRST = "#table-returns"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page(report()), encoding="utf-8")
    return path.as_uri()


@contextmanager
def visit(browser: Any, address: str, width: int = 1280, **options: Any) -> Iterator[Any]:
    """The page as one reader has it; any message, failure, dialogue or further request is an error."""
    context = browser.new_context(viewport={"width": width, "height": 800}, **options)
    tab, heard = context.new_page(), []
    tab.on("console", lambda message: heard.append(message.text))
    tab.on("pageerror", lambda error: heard.append(str(error)))
    tab.on("dialog", lambda dialog: (heard.append(dialog.message), dialog.dismiss()))
    tab.on("request", lambda request: heard.append(request.url) if request.url not in (address, "data:,") else None)
    tab.goto(address)
    yield tab
    context.close()
    assert heard == []


def column(tab: Any, place: int, table: str = FIRST) -> list[str]:
    rows = tab.locator(f"{table} tbody tr:visible")
    return [row.locator("th, td").nth(place).inner_text() for row in rows.all()]


def test_it_opens_without_a_word_a_request_or_a_dialogue(browser: Any, address: str) -> None:
    with visit(browser, address) as tab:
        assert tab.locator("h1").is_visible()
        assert tab.locator("figure svg").count() == 2
        assert tab.locator(".headline li").first.bounding_box()["y"] < 400


def test_a_heading_sorts_up_then_down_then_back_with_missing_last(browser: Any, address: str) -> None:
    with visit(browser, address) as tab:
        before = column(tab, 0)
        heading = tab.locator(f"{FIRST} thead th").nth(1)
        seen = []
        for _ in range(3):
            heading.locator("button").click()
            seen.append((heading.get_attribute("aria-sort"), column(tab, 0)))
        assert seen == [
            ("ascending", ["lstm", "s4", "s5", "gpt", "mamba", "rnn", "mlp"]),
            ("descending", ["mamba", "gpt", "s4", "s5", "lstm", "rnn", "mlp"]),
            ("none", before),
        ]


def test_words_sort_as_a_reader_would_and_from_the_keyboard(browser: Any, address: str) -> None:
    with visit(browser, address) as tab:
        headings = tab.locator(f"{FIRST} thead th")
        headings.nth(1).locator("button").focus()
        tab.keyboard.press("Tab")
        tab.keyboard.press("Enter")
        assert column(tab, 2) == ["apple 9", "apple 10", "m", "m", "m", "Zebra", "–"]
        tab.keyboard.press("Space")
        assert headings.nth(2).get_attribute("aria-sort") == "descending"
        assert headings.nth(1).get_attribute("aria-sort") == "none"
        assert column(tab, 2) == ["Zebra", "m", "m", "m", "apple 10", "apple 9", "–"]


def test_the_filter_keeps_rows_with_every_word_of_its_own_table(browser: Any, address: str) -> None:
    with visit(browser, address) as tab:
        box = tab.locator(f"{FIRST} input")
        box.fill("APPLE 9")
        assert column(tab, 0) == ["lstm"]
        assert tab.locator(f"{FIRST} output").inner_text() == "1 of 7"
        assert tab.locator("#table-wide tbody tr:visible").count() == 60
        box.fill("apple (")
        assert column(tab, 0) == []
        tab.locator(f"{FIRST} thead button").nth(1).click()
        box.fill("")
        assert len(column(tab, 0)) == 7
        assert tab.locator(f"{FIRST} output").inner_text() == ""


def test_all_costs_are_seen_at_1280_pixels_without_scrolling(browser: Any, tmp_path: Path) -> None:
    """Of tasks and of a bench, with numbers as long as they get."""
    told = {"latency_p50_us": 1363.5, "train_tokens_per_second": 145_424.0, LATENCY: 0.9, TRAINING: 0.9}
    for name in ("linear-attention", "mamba2"):
        for seed in range(5):
            own = {key: value * (1 + 0.1 * seed) if value > 1 else value for key, value in told.items()}
            make_run(tmp_path, name, "cartpole-velocity", seed, 0.5 + 0.01 * seed,
                     result={**own, "parameters_total": 1_000_706, "parameters_backbone": 1_000_032})  # fmt: skip
    times = {1: 1234.0, 20: 1234.0, 100: 1234.0, 300: 1234.0, 1000: 2345.0}
    bench(
        tmp_path, "20260101t000000-quick", {("mamba2", "recurrent"): times, ("gpt", "kv_cache"): times}, shared={1: 5}
    )
    path = tmp_path / "report.html"
    path.write_text(page(build(tmp_path, {}).report), encoding="utf-8")
    with visit(browser, path.as_uri()) as tab:
        for name in ("cartpole-velocity-costs", "latency-context", "memory"):
            box = tab.locator(f"#table-{name} .scroll")
            assert box.evaluate("box => box.scrollWidth <= box.clientWidth"), name


@pytest.mark.parametrize("width", [320, 360, 768, 1280, 1920])
def test_the_page_itself_never_scrolls_sideways(browser: Any, address: str, width: int) -> None:
    with visit(browser, address, width) as tab:
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        boxes = tab.locator("nav, main :is(svg, p, pre, .scroll, li, h1, h2)").all()
        for bounds in (box.bounding_box() for box in boxes if box.is_visible()):
            assert bounds["width"] <= width
        assert tab.evaluate(
            "[...document.querySelectorAll('th, td')].every(cell => cell.scrollWidth <= cell.clientWidth + 1)"
        )
        wide = tab.locator("#table-wide .scroll")
        assert wide.evaluate("box => box.scrollWidth > box.clientWidth") or width > 1280


def brightness(place: Any, colour: str) -> float:
    """From 0 to 255, of the first element there."""
    found = place.first.evaluate("(element, colour) => getComputedStyle(element)[colour]", colour)
    return sum(float(part) for part in found[found.index("(") + 1 : -1].split(",")[:3]) / 3


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_the_reader_s_scheme_holds_for_page_and_drawings(browser: Any, address: str, scheme: str, dark: bool) -> None:
    with visit(browser, address, color_scheme=scheme) as tab:
        ground, ink = (brightness(tab.locator("body"), colour) for colour in ("backgroundColor", "color"))
        letters, heading = brightness(tab.locator("svg text"), "fill"), brightness(tab.locator("th"), "backgroundColor")
        assert (ground < 60) == dark and heading == ground
        assert abs(ink - ground) > 150 and letters == ink


def test_without_script_every_table_stands_there(browser: Any, address: str) -> None:
    with visit(browser, address, java_script_enabled=False) as tab:
        assert tab.locator(f"{FIRST} tbody tr:visible").count() == 7
        assert tab.locator("input:visible").count() == 0


def test_on_paper_every_row_is_there_and_no_control(browser: Any, address: str) -> None:
    with visit(browser, address, color_scheme="dark") as tab:
        tab.locator(f"{FIRST} input").fill("lstm")
        tab.emulate_media(media="print")
        assert tab.locator(f"{FIRST} tbody tr:visible").count() == 7
        assert tab.locator("input:visible, nav:visible, .code button:visible").count() == 0
        assert tab.locator("#table-wide .scroll").evaluate("box => box.scrollHeight <= box.clientHeight")
        assert tab.locator("dd").first.is_visible()
        assert brightness(tab.locator("body"), "backgroundColor") > 250


def test_contents_lead_to_their_section(browser: Any, address: str) -> None:
    with visit(browser, address, 360, reduced_motion="reduce") as tab:
        tab.locator("nav a").last.click()
        assert 0 <= tab.locator("#cite h2").bounding_box()["y"] < 800
        assert tab.locator("nav").bounding_box()["y"] == 0


def test_the_citation_is_copied_as_it_is(browser: Any, address: str) -> None:
    with visit(browser, address, permissions=["clipboard-read", "clipboard-write"]) as tab:
        tab.locator(".code button").click()
        tab.locator(".code button", has_text="Copied").wait_for()
        assert tab.evaluate("navigator.clipboard.readText()") == BIBTEX


def test_even_a_script_past_the_escapes_does_not_run(browser: Any, tmp_path: Path) -> None:
    evil = '<svg onload="window.hit=1"><script>window.hit=1</script><image href="http://localhost:9/x.png"/></svg>'
    path = tmp_path / "evil.html"
    path.write_text(page(Report("r", (), (Section("a", "A", figures=(Figure("f", "t", "c", evil, b""),)),))))
    tab = browser.new_page()
    tab.goto(path.as_uri())
    assert tab.evaluate("window.hit") is None
    tab.close()
