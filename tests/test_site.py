"""The site of ``docs``: it builds without a warning, its links lead somewhere, and a browser shows it without the network."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip("sphinx", reason="sphinx is not installed: pip install '.[docs]'")

ROOT = Path(__file__).parents[1]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
LOADED = re.compile(
    r'<(?:script|img|iframe|source)[^>]+src="([^"]+)"|<link[^>]+rel="(?:stylesheet|preload)"[^>]+href="([^"]+)'
)
LINK = re.compile(r'<a [^>]*href="([^"]+)"')
WIDTHS, THEMES = (390, 1280), ("light", "dark")
LOOKED_AT = (
    "index", "quickstart", "results", "speed", "how-it-is-built", "generated/command-line", "generated/tasks/umbrella", "api",
)  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the pages, as ``make docs`` builds them: a warning is an error."""
    work = tmp_path_factory.mktemp("site")
    for name in ("docs", "results/reference/questions/studies"):
        shutil.copytree(ROOT / name, work / name, ignore=shutil.ignore_patterns("generated", "__pycache__"))
    for name in ("CONTRIBUTING.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, work / name)
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", "docs", "site"]
    built = subprocess.run(command, cwd=work, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return work / "site"


def pages(site: Path) -> list[Path]:
    return sorted(path for path in site.rglob("*.html") if "_static" not in path.parts)


def test_every_link_leads_to_a_page_and_a_place_that_are_there(site: Path) -> None:
    places = {path: set(re.findall(r'\bid="([^"]+)"', path.read_text())) for path in pages(site)}
    lost = []
    for page in places:
        for link in LINK.findall(page.read_text()):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            place = unquote(parts.fragment)
            found = target.exists() and (not place or place in places.get(target, {place}))
            if not found:
                lost.append(f"{page.relative_to(site)} -> {link}")
    assert lost == []


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    for page in pages(site):
        for loaded in (first or second for first, second in LOADED.findall(page.read_text())):
            assert not urlsplit(loaded).netloc, f"{page.name}: {loaded}"


def test_it_can_be_searched(site: Path) -> None:
    index = (site / "searchindex.js").read_text()
    assert "umbrella" in index and "generated/tasks/umbrella" in index


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[test]'")
    if CHROMIUM is None:
        pytest.skip("no Chromium on the PATH: apt install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_pages_fit_their_screen_and_say_nothing(browser: Any, site: Path, width: int, theme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=theme)
    tab, heard = context.new_page(), []
    tab.on("console", lambda message: heard.append(message.text))
    tab.on("pageerror", lambda error: heard.append(str(error)))
    tab.on("request", lambda request: heard.append(request.url) if request.url.startswith("http") else None)
    for name in LOOKED_AT:
        tab.goto((site / f"{name}.html").as_uri())
        assert tab.locator("h1").first.is_visible(), name
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, name
        background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 384) == (theme == "dark"), (name, background)
    context.close()
    assert heard == []
