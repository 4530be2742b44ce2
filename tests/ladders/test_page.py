"""The page of climbs says what was planted, the same for the same records, and is read on a phone as on a desk."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from dsbench.ladders.page import report_of
from dsbench.reports.document import Report, Table
from dsbench.reports.markdown import markdown
from dsbench.reports.page import page
from tests.reports.ladders.simulated import groups_of, ladder, runs_of

NAMES = ("memory-span", "recall", "selection")
PLANTED = {
    "s4d": [7, 7, 8, 7, 7],
    "lstm": [2, 2, 2, 3, 2],
    "gru": [2, 3, 2, 2, 2],
    "gpt": [5, 1, 5, 4, 5],
    "mlp": [0] * 5,
}
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def built(*names: str, planted: dict[str, list[int]] | None = None, shuffled: int | None = None) -> Report:
    ladders = [ladder(name, takes_memory=True) for name in names]
    runs = [run for one in ladders for run in runs_of(one, planted or PLANTED)]
    if shuffled is not None:
        np.random.default_rng(shuffled).shuffle(runs)  # type: ignore[arg-type]
    return report_of(ladders, groups_of(runs), "dsbench ladder --all")


def table(report: Report, name: str) -> Table:
    return next(one for section in report.sections for one in section.tables if one.name == name)


def test_one_ladder_has_its_sentence_first_and_several_have_a_profile() -> None:
    alone, several = built("memory-span"), built(*NAMES)
    assert alone.headline[0].startswith("Memory span: s4d reaches further than")
    assert alone.sections[0].name == "ladder-memory-span"
    assert [section.name for section in several.sections[:3]] == ["profile", "verdicts", "ladder-memory-span"]
    assert [figure.name for figure in several.sections[0].figures] == ["profile"]
    assert len(several.sections[1].paragraphs) >= len(NAMES), "a sentence a skill"


def test_a_verdict_carries_its_budget_its_learning_rate_and_its_parameters() -> None:
    (sentence,) = built("memory-span").headline
    assert "500 updates at learning rate 0.003, 50,000 parameters; not tried at twice the budget" in sentence


def test_reaches_stand_on_the_ladder_s_own_scale_beside_their_costs() -> None:
    found = table(built("memory-span"), "ladder-memory-span")
    rows = {row[0].text: [cell.text for cell in row] for row in found.rows}
    assert rows["s4d"][3] == "640, 640, ≥ 1,280, 640, 640"
    assert rows["mlp"][2] == "< 10"
    assert list(rows)[-1] == "mlp"
    assert "training s ↓" in [heading.text for heading in found.headings]


def test_climbs_of_one_ladder_under_other_conditions_stand_apart_under_names_of_their_own() -> None:
    ladders = [ladder(name) for name in NAMES]
    runs = [
        run
        for one in ladders
        for conditions in ({}, {"match": "params=100k"}, {"train.lr": 0.001})
        for run in runs_of(one, PLANTED, **conditions)
    ]
    report = report_of(ladders, groups_of(runs), "dsbench ladder --all")
    names = [section.name for section in report.sections]
    tables = [one.name for section in report.sections for one in section.tables]
    assert len(names) == len(set(names)) and len(tables) == len(set(tables))
    assert [name for name in names if name.startswith("profile")] == ["profile", "profile-params-100k"]
    titles = [section.title for section in report.sections if section.name.startswith("ladder-recall")]
    assert len(set(titles)) == 3 and any("lr=0.001" in title for title in titles)


def test_a_profile_of_ties_says_that_it_tells_nothing_apart() -> None:
    report = built(*NAMES, planted={name: [8] * 5 for name in ("s4d", "lstm", "gru", "gpt")})
    assert all("does not tell them apart" in sentence for sentence in report.sections[1].paragraphs[: len(NAMES)])
    assert "part 0 of the 6 pairs" in report.headline[0]


def test_a_control_that_climbs_a_ladder_of_memory_is_the_ladder_s_fault() -> None:
    section = built("recall", planted={**PLANTED, "mlp": [0, 0, 2, 0, 0]}).sections[0]
    assert any("A fault of this ladder: mlp passed a rung" in paragraph for paragraph in section.paragraphs)


@pytest.mark.parametrize("number", range(3))
def test_the_same_records_in_whatever_order_make_the_same_page(number: int) -> None:
    assert markdown(built(*NAMES, shuffled=number)) == markdown(built(*NAMES))
    assert page(built(*NAMES, shuffled=number)) == page(built(*NAMES))


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH: apt install chromium")
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone_and_a_desk(tmp_path: Path, width: int, scheme: str) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[test]'")
    path = tmp_path / "ladder.html"
    path.write_text(page(built(*NAMES)), encoding="utf-8")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM)
        tab = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        heard: list[str] = []
        tab.on("console", lambda message: heard.append(message.text))
        tab.goto(path.as_uri())
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert tab.locator("#profile figure svg").is_visible()
        assert heard == []
        browser.close()
