"""The page of a study: its numbers are those of the runs, nothing that is missing is left out, bold means apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from dsbench.config import run_id, to_dict
from dsbench.records.run_folder import RunFolder
from dsbench.reports.content.gathering import tasks_of
from dsbench.reports.groups import read_groups
from dsbench.studies.answers import ABSENT, answers_of
from dsbench.studies.grid import Cell, cells_of
from dsbench.studies.page import report_of
from dsbench.studies.study_file import Study, load_study
from dsbench.studies.writing import write

TEXT = """\
format: 1
title: Which is longer?
question: Does the length <matter>?
backbones: [gpt, rnn]
envs: [umbrella]
axes:
  length:
    "3": {env.chain_length: 3}
    "12": {env.chain_length: 12}
table: {rows: [backbone], columns: length, measures: [score, share]}
figure: {x: length, y: score, label: length}
published: [decision-s4/4/latency]
sizes:
  smoke: {preset: smoke, seeds: 5}
  quick: {preset: smoke}
  full: {preset: smoke}
"""
SCORES = {
    ("gpt", "3"): (0.9, 0.91, 0.92, 0.91, 0.91),
    ("gpt", "12"): (0.5, 0.6, 0.7, 0.6, 0.6),
    ("rnn", "3"): (0.4, 0.5, 0.6, 0.5, 0.5),
}


def half_width(*scores: Sequence[float]) -> float:
    """Of the first: two contestants, judged by the larger of its own spread and their mean, degrees of freedom lowered by 1."""
    variances = [float(np.var(own, ddof=1)) for own in scores]
    freedom = max(4.0, sum(variances) ** 2 / sum(v**2 / 4 for v in variances) - 1)
    return float(stats.t.ppf(0.975, freedom) * np.sqrt(max(variances[0], float(np.mean(variances))) / 5))


SHORT = f"{half_width(SCORES['gpt', '3'], SCORES['rnn', '3']):.3f}"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    path = tmp_path / "longer.yaml"
    path.write_text(TEXT)
    return load_study(path)[1]


def finish(results: Path, cell: Cell, seed: int, status: str = "ok", **row: Any) -> str:
    """A run as a worker leaves it, with these numbers."""
    config = cell.configs[seed]
    folder = RunFolder.open(results, run_id(config))
    with folder.claim():
        folder.write_config(to_dict(config))
        folder.write_provenance({"dsbench": "0"})
        folder.finish(status, {"run_id": folder.run_id, "reason": None, **row})
    return folder.run_id


def made(results: Path, study: Study) -> Mapping[tuple[str, str], Cell]:
    """Results of all but the longest RNN, one run of which failed and two of which did not begin."""
    cells = {(cell.labels["backbone"], cell.labels["length"]): cell for cell in cells_of(study, "smoke")}
    for key, scores in SCORES.items():
        for seed, score in enumerate(scores):
            parameters = 2_000 if key[0] == "gpt" else 500
            finish(results, cells[key], seed, success_metric="first_action_accuracy", first_action_accuracy=score,
                   parameters_total=parameters)  # fmt: skip
    finish(results, cells["rnn", "12"], 0, "failed", reason="ValueError: <no>")
    return cells


def test_the_table_holds_means_with_their_intervals_and_what_is_missing(tmp_path: Path, study: Study) -> None:
    cells = made(tmp_path, study)
    report = report_of("longer", study, "smoke", answers_of(list(cells.values()), tmp_path), "dsbench study")
    (table,) = next(section.tables for section in report.sections if section.name == "answer")
    assert [heading.text for heading in table.headings] == [
        "backbone", "3: score ↑", "12: score ↑", "3: share of parameters ↓", "n"
    ]  # fmt: skip
    gpt, rnn = table.rows
    half = half_width(SCORES["gpt", "12"])
    assert (gpt[2].value, gpt[2].low, gpt[2].high, gpt[2].n) == pytest.approx((0.6, 0.6 - half, 0.6 + half, 5))
    assert (gpt[1].best, gpt[2].best, rnn[1].best) == (True, False, False)
    assert (gpt[3].text, rnn[3].text, gpt[4].text, rnn[4].text) == ("1.00", "0.25", "10", "5")
    assert (rnn[2].text, rnn[2].value, rnn[2].n) == (
        "0.500",
        0.5,
        1,
    )  # it failed: the lowest finished score of the task


def test_the_headline_names_the_best_and_whether_it_is_apart(tmp_path: Path, study: Study) -> None:
    cells = made(tmp_path, study)
    assert report_of("longer", study, "smoke", answers_of(list(cells.values()), tmp_path), "").headline == (
        "smoke: scores mean nothing.",
        f"On umbrella, length 3, gpt has the best score, 0.910 ± {SHORT} (n = 5), apart from rnn.",
        f"On umbrella, length 12, gpt has the best score, 0.600 ± {half_width(SCORES['gpt', '12']):.3f} (n = 5), not apart "
        "from rnn (0.500): n = 1 cannot support a claim: it takes 4 seeds of each, and rarely less than 5.",
    )


def test_the_page_says_where_its_runs_were_made(tmp_path: Path, study: Study) -> None:
    cells = made(tmp_path, study)
    report = report_of("longer", study, "smoke", answers_of(list(cells.values()), tmp_path), "")
    told = next(section.paragraphs for section in report.sections if section.name == "method")
    assert [line for line in told if line.startswith("Made on")] == [
        "Made on: unknown CPU, ? cores · torch unknown · threads ? · dsbench 0 · commit unknown (16 runs)"
    ]


def test_runs_that_say_nothing_are_listed(tmp_path: Path, study: Study) -> None:
    cells = made(tmp_path, study)
    report = report_of("longer", study, "smoke", answers_of(list(cells.values()), tmp_path), "")
    (missing,) = next(section.tables for section in report.sections if section.name == "missing")
    assert [(row[1].text, row[2].text) for row in missing.rows] == [
        ("failed", "ValueError: <no>"), *[(ABSENT, "–")] * 4
    ]  # fmt: skip


def test_before_the_first_run_there_is_a_page_too(tmp_path: Path, study: Study) -> None:
    report = report_of("longer", study, "smoke", answers_of(cells_of(study, "smoke"), tmp_path), "")
    assert report.headline == ("On umbrella no run has ended yet.",)
    assert write(report, tmp_path / "page").exists()


def test_the_files_hold_the_same_numbers_and_escape_what_users_wrote(tmp_path: Path, study: Study) -> None:
    cells = made(tmp_path, study)
    report = report_of("longer", study, "smoke", answers_of(list(cells.values()), tmp_path), "dsbench study longer")
    page = write(report, tmp_path / "page")
    files = {str(path.relative_to(page.parent)) for path in page.parent.rglob("*") if path.is_file()}
    assert files >= {"study.html", "study.md", "figures/longer.svg", "figures/longer.png", "tables/longer.csv"}
    html = page.read_text()
    assert "&lt;matter&gt;" in html and "<matter>" not in html
    assert f"0.910 ± {SHORT}" in html and f"**0.910 ± {SHORT}**" in (page.parent / "study.md").read_text()
    first = {name: (page.parent / name).read_bytes() for name in files}
    write(report, tmp_path / "page")
    assert first == {name: (page.parent / name).read_bytes() for name in files}


def test_published_numbers_stand_beside_as_printed_with_the_reason_why_not(tmp_path: Path, study: Study) -> None:
    cells = made(tmp_path, study)
    report = report_of("longer", study, "smoke", answers_of(list(cells.values()), tmp_path), "")
    (table,) = next(section.tables for section in report.sections if section.name == "published")
    assert [(row[0].text, row[1].value) for row in table.rows][:2] == [("DS4", 2.1), ("DT (k = 1)", 2.3)]
    assert any(note.startswith("Comparable with the runs above? no:") for note in table.notes)


def test_a_latency_beside_other_work_is_told_and_stands_only_where_there_is_no_other(tmp_path: Path) -> None:
    path = tmp_path / "quick.yaml"
    path.write_text(TEXT.replace("[score, share]", "[score, latency]"))
    study = load_study(path)[1]
    cell, *_ = cells_of(study, "smoke")
    for seed, (latency, share) in enumerate([(400.0, 0.0), (410.0, 0.0), (2_000.0, 0.9)]):
        finish(tmp_path, cell, seed, success_metric="first_action_accuracy", first_action_accuracy=0.5,
               latency_p50_us=latency, latency_contended=share)  # fmt: skip
    report = report_of("quick", study, "smoke", answers_of([cell], tmp_path), "")
    (table,) = next(section.tables for section in report.sections if section.name == "answer")
    assert (table.rows[0][2].value, table.rows[0][2].n) == (405.0, 2)
    assert any(note.startswith("Latency: in 1 of 3 runs other work had the core") for note in table.notes)


def test_a_study_counts_failures_as_a_report_does(tmp_path: Path, study: Study) -> None:
    """Three of five seeds diverged: no longer the best, and the same number as in the report of the same folder."""
    cells = {(cell.labels["backbone"], cell.labels["length"]): cell for cell in cells_of(study, "smoke")}
    named = {"success_metric": "first_action_accuracy", "measure_minimum": 0.0, "measure_maximum": 1.0}
    for seed, score in enumerate((1.0, 0.99)):
        finish(tmp_path, cells["gpt", "3"], seed, **named, first_action_accuracy=score)
    for seed in (2, 3, 4):
        finish(tmp_path, cells["gpt", "3"], seed, "diverged", **named)
    for seed, score in enumerate((0.9, 0.91, 0.92, 0.9, 0.9)):
        finish(tmp_path, cells["rnn", "3"], seed, **named, first_action_accuracy=score)
    answers = answers_of(list(cells.values()), tmp_path)
    report = report_of("longer", study, "smoke", answers, "")
    assert report.headline[1].startswith("On umbrella, length 3, rnn has the best score, 0.906")
    by_name = {(one.labels["backbone"], one.labels["length"]): one.estimates["score"] for one in answers}
    (task,) = tasks_of(read_groups(tmp_path), {})
    for contestant in task.contestants:
        ours, theirs = task.estimate(contestant), by_name[contestant.backbone, "3"]
        assert ours is not None and theirs is not None
        assert ours.to_dict() == pytest.approx(theirs.to_dict())
    assert by_name["gpt", "3"].mean == pytest.approx(1.99 / 5)  # type: ignore[union-attr]


def test_a_run_that_failed_before_its_settings_counts_in_a_study(tmp_path: Path, study: Study) -> None:
    cell = next(iter(cells_of(study, "smoke")))
    for seed in range(4):
        finish(tmp_path, cell, seed, success_metric="first_action_accuracy", first_action_accuracy=0.5 + seed / 10)
    config = cell.configs[4]
    folder = RunFolder.open(tmp_path, run_id(config))
    with folder.claim():
        folder.finish(
            "failed", {"run_id": folder.run_id, "backbone": "gpt", "env": "umbrella", "seed": 4, "reason": "no"}
        )
    (answer,) = answers_of([cell], tmp_path)
    found = answer.estimates["score"]
    assert found is not None
    assert (found.n, found.mean) == (5, pytest.approx((0.5 + 0.6 + 0.7 + 0.8 + 0.5) / 5))
