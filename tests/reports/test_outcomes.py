"""What a failed run counts as, by the rule as the design says it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsbench.reports.outcomes import (
    FAILURES,
    NORMALISED,
    RETURN,
    Bounds,
    Outcome,
    bounds_of,
    floor_of,
    measure_among,
    sample_of,
)


def ok(seed: int, score: float | None, policy: str = "learned", **row: Any) -> Outcome:
    return Outcome(seed, "ok", policy, {"success_metric": "success", "success": score, **row})


def lost(seed: int, status: str = "failed", **row: Any) -> Outcome:
    return Outcome(seed, status, "learned", row)


def test_the_declared_minimum_comes_first_and_a_failed_row_may_tell_it() -> None:
    assert floor_of([ok(0, 0.5), lost(1, success_metric="success", measure_minimum=-2.0)], "success") == -2.0


def test_without_one_it_is_random_play_or_the_lowest_finished_whichever_is_lower() -> None:
    returns = [Outcome(s, "ok", "learned", {"success_metric": RETURN, RETURN: r, "reference_random": 3.0})
               for s, r in enumerate((5.0, 4.0))]  # fmt: skip
    assert floor_of(returns, RETURN) == 3.0
    assert floor_of([*returns, Outcome(2, "ok", "learned", {"success_metric": RETURN, RETURN: 1.0})], RETURN) == 1.0
    played = [ok(0, 0.2, "random"), ok(1, 0.4, "random"), ok(0, 0.9)]
    assert floor_of(played, "success") == pytest.approx(0.2)
    assert floor_of([ok(0, 0.9), ok(1, 0.7)], "success") == 0.7
    assert floor_of([lost(0)], "success") is None


def test_a_normalised_score_falls_to_random_play_or_with_the_minimum_of_the_return() -> None:
    row = {"reference_random": 10.0, "reference_optimal": 110.0, NORMALISED: 80.0}
    assert floor_of([ok(0, 0.9, **row)], NORMALISED) == 0.0
    assert floor_of([ok(0, 0.9, **row), ok(1, 0.1, **row | {NORMALISED: -4.0})], NORMALISED) == -4.0
    declared = Outcome(0, "ok", "learned", {"success_metric": RETURN, RETURN: 90.0, "measure_minimum": 0.0, **row})
    assert floor_of([declared], NORMALISED) == pytest.approx(100 * (0.0 - 10.0) / 100.0)
    assert floor_of([lost(0)], NORMALISED) is None, "nothing here is normalised"


scores = st.lists(st.one_of(st.none(), st.floats(-5, 5), st.just(math.nan)), min_size=1, max_size=6)


@given(scores, st.sampled_from(FAILURES), st.one_of(st.none(), st.floats(-9, 9)))
def test_no_failure_counts_for_more_than_a_finished_run_and_none_is_dropped(
    values: list[float | None], status: str, least: float | None
) -> None:
    row = {} if least is None else {"measure_minimum": least}
    outcomes = [
        lost(seed, status, success_metric="success", **row) if value is None else ok(seed, value, **row)
        for seed, value in enumerate(values)
    ]
    floor = floor_of(outcomes, "success")
    sample = sample_of(outcomes, "success", "score_error", floor)
    finished = [value for value in values if value is not None and math.isfinite(value)]
    if floor is None:
        assert sample is None and not finished and least is None
        return
    assert sample is not None and len(sample.scores) == len(values)
    assert len(sample.failed) == len(values) - len(finished)
    assert all(sample.scores[seed] == floor for seed in sample.failed)
    assert all(floor <= value for value in finished)


def test_runs_under_way_do_not_count_yet() -> None:
    sample = sample_of([ok(0, 0.5), lost(1, "running"), lost(2, "interrupted")], "success", "score_error", 0.0)
    assert sample is not None and dict(sample.scores) == {0: 0.5}


def test_several_runs_of_a_seed_are_one_with_the_error_of_their_mean() -> None:
    outcomes = [ok(0, 0.2, score_error=0.3, eval_episodes=50), ok(0, 0.4, score_error=0.4, eval_episodes=20)]
    sample = sample_of(outcomes, "success", "score_error", None)
    assert sample is not None
    assert sample.scores[0] == pytest.approx(0.3)
    assert sample.errors[0] == pytest.approx(0.25)
    assert sample.episodes == 20


def test_bounds_and_measure_are_those_that_rows_agree_on() -> None:
    row = {"measure_minimum": 0.0, "measure_maximum": 1.0}
    assert bounds_of([ok(0, 0.5, **row), ok(1, 0.5, **row)]) == Bounds(0.0, 1.0)
    assert bounds_of([ok(0, 0.5, **row), ok(1, 0.5, measure_minimum=-1.0)]) == Bounds(None, 1.0)
    assert measure_among([ok(0, 0.5), lost(1, success_metric="return_mean")]) == "success"
    assert measure_among([lost(1, success_metric="correct")]) == "correct"
    assert measure_among([lost(1)]) == RETURN
