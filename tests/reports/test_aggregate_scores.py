"""Failed runs count, few and unequal seeds are said, and what is on different scales is not pooled."""

from __future__ import annotations

import math

import pytest

from dsbench.errors import UsageError
from dsbench.reports.aggregate import aggregate, performance_profile
from dsbench.reports.aggregate_pairs import paired_difference, probability_of_improvement
from dsbench.reports.aggregate_scores import Scores, cautions


def test_failed_and_diverged_runs_count_as_the_minimum_and_are_told() -> None:
    runs = {"hopper": {2: math.nan, 0: 0.5, 1: None}, "ant": {0: 0.25, 1: -math.inf}, "walker": {0: 1.0, 1: 0.0}}
    scores = Scores.of(runs, normalised=True, minimum={"hopper": -1.0, "ant": 0.0})
    assert {task: values.tolist() for task, values in scores.tasks.items()} == {
        "ant": [0.25, 0.0],
        "hopper": [0.5, -1.0, -1.0],
        "walker": [1.0, 0.0],
    }
    assert list(scores.tasks) == ["ant", "hopper", "walker"]
    assert scores.seeds["hopper"] == (0, 1, 2)
    assert (scores.failures, scores.n) == ({"ant": 1, "hopper": 2}, 7)
    assert aggregate(scores)["mean"].value == pytest.approx((0.25 + 0.5 - 2 + 1) / 7)
    assert (
        "Failures count: 3 of 7 runs failed or diverged and stand with the minimum score of their task "
        "(ant 1, hopper 2)."
    ) in cautions(scores)


@pytest.mark.parametrize("minimum", [None, {"walker": 0.0}, {"hopper": math.nan}, {"hopper": -math.inf}])
def test_a_failed_run_is_never_dropped(minimum: dict[str, float] | None) -> None:
    with pytest.raises(UsageError, match="seed 1 on task 'hopper' failed"):
        Scores.of({"hopper": {0: 1.0, 1: None}}, normalised=True, minimum=minimum)


def test_a_failure_never_counts_for_more_than_a_finished_run() -> None:
    with pytest.raises(UsageError, match="scored -0.5, below the minimum 0.0"):
        Scores.of({"hopper": {0: -0.5, 1: None}}, normalised=True, minimum={"hopper": 0.0})


@pytest.mark.parametrize(("runs", "message"), [({}, "no tasks"), ({"ant": {}}, "no runs on task 'ant'")])
def test_nothing_to_aggregate_is_refused(runs: dict[str, dict[int, float | None]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Scores.of(runs, normalised=True)


def test_returns_on_different_scales_are_not_pooled_and_each_task_by_itself_is_fine() -> None:
    runs: dict[str, dict[int, float | None]] = {f"t{k}": {0: 1.0, 1: 1000.0} for k in range(6)}
    several = Scores.of(runs, normalised=False)
    with pytest.raises(UsageError, match=r"6 tasks \(t0, t1, t2, t3 and 2 more\) are not normalised"):
        aggregate(several)
    with pytest.raises(UsageError, match="not normalised"):
        performance_profile(several, [0.0])
    with pytest.raises(UsageError, match="not normalised"):
        paired_difference(several, several)
    assert probability_of_improvement(several, several).value == 0.5, "it compares within tasks alone"
    assert aggregate(Scores.of({"t0": runs["t0"]}, normalised=False))["mean"].value == 500.5


def test_enough_equal_seeds_without_failures_need_no_word() -> None:
    assert cautions(Scores.of({"a": dict.fromkeys(range(5), 0.0)}, normalised=True)) == []


def test_few_single_and_unequal_seeds_are_said() -> None:
    said = cautions(Scores.of({"b": {0: 1.0}, "a": {0: 1.0, 1: 2.0, 2: 0.0}}, normalised=True))
    assert "single seed" in said[0]
    assert said[1] == "No bootstrap interval: a single seed on b leaves nothing to resample."
    assert said[2].startswith("Unequal numbers of seeds (a 3, b 1)")
