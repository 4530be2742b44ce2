"""The report of a results folder: what it says of scores, ties, failures, single seeds and gaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from dsbench.config import resolve, run_id, to_dict
from dsbench.config.naming import RESULT_VERSION
from dsbench.records.run_folder import RunFolder
from dsbench.reports.content.build import build
from dsbench.reports.content.curves import Journals
from dsbench.reports.content.fronts import Point, undominated
from dsbench.reports.content.gathering import tasks_of
from dsbench.reports.content.overall import pool
from dsbench.reports.content.prices import Cost
from dsbench.reports.document import Report, Section, Table
from dsbench.reports.groups import read_groups
from dsbench.reports.table import rows
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
    scores = {"s4": [0.91, 0.93, 0.95, 0.92, 0.94], "gpt": [0.50, 0.52, 0.51, 0.53, 0.49]}
    seeds(tmp_path, "s4", "umbrella", scores["s4"], result={"latency_p50_us": 430.0, "parameters_total": 85186})
    seeds(tmp_path, "gpt", "umbrella", scores["gpt"])
    (sentence,) = build(tmp_path, {}).report.headline
    variances = [np.var(own, ddof=1) for own in scores.values()]
    freedom = sum(variances) ** 2 / sum(v**2 / 4 for v in variances) - 1  # Satterthwaite's, less one
    half = stats.t.ppf(0.975, freedom) * np.sqrt(np.mean(variances) / 5)
    assert (
        f"s4 has the highest mean return, {np.mean(scores['s4']):.3f} ± {half:.3f} (95 % interval, n = 5)" in sentence
    )
    assert "at 430 µs a decision with 85,186 parameters; separated from all others, the next being gpt" in sentence
    assert best(table(build(tmp_path, {}).report, "umbrella")) == [("s4", "return ↑")]


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


def test_equals_share_the_first_place_and_no_spread_makes_no_winner(tmp_path: Path) -> None:
    for name in ("s4", "gpt"):
        seeds(tmp_path, name, "umbrella", [1.0, 1.0])
    (sentence,) = build(tmp_path, {}).report.headline
    assert sentence.startswith(
        "umbrella: gpt, s4 share the highest mean return, 1.000 (n = 2, all equal, so no interval)"
    )
    assert "separated" not in sentence  # from each other: that is said
    seeds(tmp_path, "lstm", "umbrella", [0.1, 0.1])
    report = build(tmp_path, {}).report
    assert report.headline[0].endswith(
        "not separated from lstm (lstm: 0.100); n = 2 cannot support a claim: it takes 3 seeds of each, and rarely less than 5."
    )
    assert best(table(report, "umbrella")) == []


def test_scores_that_never_vary_support_no_claim_however_many(tmp_path: Path) -> None:
    for name, score in (("s4", 1.0), ("gpt", 0.5)):
        seeds(tmp_path, name, "umbrella", [score] * 5)
    report = build(tmp_path, {}).report
    assert "not separated from gpt" in report.headline[0] and "do not vary from seed to seed" in report.headline[0]
    assert best(table(report, "umbrella")) == []


@pytest.mark.parametrize("status", ["diverged", "failed", "timeout", "out_of_memory"])
@pytest.mark.parametrize(
    ("row", "floor"),
    [
        ({}, 0.3),
        ({"reference_random": 0.1}, 0.1),
        ({"reference_random": 0.35}, 0.3),
        ({"reference_random": 0.1, "measure_minimum": 0.0}, 0.0),
        ({"reference_random": 0.1, "measure_minimum": 0.2}, 0.2),
    ],
)
def test_a_failure_counts_as_the_floor_of_the_task(
    tmp_path: Path, status: str, row: dict[str, float], floor: float
) -> None:
    seeds(tmp_path, "s4", "umbrella", [0.9, 0.8], result=row)
    lost = make_run(tmp_path, "s4", "umbrella", 2, status=status, result={"reason": "loss | is *nan*"})
    seeds(tmp_path, "gpt", "umbrella", [0.3, 0.4], result=row)
    report = build(tmp_path, {}).report
    found = table(report, "umbrella")
    assert column(found, "return ↑")["s4"].startswith(f"{np.mean([0.9, 0.8, floor]):.3f} ")
    assert (column(found, "n")["s4"], column(found, "failures ↓")["s4"]) == ("2", "1")
    assert f"at the floor of the task, {floor:.3f}" in " ".join(found.notes)
    assert [row[0].text for row in table(report, "failures").rows] == [lost]
    told = {one["backbone"]: one["metrics"]["score"]["mean"] for one in rows(tmp_path)}
    assert told["s4"] == pytest.approx(np.mean([0.9, 0.8, floor]))  # the table of results agrees


def test_a_contestant_that_mostly_diverges_is_not_the_best(tmp_path: Path) -> None:
    make_run(tmp_path, "s4", "umbrella", 0, 1.0)
    make_run(tmp_path, "s4", "umbrella", 1, 0.99)
    for seed in (2, 3, 4):
        make_run(tmp_path, "s4", "umbrella", seed, status="diverged")
    seeds(tmp_path, "gpt", "umbrella", [0.9, 0.91, 0.92, 0.89, 0.9], result={"measure_minimum": 0.0})
    report = build(tmp_path, {}).report
    assert report.headline[0].startswith("umbrella: gpt has the highest mean return")
    assert column(table(report, "umbrella"), "return ↑")["s4"].startswith(f"{1.99 / 5:.3f} ")


def test_random_play_that_was_scripted_is_a_floor_too(tmp_path: Path) -> None:
    seeds(tmp_path, "random", "umbrella", [0.2, 0.1], settings={"policy": "random"}, metric="success")
    seeds(tmp_path, "s4", "umbrella", [0.9, 0.8], metric="success")
    make_run(tmp_path, "s4", "umbrella", 2, status="failed")
    (task,) = tasks_of(read_groups(tmp_path), {})
    assert task.minimum == pytest.approx(0.1)  # the lowest finished; their mean is .15
    assert task.samples["s4"].scores[2] == task.minimum


# ------------------------------------------------------------------ runs that failed early


def early(results: Path, backbone: str, env: str, seed: int, name: str, **row: object) -> str:
    """A run that was claimed and failed before its settings were written."""
    folder = RunFolder.open(results, name)
    with folder.claim():
        folder.finish("failed", {"run_id": name, "backbone": backbone, "env": env, "seed": seed, "reason": "no", **row})
    return name


def test_a_run_without_settings_counts_for_the_contestant_that_its_row_says(tmp_path: Path) -> None:
    seeds(tmp_path, "s4", "umbrella", [0.9, 0.8])
    seeds(tmp_path, "gpt", "umbrella", [0.3, 0.4])
    early(tmp_path, "s4", "umbrella", 2, "s4-umbrella-s2-0123456789-made")
    report = build(tmp_path, {}).report
    found = table(report, "umbrella")
    assert (column(found, "n")["s4"], column(found, "failures ↓")["s4"]) == ("2", "1")
    assert column(found, "return ↑")["s4"].startswith(f"{np.mean([0.9, 0.8, 0.3]):.3f} ")
    assert [row[1].text for row in table(report, "failures").rows] == ["s4"]


def test_a_run_without_settings_counts_for_the_variant_that_lacks_its_seed_or_for_none(tmp_path: Path) -> None:
    slow = {"train.lr": 0.001}
    seeds(tmp_path, "s4", "umbrella", [0.9, 0.8, 0.7])
    seeds(tmp_path, "s4", "umbrella", [0.9, 0.8], settings=slow)
    early(tmp_path, "s4", "umbrella", 2, "s4-umbrella-s2-0123456789-made")
    (task,) = tasks_of(read_groups(tmp_path), {})
    assert {one.name: one.failed for one in task.contestants} == {"s4 (lr=0.001)": 1, "s4 (lr=0.003)": 0}
    early(tmp_path, "s4", "umbrella", 7, "s4-umbrella-s7-0123456789-made")
    report = build(tmp_path, {}).report
    assert any("fit no contestant, or several" in told for told in section(report, "gaps").paragraphs)


def test_a_backbone_that_never_came_to_its_settings_is_a_contestant_too(tmp_path: Path) -> None:
    seeds(tmp_path, "s4", "umbrella", [0.9, 0.8], result={"measure_minimum": 0.0})
    early(tmp_path, "gpt", "umbrella", 0, "gpt-umbrella-s0-0123456789-made")
    found = table(build(tmp_path, {}).report, "umbrella")
    assert (column(found, "n")["gpt"], column(found, "failures ↓")["gpt"]) == ("0", "1")
    assert column(found, "return ↑")["gpt"] == "0.000"


def test_the_name_of_a_folder_tells_its_settings(tmp_path: Path) -> None:
    """By the hash alone: both variants lack the seed."""
    first, second = (resolve(backbone="s4", env="umbrella", overrides=[f"train.lr={lr}"]) for lr in (0.001, 0.002))
    for config in (first, second):
        for seed, score in enumerate((0.5, 0.6)):
            own = config.model_copy(update={"seed": seed})
            folder = RunFolder.open(tmp_path, run_id(own))
            with folder.claim():
                folder.write_config(to_dict(own))
                folder.write_provenance({"dsbench": "0", "result_version": RESULT_VERSION})
                folder.finish("ok", {"run_id": folder.run_id, "success_metric": "return_mean", "return_mean": score})
    early(tmp_path, "s4", "umbrella", 5, run_id(second.model_copy(update={"seed": 5})))
    (task,) = tasks_of(read_groups(tmp_path), {})
    assert {one.settings["train.lr"]: one.failed for one in task.contestants} == {0.001: 0, 0.002: 1}


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
    assert found.means["s4"].mean == pytest.approx(85)
    assert any("permuted" in line for line in found.left_out)


def test_the_headline_of_several_tasks_is_that_of_their_pool(tmp_path: Path) -> None:
    for env in FAMILIES:
        seeds(tmp_path, "s4", env, [0.9, 0.8])
        seeds(tmp_path, "gpt", env, [0.5, 0.4])
    (sentence,) = build(tmp_path, FAMILIES).report.headline
    assert sentence.startswith("memory (2 tasks): s4 has the highest mean of normalised scores over the tasks, 85.0")


def test_settings_that_differ_are_columns_and_part_the_contestants(tmp_path: Path) -> None:
    seeds(tmp_path, "lstm", "umbrella", [0.9, 0.8])
    seeds(tmp_path, "gpt", "umbrella", [0.9, 0.8])
    seeds(tmp_path, "lstm", "umbrella", [0.5, 0.4], settings={"wrapper.condition": "none"})
    (task,) = tasks_of(read_groups(tmp_path), {})
    assert [one.name for one in task.contestants] == ["bc", "gpt", "lstm"]
    found = table(build(tmp_path, {}).report, "umbrella")
    assert found.headings[1].text == "n", "that bc asks for no return is told by its name"
    seeds(tmp_path, "gpt", "umbrella", [0.5, 0.4], settings={"train.lr": 0.5})
    found = table(build(tmp_path, {}).report, "umbrella")
    assert [(row[0].text, row[1].text) for row in found.rows] == [
        ("bc", "0.003"), ("gpt", "0.003"), ("gpt", "0.5"), ("lstm", "0.003")
    ]  # fmt: skip


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
    scores = {step: played.score for step, played in curves[0].items()}
    assert scores == pytest.approx({100: 0.18, 200: 0.36, 300: 0.54, 400: 0.72, 500: 0.9})
    assert curves[1][500].score == pytest.approx(0.7)


def test_a_training_of_seconds_is_told_as_one_and_has_no_curve_by_updates(tmp_path: Path) -> None:
    note = "trained for 60 CPU seconds"
    seeds(tmp_path, "s4", "umbrella", [0.9, 0.7], settings={"train.seconds": 60.0}, result={"budget_note": note})
    report = build(tmp_path, {}).report
    (row,) = table(report, "protocol").rows
    assert "those of 60 s" in [cell.text for cell in row]
    assert f"Budget: {note}." in table(report, "umbrella").notes
    (task,) = tasks_of(read_groups(tmp_path), {})
    assert [Journals().curve(run, "return_mean") for run in task.contestants[0].runs] == [{}, {}]


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


def test_differences_from_the_best_have_the_intervals_of_claims(tmp_path: Path) -> None:
    luck = [0.30, 0.60, 0.90, 0.20, 0.50]  # of the seed, the same for all
    for place, name in enumerate(("s4", "gpt", "lstm", "rnn")):
        noise = np.random.default_rng(place).normal(size=5) * 0.004
        seeds(tmp_path, name, "umbrella", [score - 0.05 * place + e for score, e in zip(luck, noise, strict=True)])
    found = table(build(tmp_path, {}).report, "umbrella")
    assert best(found) == [("s4", "return ↑")]  # taken seed by seed: their own intervals overlap
    means = {row[0].text: row[3].value for row in found.rows}
    behind = {row[0].text: row[4] for row in found.rows}
    assert behind["s4"].text == "–"
    for name in ("gpt", "lstm", "rnn"):
        assert behind[name].value == pytest.approx(means[name] - means["s4"])
        assert behind[name].high is not None and behind[name].high < 0


def test_a_column_says_how_many_seeds_solved_the_task(tmp_path: Path) -> None:
    row = {"measure_minimum": 0.0, "measure_maximum": 1.0, "measure_chance": 0.5}
    seeds(tmp_path, "s4", "umbrella", [1.0, 0.96, 0.5], result=row)
    make_run(tmp_path, "s4", "umbrella", 3, status="failed")
    found = table(build(tmp_path, {}).report, "umbrella")
    low, high = stats.binomtest(2, 4).proportion_ci(0.95, "exact")
    assert column(found, "seeds ≥ 0.95") == {"s4": f"2/4 [{low:.2f}, {high:.2f}]"}


def test_few_contestants_are_said_to_be_uncalibrated_and_costs_are_no_contest(tmp_path: Path) -> None:
    for name, latency in (("s4", 100.0), ("gpt", 900.0)):
        for seed in range(5):
            make_run(tmp_path, name, "umbrella", seed, 0.5 + seed / 100, result={"latency_p50_us": latency + seed})
    found = table(build(tmp_path, {}).report, "umbrella")
    assert any("n too small to calibrate" in note for note in found.notes)
    assert best(found) == []
