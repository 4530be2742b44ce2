"""What a page must not suggest: presets as differences, bands of three seeds, values beyond a measure, smoke as scores."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from dsbench.config import resolve, to_dict
from dsbench.config.presets import PRESETS
from dsbench.reports import smoke
from dsbench.reports.claims import Contest, decide
from dsbench.reports.content.build import build
from dsbench.reports.content.contest import Task
from dsbench.reports.content.curves import Journals, learning_curves
from dsbench.reports.content.gathering import tasks_of
from dsbench.reports.document import Figure, Report, Table
from dsbench.reports.figures import Axis, Series, plot
from dsbench.reports.groups import read_groups
from dsbench.reports.palette import styles
from dsbench.reports.table import rows
from tests.reports.synthetic import make_run, seeds

SVG = "{http://www.w3.org/2000/svg}"
SHARE = {"measure_minimum": 0.0, "measure_maximum": 1.0}


def table(report: Report, name: str) -> Table:
    return next(table for one in report.sections for table in one.tables if table.name == name)


def task(place: Path) -> Task:
    (found,) = tasks_of(read_groups(place), {})
    return found


def test_what_presets_say_of_each_environment_is_no_difference(tmp_path: Path) -> None:
    for env in ("umbrella", "door-key", "repeat-first"):
        for backbone in ("gpt", "lstm"):
            own = to_dict(resolve(backbone=backbone, env=env))
            given = {f"{part}.{name}": own[part][name] for part in ("data", "train", "eval") for name in own[part]}
            seeds(tmp_path, backbone, env, [0.9, 0.8], settings=given)
    assert {row["setting"] for row in rows(tmp_path)} == {""}
    seeds(tmp_path, "gpt", "umbrella", [0.5], settings=given | {"train.lr": 0.5})
    told = {(row["env"], row["setting"] != "") for row in rows(tmp_path)}
    assert told == {("umbrella", True), ("door-key", False), ("repeat-first", False)}


def lines(figure: Figure) -> int:
    """Curves of gpt's colour between the axes; a band is a filled shape and none of them."""
    root = ElementTree.fromstring(figure.svg)
    axes = next(group for group in root.iter(f"{SVG}g") if group.get("id", "").endswith("axes_1"))
    colour = styles(["gpt"])[0].colour
    return sum(
        f"stroke: {colour}" in path.get("style", "") and "fill: none" in path.get("style", "")
        for path in axes.iter(f"{SVG}path")
    )


@pytest.mark.parametrize(("count", "drawn", "banded"), [(3, 3, False), (4, 4, False), (5, 1, True)])
def test_few_seeds_have_a_line_each_and_no_band(tmp_path: Path, count: int, drawn: int, banded: bool) -> None:
    for backbone in ("gpt", "lstm", "rnn", "s4"):
        seeds(tmp_path, backbone, "umbrella", [0.1 * (seed + 1) for seed in range(count)])
    figure = learning_curves(task(tmp_path), Journals())
    assert figure is not None
    assert lines(figure) == drawn
    assert ("FillBetween" in figure.svg) is banded
    assert ("a line is one of them" in figure.caption) is not banded and ("bands" in figure.caption) is banded


def ends(figure: Figure) -> list[float]:
    """Numbers along the upright axis."""
    root = ElementTree.fromstring(figure.svg)
    side = next(group for group in root.iter(f"{SVG}g") if group.get("id", "").endswith("matplotlib.axis_2"))
    told = [(text.text or "").replace("\N{MINUS SIGN}", "-") for text in side.iter(f"{SVG}text")]
    return [float(word) for word in told if re.fullmatch(r"-?[\d.]+", word)]


def test_nothing_is_drawn_where_no_score_can_be(tmp_path: Path) -> None:
    for backbone in ("gpt", "lstm"):
        seeds(tmp_path, backbone, "umbrella", [1.0, 0.99, 0.01, 0.0, 1.0], metric="correct", result=SHARE)
    pictures = [figure for section in build(tmp_path, {}).report.sections for figure in section.figures]
    scored = [figure for figure in pictures if figure.name.startswith(("learning", "latency", "parameters"))]
    assert len(scored) == 3
    for figure in scored:
        assert min(ends(figure)) >= 0.0 and max(ends(figure)) <= 1.0, figure.name
    free = plot("a", "t", "c", [Series("gpt", (1, 2), (0.0, 1.0), (-0.5, 0.5), (0.5, 1.5))], Axis("x"), Axis("y"))
    assert min(ends(free)) < 0.0 and max(ends(free)) > 1.0


@pytest.mark.usefixtures("undrawn")
def test_costs_have_a_table_of_their_own_with_their_own_footnotes(tmp_path: Path) -> None:
    given = {"latency_contended": 0.9}
    seeds(tmp_path, "gpt", "umbrella", [0.9, 0.8], result=given)
    seeds(tmp_path, "lstm", "umbrella", [0.9, 0.8])
    report = build(tmp_path, {}).report
    scores, costs = table(report, "umbrella"), table(report, "umbrella-costs")
    assert not {heading.text for heading in scores.headings[1:]} & {heading.text for heading in costs.headings}
    assert {"parameters ↓", "latency p50 µs ↓", "train tokens/s ↑"} <= {heading.text for heading in costs.headings}
    assert not any(note.startswith("Latency") for note in scores.notes)
    assert any(note.startswith("Latency") and "(*)" in note for note in costs.notes)


@pytest.mark.usefixtures("undrawn")
def test_a_task_that_is_called_as_a_table_of_costs_takes_no_other_s_place(tmp_path: Path) -> None:
    for env in ("umbrella", "umbrella-costs", "umbrella-costs-costs"):
        seeds(tmp_path, "gpt", env, [0.9, 0.8])
    names = [table.name for section in build(tmp_path, {}).report.sections for table in section.tables]
    assert len(set(names)) == len(names)


@pytest.mark.usefixtures("undrawn")
def test_who_is_printed_alike_shares_the_first_place_in_words_too(tmp_path: Path) -> None:
    seeds(tmp_path, "gpt", "umbrella", [0.90, 0.95, 0.97])
    seeds(tmp_path, "lstm", "umbrella", [0.90, 0.95, 0.9701])
    report = build(tmp_path, {}).report
    assert len({row[3].text.partition(" ")[0] for row in table(report, "umbrella").rows}) == 1
    (sentence,) = report.headline
    assert "lstm, gpt share the highest mean return, 0.940" in sentence
    assert sentence.endswith("they cannot be told apart here.")


@pytest.mark.usefixtures("undrawn")
def test_who_is_claimed_to_be_above_shares_its_place_with_nobody(tmp_path: Path) -> None:
    luck = [0.30, 0.60, 0.90, 0.20, 0.50]  # the same for all, so that differences far below it are found
    for place, name in enumerate(("gpt", "lstm", "s4d", "rnn")):
        noise = np.random.default_rng(place).normal(size=5) * 1e-6
        seeds(tmp_path, name, "umbrella", [score - 2e-4 * place + e for score, e in zip(luck, noise, strict=True)])
    found = task(tmp_path)
    claims = decide({found.name: Contest([found.spread])})
    assert claims.winner(found.name) == "gpt"
    means = [found.estimate(one) for one in found.learned]
    assert [one.mean_text(".3f") for one in means if one is not None][:2] == ["0.500", "0.500"]
    assert "gpt has the highest mean return" in build(tmp_path, {}).report.headline[0]


@pytest.mark.usefixtures("undrawn")
def test_an_iqm_at_the_ceiling_is_said_to_say_nothing(tmp_path: Path) -> None:
    for env in ("a", "b"):
        seeds(tmp_path, "gpt", env, [1.0, 1.0, 1.0, 1.0, 0.2])
        seeds(tmp_path, "lstm", env, [1.0, 1.0, 1.0, 1.0, 0.6])
        seeds(tmp_path, "rnn", env, [0.1, 0.2, 0.3, 0.2, 0.1])
    notes = table(build(tmp_path, {}).report, "overall").notes
    assert "By IQM lstm, gpt cannot be told apart here: it is 100.0 for each of them." in notes


@pytest.mark.usefixtures("undrawn")
def test_smoke_is_said_first_wherever_such_runs_are(tmp_path: Path) -> None:
    assert smoke.PRESET in PRESETS and "mean nothing" in PRESETS[smoke.PRESET].summary
    seeds(tmp_path, "gpt", "umbrella", [0.9, 0.8])
    assert not any("smoke" in sentence for sentence in build(tmp_path, {}).report.headline)
    make_run(tmp_path, "gpt", "umbrella", 2, settings={"preset": "smoke"})
    assert build(tmp_path, {}).report.headline[0] == "smoke: scores mean nothing in 1 of 3 runs."
    assert smoke.smoke_sentences(["smoke", "smoke"]) == ("smoke: scores mean nothing.",)
