"""Failed runs count, few and unequal seeds are said, and what is on different scales is not pooled."""

from __future__ import annotations

import math

import pytest

from dsbench.errors import UsageError
from dsbench.reports.aggregate import aggregate, performance_profile
from dsbench.reports.aggregate_pairs import probability_of_improvement
from dsbench.reports.aggregate_scores import Scores, cautions
from dsbench.reports.outcomes import Sample
from tests.reports.test_aggregate import samples


def test_failed_runs_stand_where_their_sample_says_and_are_told() -> None:
    scores = Scores.of(
        {
            "hopper": Sample({2: -1.0, 0: 0.5, 1: -1.0}, failed=frozenset({1, 2})),
            "ant": Sample({0: 0.25, 1: 0.0}, failed=frozenset({1})),
            "walker": Sample({0: 1.0, 1: 0.0}),
        },
        normalised=True,
    )
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
        "Failures count: 3 of 7 runs failed or diverged and stand at the floor of their task (ant 1, hopper 2)."
    ) in cautions(scores)


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ({}, "no tasks"),
        ({"ant": {}}, "no runs on task 'ant'"),
        ({"ant": {0: 1.0, 1: math.nan}}, "seed 1 on task 'ant' is nan"),
    ],
)
def test_nothing_to_aggregate_is_refused(runs: dict[str, dict[int, float]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Scores.of(samples(runs), normalised=True)


def test_returns_on_different_scales_are_not_pooled_and_each_task_by_itself_is_fine() -> None:
    runs = {f"t{k}": {0: 1.0, 1: 1000.0} for k in range(6)}
    several = Scores.of(samples(runs), normalised=False)
    with pytest.raises(UsageError, match=r"6 tasks \(t0, t1, t2, t3 and 2 more\) are not normalised"):
        aggregate(several)
    with pytest.raises(UsageError, match="not normalised"):
        performance_profile(several, [0.0])
    assert probability_of_improvement(several, several) == 0.5, "it compares within tasks alone"
    assert aggregate(Scores.of(samples({"t0": runs["t0"]}), normalised=False))["mean"].value == 500.5


def test_enough_equal_seeds_without_failures_need_no_word() -> None:
    assert cautions(Scores.of(samples({"a": dict.fromkeys(range(5), 0.0)}), normalised=True)) == []


def test_few_single_and_unequal_seeds_are_said() -> None:
    said = cautions(Scores.of(samples({"b": {0: 1.0}, "a": {0: 1.0, 1: 2.0, 2: 0.0}}), normalised=True))
    assert "single seed" in said[0]
    assert said[1] == "No interval: a single seed on b leaves nothing to resample."
    assert said[2].startswith("Unequal numbers of seeds (a 3, b 1)")
