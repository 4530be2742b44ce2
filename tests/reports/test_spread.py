"""Intervals of scores: no narrower than what is known, inside of the measure, and where they should be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dsbench.reports.outcomes import Bounds, Sample
from dsbench.reports.spread import Spread, over_tasks

UNIT = Bounds(0.0, 1.0)
unit = st.floats(0, 1)
rates = st.lists(unit, min_size=1, max_size=6)


def sample(scores: list[float], error: float | None = None, episodes: int | None = None) -> Sample:
    errors = {} if error is None else dict.fromkeys(range(len(scores)), error)
    return Sample(dict(enumerate(scores)), errors, episodes)


def spread(*tables: list[float]) -> Spread:
    return Spread({f"c{place}": sample(scores) for place, scores in enumerate(tables)})


def test_alone_an_interval_is_students() -> None:
    scores = [0.3, 0.5, 0.45, 0.6]
    got = spread(scores).estimate("c0")
    assert (got.low, got.high) == pytest.approx(stats.t.interval(0.95, 3, np.mean(scores), stats.sem(scores)))
    assert not got.calibrated


def test_sisters_lend_their_spread_to_two_that_agree() -> None:
    tables = [[0.5, 0.5, 0.5], [0.1, 0.9, 0.5], [0.2, 0.8, 0.3], [0.3, 0.4, 0.9]]
    found = spread(*tables)
    v = [np.var(own, ddof=1) for own in tables]
    freedom = sum(v) ** 2 / sum(one**2 / 2 for one in v) - 1
    half = stats.t.ppf(0.975, freedom) * math.sqrt(np.mean(v) / 3)
    got = found.estimate("c0")
    assert got.calibrated
    assert (got.low, got.high) == pytest.approx((0.5 - half, 0.5 + half))


@settings(max_examples=150, deadline=None)
@given(tables=st.lists(rates, min_size=1, max_size=5), episodes=st.sampled_from([None, 10, 100]))
def test_of_a_bounded_measure_intervals_hold_the_mean_lie_inside_and_have_a_width(
    tables: list[list[float]], episodes: int | None
) -> None:
    found = Spread({f"c{k}": sample(own, episodes=episodes) for k, own in enumerate(tables)})
    for name, own in zip(found.names, tables, strict=True):
        got = found.estimate(name, UNIT)
        if len(own) == 1:
            assert got.low is None and got.high is None
            continue
        assert got.low is not None and got.high is not None
        assert 0 <= got.low <= got.mean <= got.high <= 1
        assert got.high - got.low > 1e-3


@pytest.mark.parametrize("score", [0.0, 1.0, 0.25])
@pytest.mark.parametrize(("n", "episodes"), [(3, 100), (5, 20), (2, None)])
def test_equal_seeds_have_wilsons_interval_over_their_episodes(score: float, n: int, episodes: int | None) -> None:
    got = Spread({"a": sample([score] * n, episodes=episodes)}).estimate("a", UNIT)
    draws = n * (episodes or 1)
    theirs = stats.binomtest(round(score * draws), draws).proportion_ci(0.95, "wilson")
    if (score * draws).is_integer():
        assert (got.low, got.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert got.high is not None and got.low is not None and got.high > got.low


def test_all_solved_by_luck_is_covered() -> None:
    """Seeds of one binomial rate near 1: six contestants, three seeds of 50 episodes; their intervals hold the rate."""
    generator, hits = np.random.default_rng(0), 0
    for _ in range(400):
        table = generator.binomial(50, 0.99, size=(6, 3)) / 50
        found = Spread({f"c{k}": sample(own.tolist(), episodes=50) for k, own in enumerate(table)})
        hits += sum(got.low <= 0.99 <= got.high for got in (found.estimate(name, UNIT) for name in found.names)
                    if got.low is not None and got.high is not None)  # fmt: skip
    assert hits / 2400 >= 0.93


def test_the_error_over_episodes_is_the_least() -> None:
    """Evaluation episodes that are the same for all seeds (of before) give scores that agree too well."""
    scores = [[5.0, 5.01, 5.0], [4.0, 4.01, 4.0], [3.0, 3.01, 3.0], [2.0, 2.0, 2.01]]
    found = Spread({f"c{k}": sample(own, error=0.6) for k, own in enumerate(scores)})
    v = [np.var(own, ddof=1) for own in scores]
    freedom = sum(v) ** 2 / sum(one**2 / 2 for one in v) - 1
    got = found.estimate("c0")
    assert got.half_width == pytest.approx(stats.t.ppf(0.975, freedom) * 0.6 / math.sqrt(3))
    assert Spread({"a": sample([5.0, 5.0], error=0.6)}).estimate("a").half_width == pytest.approx(
        1.959964 * 0.6 / math.sqrt(2)
    )


def test_where_nothing_tells_how_far_seeds_are_off_there_is_no_interval() -> None:
    got = Spread({"a": sample([5.0, 5.0, 5.0])}).estimate("a")
    assert (got.mean, got.low, got.high, got.n) == (5.0, None, None, 3)


def test_a_measure_with_one_end_ends_there() -> None:
    got = Spread({"a": sample([0.0, 3.0, 0.5])}).estimate("a", Bounds(0.0, None))
    assert got.low == 0.0 and got.high is not None and got.high > 3


def test_differences_are_taken_seed_by_seed_where_seeds_move_all_alike() -> None:
    luck = np.array([0.0, 5.0, -3.0, 8.0])
    noise = np.random.default_rng(1).normal(size=(4, 4)) * 0.1
    table = luck + noise
    found = spread(*table.tolist())
    assert found.paired
    got = found.differences(np.array([0]), np.array([1]))
    left = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
    pooled = (left**2).sum() / 3 * 4 / 3 / 4  # residual mean square of a two-way layout, as a mean over contestants
    own = np.var(table[0] - table[1], ddof=1)
    assert got.variance[0] == pytest.approx(max(own, 2 * pooled) / 4)
    assert not spread(*noise.tolist()).paired
    assert not spread(*table[:3].tolist()).paired, "with fewer than four contestants too little is known"
    assert not spread(*table[:3].tolist(), table[3, :3].tolist()).paired, "one lacks a seed"


def test_the_mean_over_tasks_has_the_sum_of_their_variances() -> None:
    first, second = ([[1.0, 2.0, 4.0], [2.0, 2.5, 2.0]], [[10.0, 30.0, 20.0], [20.0, 22.0, 21.0]])
    strata = [spread(*first), spread(*second)]
    got = over_tasks(strata, "c0")
    parts = [stratum.variance_of("c0") for stratum in strata]
    freedom = sum(parts) ** 2 / sum(p**2 / s.lowered for p, s in zip(parts, strata, strict=True))
    assert got.mean == pytest.approx((7 / 3 + 20) / 2)
    assert got.half_width == pytest.approx(stats.t.ppf(0.975, freedom) * math.sqrt(sum(parts)) / 2)
    assert got.n == 6
    assert over_tasks([spread([1.0], [2.0])], "c0").low is None


@settings(max_examples=40, deadline=None)
@given(tables=st.lists(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6), min_size=1, max_size=5))
def test_no_scores_break_it(tables: list[list[float]]) -> None:
    found = spread(*tables)
    for name in found.names:
        got = found.estimate(name)
        assert math.isfinite(got.mean)
        assert got.low is None or (got.high is not None and got.low < got.high)
