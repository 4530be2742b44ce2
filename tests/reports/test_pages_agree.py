"""The same runs on every page: report, table and study count, average and mark alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsbench.config import run_id, to_dict
from dsbench.records.run_folder import RunFolder
from dsbench.reports.content.build import build
from dsbench.reports.content.gathering import tasks_of
from dsbench.reports.content.judging import judge
from dsbench.reports.document import Table
from dsbench.reports.groups import read_groups
from dsbench.reports.table import markdown, rows
from dsbench.studies.answers import answers_of
from dsbench.studies.grid import cells_of
from dsbench.studies.page import report_of
from dsbench.studies.study_file import load_study
from tests.reports.synthetic import make_run, seeds

pytestmark = pytest.mark.usefixtures("undrawn")
STUDY = """
format: 1
title: Odd ends
question: What do failed runs count as?
backbones: [gpt, lstm, s4d, rnn]
envs: [umbrella]
table: {rows: [backbone], measures: [score]}
sizes:
  smoke: {preset: smoke, seeds: 5}
  quick: {preset: smoke}
  full: {preset: smoke}
"""
ENDS = (  # backbone -> how its seeds ended; a number is a score
    {"gpt": [0.9, 0.91, 0.92, 0.93, 0.94], "lstm": [0.5, None, 0.52, "failed", "timeout"],
     "s4d": [0.7, 0.71, "diverged", 0.72, "out_of_memory"], "rnn": ["failed"] * 5},
    {"gpt": [1e-9, 2e-9, 1.5e-9, 1e-9, 2e-9], "lstm": [0.0] * 5, "s4d": [1.0] * 5, "rnn": [None] * 5},
    {"gpt": [1.0] * 5, "lstm": [1.0, 1.0, 1.0, 1.0, "failed"], "s4d": [0.0, 0.0, 0.0, 0.0, 1.0], "rnn": [0.5] * 5},
)  # fmt: skip


@pytest.mark.parametrize("ends", ENDS)
def test_a_study_and_a_report_of_the_same_runs_agree(tmp_path: Path, ends: dict[str, list[float | str | None]]) -> None:
    (tmp_path / "odd.yaml").write_text(STUDY)
    study = load_study(tmp_path / "odd.yaml")[1]
    cells = list(cells_of(study, "smoke"))
    for cell in cells:
        for config, end in zip(cell.configs, ends[cell.labels["backbone"]], strict=True):
            status = end if isinstance(end, str) else "ok"
            folder = RunFolder.open(tmp_path / "made", run_id(config))
            row = {"success_metric": "first_action_accuracy", "measure_minimum": 0.0, "measure_maximum": 1.0}
            told = (
                {}
                if isinstance(end, str)
                else {"first_action_accuracy": end, "score_error": 0.01, "eval_episodes": 100}
            )
            with folder.claim():
                folder.write_config(to_dict(config))
                folder.write_provenance({"dsbench": "0", "result_version": 2})
                folder.finish(status, {"run_id": folder.run_id, "reason": None, **row, **told})
    (task,) = tasks_of(read_groups(tmp_path / "made"), {})
    of_report = {
        one.name: (task.estimate(one), len(one.scores) - one.failed, task.samples.get(one.name)) for one in task.learned
    }
    answers = answers_of(cells, tmp_path / "made")
    of_study = {one.labels["backbone"]: (one.estimates["score"], one.n, one.samples.get("score")) for one in answers}
    of_table = {row["backbone"]: (row["metrics"]["score"], row["n"]) for row in rows(tmp_path / "made")}
    assert of_study == of_report
    assert of_table == {name: (one and one.to_dict(), n) for name, (one, n, _) in of_report.items()}
    marked = {
        row[0].text for row in _table(build(tmp_path / "made", {}).report.sections, task.name).rows if row[3].best
    }
    page = report_of("odd", study, "smoke", answers, "")
    assert {row[0].text for row in _table(page.sections, "odd").rows if row[1].best} == marked
    assert marked == {judge([task]).claims.winner(task.name)} - {None}


def _table(sections: object, name: str) -> Table:
    return next(table for one in sections for table in one.tables if table.name == name)  # type: ignore[attr-defined]


def test_a_run_that_ended_ok_without_a_score_is_counted_and_listed_as_failed(tmp_path: Path) -> None:
    seeds(tmp_path, "a", "t", [0.1, 0.2, 0.3])
    odd = make_run(tmp_path, "a", "t", 3, None)
    (row,) = rows(tmp_path)
    assert (row["n"], row["failures"], row["metrics"]["score"]["n"]) == (3, {"failed": 1}, 4)
    report = build(tmp_path, {}).report
    found = _table(report.sections, "t").rows[0]
    assert [cell.text for cell in found[1:3]] == ["3", "1"]
    listed = _table(report.sections, "failures").rows
    assert [(line[0].text, line[4].text) for line in listed] == [(odd, "failed")] and "no finite number" in listed[0][
        5
    ].text
    assert "no finite number" in markdown(tmp_path)


def test_equals_share_the_first_place_over_tasks_too(tmp_path: Path) -> None:
    for env in ("a", "b"):
        for backbone, mean in (("gpt", 0.9), ("lstm", 0.9), ("rnn", 0.2)):
            seeds(tmp_path, backbone, env, [mean + 0.01 * step for step in range(5)])
    (sentence,) = build(tmp_path, {"a": "family", "b": "family"}).report.headline
    assert sentence.startswith(
        "family (2 tasks): gpt, lstm share the highest mean of normalised scores over the tasks, 92.0 ±"
    )
    assert sentence.endswith("separated from all others.")
