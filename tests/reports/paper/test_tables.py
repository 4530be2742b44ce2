"""Tables for a paper say what the page says: marks are its claims, captions name what failed, varied and acted otherwise."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from dsbench.errors import UnknownName, UsageError
from dsbench.records.store import Stored
from dsbench.reports.content.judging import judge
from dsbench.reports.content.material import Material, material_of
from dsbench.reports.document import Table
from dsbench.reports.ladders.climbs import climbs_of
from dsbench.reports.ladders.reach import contests_of, judged
from dsbench.reports.paper.tables import TABLES, paper_table
from tests.reports.ladders.simulated import groups_of, ladder, runs_of
from tests.reports.synthetic import make_run, seeds

HIGH, MIDDLE, LOW = [0.90, 0.91, 0.92, 0.90, 0.91], [0.89, 0.92, 0.91, 0.90, 0.90], [0.30, 0.31, 0.33, 0.29, 0.30]


def cells(table: Table, column: str) -> dict[str, tuple[str, bool]]:
    place = [heading.text for heading in table.headings].index(column)
    return {row[0].text: (row[place].text, row[place].best) for row in table.rows}


def caption(table: Table) -> str:
    return " ".join(table.notes)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two tasks: on one the best is apart from the worst, on the other three seeds of two say nothing."""
    for name, scores in (("gpt", HIGH), ("lstm", MIDDLE), ("rnn", LOW)):
        seeds(tmp_path, name, "umbrella", scores)
    for name in ("gpt", "rnn"):
        seeds(tmp_path, name, "door-key", [0.9, 0.2, 0.5])
    return tmp_path


def test_the_best_and_those_not_claimed_to_be_below_it_are_marked_and_nobody_where_nothing_can_be(
    results: Path,
) -> None:
    found = material_of(results, {})
    table = paper_table("tasks", found)
    task = next(task for task in found.tasks if task.name == "umbrella")
    shown = {one.name: task.estimate(one) for one in task.contestants}
    assert cells(table, "umbrella") == {
        name: (one.text(".3f"), name != "rnn") for name, one in shown.items() if one is not None
    }
    claims = found.judged.claims
    assert claims.above("umbrella", "gpt", "rnn") and not claims.above("umbrella", "gpt", "lstm")
    assert [best for _, best in cells(table, "door-key").values()] == [False, False, False]
    assert cells(table, "door-key")["lstm"] == ("–", False)
    assert "Nothing is marked on door-key: n = 3 cannot support a claim" in caption(table)
    assert "n = 5 seeds, but for gpt on door-key (3), rnn on door-key (3)." in caption(table)
    assert "No seed failed." in caption(table)


def test_a_caption_names_failures_ways_of_acting_what_varied_and_smoke(results: Path) -> None:
    make_run(results, "rnn", "umbrella", 5, status="failed")
    windowed = {"acting": "windowed", "decision_context": 20}
    varied = {"varied": "init, batches"}
    seeds(results, "mamba", "umbrella", HIGH, result=windowed | varied, settings={"preset": "smoke"})
    told = caption(paper_table("tasks", material_of(results, {})))
    assert told.startswith("smoke: scores mean nothing in 5 of 27 runs.")
    assert "Seeds that failed count at the floor of their task: rnn on umbrella (1)." in told
    assert "Decisions are windowed over 20 (mamba); stateful (all others)." in told
    assert "Between seeds differ: init, batches." in told


def test_differences_leave_out_zero_exactly_where_they_are_marked(results: Path) -> None:
    found = material_of(results, {})
    table = paper_table("paired", found)
    assert [row[0].text for row in table.rows] == ["gpt − lstm", "gpt − rnn", "lstm − rnn"]
    for row, (one, other) in zip(table.rows, combinations(("gpt", "lstm", "rnn"), 2), strict=True):
        for key, cell in zip(("umbrella", "door-key"), (row[-1], row[-2]), strict=True):
            assert cell.best == found.judged.claims.apart(key, one, other)
            if cell.low is not None and cell.high is not None:
                assert cell.best == (cell.low > 0 or cell.high < 0)
    assert any(cell.best for row in table.rows for cell in row)
    assert table.headings[1].text == "over all tasks, normalised"


def test_costs_are_means_over_the_tasks_that_all_have_run(tmp_path: Path) -> None:
    for env, size in (("a", 1_000), ("b", 3_000)):
        for place, name in enumerate(("gpt", "lstm")):
            seeds(tmp_path, name, env, HIGH, result={"parameters_total": size + place})
    seeds(tmp_path, "gpt", "c", HIGH, result={"parameters_total": 10**6})
    make_run(
        tmp_path,
        "lstm",
        "b",
        9,
        0.5,
        result={"parameters_total": 3_001, "latency_p50_us": 9.0, "decision_implementation": "c"},
    )
    table = paper_table("costs", material_of(tmp_path, {}))
    assert cells(table, "parameters ↓") == {
        "gpt": ("2,000 (1,000 to 3,000)", False), "lstm": ("2,001 (1,001 to 3,001)", False)
    }  # fmt: skip
    assert "Not run by all of these, so not counted: c." in caption(table)
    assert cells(table, "latency p50 µs ↓") == {"gpt": ("500.0", False), "lstm": ("–", False)}
    assert "lstm: no mean latency p50 µs, computed in several ways: c and torch." in caption(table)
    alone = material_of(tmp_path, {})
    assert not any(cell.best for row in paper_table("costs", alone).rows for cell in row), "costs are no contest"


def test_reach_by_ladder_is_marked_by_the_claims_of_the_page() -> None:
    planted = {"s4d": [7, 7, 8, 7, 7], "gpt": [7, 8, 7, 7, 7], "lstm": [2, 2, 2, 3, 2], "mlp": [0] * 5}
    one = ladder("memory-span")
    groups = groups_of(runs_of(one, planted))
    climbs = climbs_of(groups, [one])
    judgement = judge([], contests_of(climbs))
    found = Material(Stored(), groups, judgement, judged(climbs, judgement.claims))
    table = paper_table("ladders", found)
    marked = {row[0].text: row[1].best for row in table.rows}
    assert marked == {"s4d": True, "gpt": True, "lstm": False, "mlp": False}
    shown = {row[0].text: row[1].text for row in table.rows}
    assert shown["mlp"].startswith("< 10 (0.0") and shown["lstm"].startswith("2")
    assert "500 updates" in caption(table) and "n = 5 seeds." in caption(table) and "No run failed." in caption(table)


def test_what_cannot_be_shown_is_one_sentence(tmp_path: Path) -> None:
    make_run(tmp_path, "gpt", "umbrella", 0, status="interrupted")
    found = material_of(tmp_path, {})
    for name in TABLES:
        with pytest.raises(UsageError, match="expected|makes") as told:
            paper_table(name, found)
        assert "\n" not in str(told.value)
    make_run(tmp_path, "gpt", "umbrella", 1)
    with pytest.raises(UsageError, match="no two backbones"):
        paper_table("paired", material_of(tmp_path, {}))
    with pytest.raises(UnknownName, match="Did you mean 'tasks'"):
        paper_table("task", found)
