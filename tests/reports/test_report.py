"""The report of a results folder: what it says of scores, ties, failures, single seeds and gaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from dsbench.reports.content.build import build
from dsbench.reports.content.curves import Journals
from dsbench.reports.content.fronts import Point, undominated
from dsbench.reports.content.gathering import tasks_of
from dsbench.reports.content.overall import pool
from dsbench.reports.content.prices import Cost
from dsbench.reports.document import Report, Section, Table
from dsbench.reports.groups import read_groups
from tests.reports.synthetic import make_run, seeds

pytestmark = pytest.mark.usefixtures("undrawn")
FAMILIES = {"memory-len": "memory", "memory-size": "memory"}


def section(report: Report, name: str) -> Section:
    return next(one for one in report.sections if one.name == name)


def table(report: Report, name: str) -> Table:
    return next(table for one in report.sections for table in one.tables if table.name == name)


def column(table: Table, heading: str) -> dict[str, str]:
    place = [one.text for one in table.headings].index(heading)
    return {row[0].text: row[place].text for row in table.rows}


def best(table: Table) -> list[tuple[str, str]]:
    return [
        (row[0].text, heading.text)
        for row in table.rows
        for heading, cell in zip(table.headings, row, strict=True)
        if cell.best
    ]


def test_the_headline_names_the_best_its_interval_and_its_cost(tmp_path: Path) -> None:
    high, low = [0.91, 0.93, 0.95], [0.50, 0.52, 0.51]
    seeds(tmp_path, "s4", "umbrella", high, result={"latency_p50_us": 430.0, "parameters_total": 85186})
    seeds(tmp_path, "gpt", "umbrella", low)
    (sentence,) = build(tmp_path, {}).report.headline
    half = stats.t.ppf(0.975, 2) * stats.sem(high)
    assert f"s4 has the highest mean return, {np.mean(high):.3f} ± {half:.3f} (95 % interval, n = 3)" in sentence
    assert "at 430 µs a decision with 85,186 parameters; separated from all others, the next being gpt" in sentence
    assert best(table(build(tmp_path, {}).report, "umbrella"))[0] == ("s4", "return ↑")


def test_overlapping_intervals_have_no_winner(tmp_path: Path) -> None:
    seeds(tmp_path, "s4", "umbrella", [0.9, 0.6, 0.8])
    seeds(tmp_path, "gpt", "umbrella", [0.7, 0.8, 0.6])
    report = build(tmp_path, {}).report
    assert "not separated from gpt" in report.headline[0]
    assert best(table(report, "umbrella")) == []


@pytest.mark.parametrize("backbones", [["s4"], ["s4", "gpt"]])
def test_one_seed_has_no_interval_and_wins_nothing(tmp_path: Path, backbones: list[str]) -> None:
    for place, backbone in enumerate(backbones):
        seeds(tmp_path, backbone, "umbrella", [0.9 - 0.5 * place])
    report = build(tmp_path, {}).report
    assert "n = 1, so no interval" in report.headline[0]
    assert ("no other backbone was run" if len(backbones) == 1 else "not separated from gpt") in report.headline[0]
    assert best(table(report, "umbrella")) == []
    assert "single seed has no interval" in " ".join(table(report, "umbrella").notes)


def test_equals_share_the_first_place(tmp_path: Path) -> None:
    for name in ("s4", "gpt"):
        seeds(tmp_path, name, "umbrella", [1.0, 1.0])
    (sentence,) = build(tmp_path, {}).report.headline
    assert sentence.startswith("umbrella: gpt, s4 share the highest mean return, 1.000")
    assert "separated" not in sentence  # from each other: that is said
    seeds(tmp_path, "lstm", "umbrella", [0.1, 0.1])
    assert (
        build(tmp_path, {})
        .report.headline[0]
        .endswith("separated from all others, the next being lstm with 0.100 ± 0.000.")
    )


@pytest.mark.parametrize("status", ["diverged", "failed", "timeout", "out_of_memory"])
def test_a_failure_counts_as_the_lowest_score_of_the_task(tmp_path: Path, status: str) -> None:
    seeds(tmp_path, "s4", "umbrella", [0.9, 0.8])
    lost = make_run(tmp_path, "s4", "umbrella", 2, status=status, result={"reason": "loss | is *nan*"})
    seeds(tmp_path, "gpt", "umbrella", [0.3, 0.4])
    report = build(tmp_path, {}).report
    found = table(report, "umbrella")
    assert column(found, "return ↑")["s4"].startswith(f"{np.mean([0.9, 0.8, 0.3]):.3f} ±")
    assert (column(found, "n")["s4"], column(found, "failures ↓")["s4"]) == ("2", "1")
    assert "with the lowest of any run here, 0.300" in " ".join(found.notes)
    assert [row[0].text for row in table(report, "failures").rows] == [lost]


def test_a_run_that_goes_on_is_no_failure(tmp_path: Path) -> None:
    seeds(tmp_path, "s4", "umbrella", [0.9, 0.8])
    make_run(tmp_path, "s4", "umbrella", 2, status="interrupted")
    found = table(build(tmp_path, {}).report, "umbrella")
    assert column(found, "failures ↓")["s4"] == "0 (1 unfinished)"
    assert column(found, "return ↑")["s4"].startswith("0.850")


def test_nothing_but_unfinished_runs_makes_a_report_too(tmp_path: Path) -> None:
    make_run(tmp_path, "s4", "umbrella", 0, status="interrupted")
    (sentence,) = build(tmp_path, {}).report.headline
    assert "no run has ended with a score" in sentence


def test_unnormalised_scores_are_never_pooled(tmp_path: Path) -> None:
    for env in ("umbrella", "cartpole"):
        seeds(tmp_path, "s4", env, [0.9, 0.8], normalised=False)
    report = build(tmp_path, {}).report
    assert pool(tasks_of(read_groups(tmp_path), {})) is None
    assert not section(report, "overall").tables
    assert "agarwal2021deep" not in section(report, "citations").preformatted


def test_only_what_all_have_run_is_pooled(tmp_path: Path) -> None:
    for env in ("umbrella", "cartpole", "door-key"):
        seeds(tmp_path, "s4", env, [0.9, 0.8])
        if env != "door-key":
            seeds(tmp_path, "gpt", env, [0.5, 0.4])
    seeds(tmp_path, "lstm", "umbrella", [0.7, 0.6])
    seeds(tmp_path, "s4", "cartpole", [0.9, 0.8], settings={"data.permute_returns": True})
    found = pool(tasks_of(read_groups(tmp_path), {}))
    assert found is not None
    assert found.tasks == ("cartpole", "umbrella")
    assert list(found.scores) == ["s4", "gpt"]
    assert found.measures["s4"]["iqm"].value == pytest.approx(stats.trim_mean([90, 80, 90, 80], 0.25))
    assert any("permuted" in line for line in found.left_out)


def test_the_headline_of_several_tasks_is_that_of_their_pool(tmp_path: Path) -> None:
    for env in FAMILIES:
        seeds(tmp_path, "s4", env, [0.9, 0.8])
        seeds(tmp_path, "gpt", env, [0.5, 0.4])
    (sentence,) = build(tmp_path, FAMILIES).report.headline
    assert sentence.startswith("memory (2 tasks): s4 has the highest interquartile mean of normalised scores, 85.0")


def test_settings_that_differ_are_columns_and_part_the_contestants(tmp_path: Path) -> None:
    seeds(tmp_path, "lstm", "umbrella", [0.9, 0.8])
    seeds(tmp_path, "gpt", "umbrella", [0.9, 0.8])
    seeds(tmp_path, "lstm", "umbrella", [0.5, 0.4], settings={"wrapper.condition": "none"})
    (task,) = tasks_of(read_groups(tmp_path), {})
    assert [one.name for one in task.contestants] == ["bc", "gpt", "lstm"]
    found = table(build(tmp_path, {}).report, "umbrella")
    assert [row[1].text for row in found.rows] == ["none", "return", "return"]


def test_controls_go_by_their_names(tmp_path: Path) -> None:
    cloning = {"wrapper.condition": "none"}
    make_run(tmp_path, "gpt", "task", 0)
    make_run(tmp_path, "lstm", "task", 0, settings=cloning)
    make_run(tmp_path, "lstm", "task", 1, settings=cloning | {"data.top_percent": 10.0})
    make_run(tmp_path, "lstm", "task", 2, settings=cloning | {"data.top_percent": 20.0})
    (task,) = tasks_of(read_groups(tmp_path), {})
    assert [one.name for one in task.contestants] == ["bc", "bc (top_percent=20)", "gpt", "top10-bc"]


def test_where_nobody_is_asked_for_a_return_the_backbone_keeps_its_name(tmp_path: Path) -> None:
    for backbone in ("gpt", "lstm"):
        make_run(tmp_path, backbone, "task", 0, settings={"wrapper.condition": "none"})
    (task,) = tasks_of(read_groups(tmp_path), {})
    assert [one.name for one in task.contestants] == ["gpt", "lstm"]


def test_learning_curves_are_means_over_seeds_of_the_journal(tmp_path: Path) -> None:
    seeds(tmp_path, "s4", "umbrella", [0.9, 0.7], metric="success")
    (task,) = tasks_of(read_groups(tmp_path), {})
    curves = [Journals().curve(run, "success") for run in task.contestants[0].runs]
    assert curves[0] == pytest.approx({100: 0.18, 200: 0.36, 300: 0.54, 400: 0.72, 500: 0.9})
    assert curves[1][500] == pytest.approx(0.7)


def test_the_front_is_what_no_other_beats_in_both() -> None:
    generator = np.random.default_rng(0)
    places = generator.uniform(size=(40, 2))
    points = [Point(str(n), Cost(cost), score, None, None) for n, (cost, score) in enumerate(places)]
    wanted = {
        one.name
        for one in points
        if not any(other.cost.mean <= one.cost.mean and other.score >= one.score and other != one for other in points)
    }
    assert {one.name for one in undominated(points)} == wanted


def test_a_sweep_over_a_length_is_drawn_with_the_default_from_the_journal(tmp_path: Path) -> None:
    seeds(tmp_path, "s4", "umbrella", [0.9, 0.8], options={"chain_length": 10})
    longer = {"env.chain_length": 20, "data.episodes": 50_000}
    seeds(tmp_path, "s4", "umbrella", [0.7, 0.6], settings=longer, options={"chain_length": 20})
    (figure,) = section(build(tmp_path, {}).report, "lengths").figures
    assert figure.title == "umbrella: return against chain_length"
    assert "number of episodes of data differs" in figure.caption


def test_cells_that_others_have_are_listed(tmp_path: Path) -> None:
    seeds(tmp_path, "s4", "umbrella", [0.9, 0.8, 0.7])
    seeds(tmp_path, "gpt", "umbrella", [0.9])
    seeds(tmp_path, "s4", "cartpole", [0.9])
    rows = [[cell.text for cell in row] for row in table(build(tmp_path, {}).report, "missing").rows]
    assert rows == [["gpt", "0", "1", "cartpole"], ["gpt", "1-2", "1", "umbrella"]]


def test_published_numbers_say_why_they_do_not_compare(tmp_path: Path) -> None:
    seeds(tmp_path, "gpt", "hopper", [0.5, 0.6], settings={"data.recipe": "medium"})
    found = table(build(tmp_path, {}).report, "published")
    verdicts = [row[-2].text for row in found.rows]
    assert verdicts and all(text.startswith("no:") for text in verdicts)
    assert any("data (" in text for text in verdicts)
    assert any("not known to be D4RL's" in note for note in found.notes)


def test_differences_from_the_best_are_paired_by_seed(tmp_path: Path) -> None:
    luck = [0.30, 0.60, 0.90, 0.20]  # of the seed, the same for both
    seeds(tmp_path, "s4", "umbrella", luck)
    seeds(tmp_path, "gpt", "umbrella", [score - gap for score, gap in zip(luck, [0.05, 0.06, 0.04, 0.05], strict=True)])
    make_run(tmp_path, "lstm", "umbrella", 9, 0.1)  # a seed that the best has not
    found = table(build(tmp_path, {}).report, "umbrella")
    half = stats.t.ppf(0.975, 3) * stats.sem([0.05, 0.06, 0.04, 0.05])
    assert column(found, "− s4, paired") == {"s4": "–", "gpt": f"-0.050 ± {half:.3f}", "lstm": "–"}
    assert best(found) == []  # their own intervals overlap


def test_a_failed_seed_is_paired_at_the_lowest_score(tmp_path: Path) -> None:
    seeds(tmp_path, "s4", "umbrella", [0.9, 0.8])
    make_run(tmp_path, "gpt", "umbrella", 0, 0.5)
    make_run(tmp_path, "gpt", "umbrella", 1, None, status="diverged")
    shown = column(table(build(tmp_path, {}).report, "umbrella"), "− s4, paired")
    assert shown["gpt"].startswith("-0.350 ± ")  # of −0.4 and 0.5 − 0.8


def test_over_all_tasks_the_pairs_are_of_task_and_seed(tmp_path: Path) -> None:
    for env, base in (("memory-len", 0.8), ("memory-size", 0.4)):
        seeds(tmp_path, "s4", env, [base, base + 0.1])
        seeds(tmp_path, "gpt", env, [base - 0.1, base])
    found = table(build(tmp_path, FAMILIES).report, "overall")
    assert column(found, "− s4, paired") == {"s4": "–", "gpt": "-10.0 [-10.0, -10.0]"}
