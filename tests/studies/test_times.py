"""The times of a study's cells: marked where others may have had the core, and never compared across ways of acting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dsbench.reports.contention import LATENCY
from dsbench.reports.document import Report, Table
from dsbench.studies.answers import answers_of
from dsbench.studies.grid import cells_of
from dsbench.studies.page import report_of
from dsbench.studies.study_file import load_study
from tests.studies.test_page import finish

TEXT = """\
format: 1
title: One token or three?
question: What does it cost?
backbones: [gpt, rnn]
envs: [umbrella]
axes:
  layout:
    joint: {wrapper.tokens: joint}
    separate: {wrapper.tokens: separate}
table: {rows: [ROWS], measures: [MEASURES]}
sizes:
  smoke: {preset: quick, seeds: 2}
  quick: {preset: smoke}
  full: {preset: smoke}
"""
ALONE = {LATENCY: 0.0, "acting": "stateful", "implementation": "torch", "device": "cpu"}
TIMES = {("gpt", "joint"): 200.0, ("gpt", "separate"): 500.0, ("rnn", "joint"): 100.0, ("rnn", "separate"): 300.0}


def page(
    folder: Path, measures: str = "score, latency", rows: str = "backbone, layout", **told: Any
) -> tuple[Report, Table]:
    """The page of four cells of two seeds; `told` is a row's own, of ``backbone_layout`` or, with the seed, of one run."""
    path = folder / "layouts.yaml"
    path.write_text(TEXT.replace("MEASURES", measures).replace("ROWS", rows))
    study = load_study(path)[1]
    cells = cells_of(study, "smoke")
    for cell in cells:
        key = cell.labels["backbone"], cell.labels["layout"]
        for seed in (0, 1):
            own = told.get("_".join(key), {}) | told.get("_".join([*key, str(seed)]), {})
            finish(folder, cell, seed, success_metric="return_mean", return_mean=0.5 + 0.1 * seed,
                   **{"latency_p50_us": TIMES[key]} | ALONE | own)  # fmt: skip
    report = report_of("layouts", study, "smoke", answers_of(cells, folder), "dsbench study")
    (table,) = next(section.tables for section in report.sections if section.name == "answer")
    return report, table


def latencies(table: Table) -> dict[str, str]:
    place = next(n for n, heading in enumerate(table.headings) if heading.text.startswith("latency"))
    return {f"{row[0].text} {row[1].text}": row[place].text for row in table.rows}


def test_undisturbed_times_of_one_way_are_means_and_have_a_ratio(tmp_path: Path) -> None:
    report, table = page(tmp_path)
    assert latencies(table) == {
        "gpt joint": "200", "gpt separate": "500", "rnn joint": "100", "rnn separate": "300"
    }  # fmt: skip
    assert "latency p50 µs × 2.75 (2.50 to 3.00)" in report.headline[0]
    assert not any(note.startswith("Latency") for note in table.notes)


@pytest.mark.parametrize(("share", "mark"), [(1.0, "*"), (None, "?")])
def test_a_cell_that_none_is_known_to_have_timed_alone_is_marked(
    tmp_path: Path, share: float | None, mark: str
) -> None:
    report, table = page(tmp_path, rnn_separate={LATENCY: share}, gpt_joint_1={LATENCY: share, "latency_p50_us": 9e9})
    assert latencies(table)["rnn separate"] == f"300{mark}"
    assert latencies(table)["gpt joint"] == "200"  # the other seed had the core
    assert f"× 2.75{mark} (" in report.headline[0]
    assert any(note.startswith("Latency: ") and f"({mark}" in note for note in table.notes)


def test_seeds_that_were_computed_in_several_ways_have_no_mean(tmp_path: Path) -> None:
    report, table = page(tmp_path, rnn_separate_1={"implementation": "c"})
    assert latencies(table)["rnn separate"] == "–"
    assert "not of umbrella, rnn, separate (computed in several ways: c and torch)" in " ".join(table.notes)
    assert report.headline[0].endswith("latency p50 µs × 2.50.")  # of gpt alone


def test_pairs_of_several_ways_to_act_have_no_common_ratio(tmp_path: Path) -> None:
    report, table = page(tmp_path, rnn_joint={"acting": "windowed", "decision_context": 20})
    assert (
        "latency p50 µs of acting in several ways: stateful and windowed over 20, so without a ratio"
        in report.headline[0]
    )
    assert "no contest between rows that were measured acting in several ways" in " ".join(table.notes)


def test_the_least_time_is_told_and_wins_nothing(tmp_path: Path) -> None:
    report, table = page(
        tmp_path, "latency", "layout, backbone", rnn_joint={LATENCY: 0.9}, rnn_separate={"device": "cuda"}
    )
    joint, separate = sorted(report.headline)
    assert joint == (
        "On umbrella, layout joint, rnn has the lowest mean of latency p50, µs, 100 ± 0 (n = 2), no contest: "
        "not known to have had the core to themselves."
    )
    assert separate.endswith("300 ± 0 (n = 2), no contest: on several devices: cpu and cuda.")
    assert not any(cell.best for row in table.rows for cell in row)
