"""Means and intervals agree with SciPy's own interval and do not depend on the order of the seeds."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dsbench.errors import UsageError
from dsbench.reports.statistics import Estimate, estimate, few_seeds, share

numbers = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=12).filter(lambda values: np.ptp(values) > 1e-3)


@settings(max_examples=40, deadline=None)
@given(values=numbers, confidence=st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_interval_is_that_of_scipy(values: list[float], confidence: float) -> None:
    low, high = stats.t.interval(confidence, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
    got = estimate(values, confidence)
    scale = max(map(abs, values))
    assert got.n == len(values)
    assert got.mean == pytest.approx(np.mean(values), rel=1e-9, abs=1e-12 * scale)
    assert (got.low, got.high) == pytest.approx((low, high), rel=1e-9, abs=1e-9 * scale)


def test_the_usual_confidence_is_95_percent() -> None:
    # t(0.975; 4) = 2.776 stands in every printed table of Student's t; s of 1..5 is sqrt(2.5).
    half = estimate([1, 2, 3, 4, 5]).half_width
    assert half == pytest.approx(2.776 * math.sqrt(2.5 / 5), abs=1e-3)


@settings(max_examples=30, deadline=None)
@given(values=numbers, data=st.data())
def test_order_does_not_move_a_single_bit(values: list[float], data: st.DataObject) -> None:
    assert estimate(data.draw(st.permutations(values))) == estimate(values)


def test_one_seed_has_a_mean_and_no_interval() -> None:
    assert estimate([0.25]).to_dict() == {"mean": 0.25, "low": None, "high": None, "n": 1}
    assert estimate([0.25]).half_width is None


def test_equal_seeds_have_an_interval_of_width_zero() -> None:
    assert estimate([0.5, 0.5, 0.5]).to_dict() == {"mean": 0.5, "low": 0.5, "high": 0.5, "n": 3}


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf]])
def test_what_cannot_be_averaged_is_refused(values: list[float]) -> None:
    with pytest.raises(UsageError):
        estimate(values)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, math.nan])
def test_a_confidence_that_is_none_is_refused(confidence: float) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        estimate([1.0, 2.0], confidence)


def test_few_seeds_are_said_and_enough_are_not() -> None:
    assert few_seeds([5, 6]) is None
    assert few_seeds([]) is None
    assert few_seeds([0, 5]) is None, "a row without seeds shows no mean to be careful with"
    assert "n = 3 can rarely support a claim" in str(few_seeds([3, 4, 9]))
    assert "n = 2 cannot support a claim" in str(few_seeds([2, 5]))
    assert "single seed has no interval" in str(few_seeds([1, 5]))


def test_what_rounds_to_zero_has_no_sign() -> None:
    assert estimate([-0.004, -0.002]).text(".1f") == "0.00 ± 0.01"
    assert estimate([-0.4, -0.2]).text(",.1f").startswith("-0.3")


@pytest.mark.parametrize("n", [1, 2, 3, 5, 10, 40])
def test_the_interval_of_a_share_is_that_of_clopper_and_pearson(n: int) -> None:
    for successes in range(n + 1):
        got, theirs = share(successes, n), stats.binomtest(successes, n).proportion_ci(0.95, "exact")
        assert (got.mean, got.low, got.high) == pytest.approx((successes / n, theirs.low, theirs.high), abs=1e-9)


def test_three_of_three_is_known_to_be_above_29_percent() -> None:
    assert share(3, 3).low == pytest.approx(0.025 ** (1 / 3))
    with pytest.raises(UsageError, match="4 of 3"):
        share(4, 3)


def test_an_interval_that_is_not_in_the_middle_shows_both_ends() -> None:
    assert Estimate(0.9, 0.7, 1.0, 3).text(".2f") == "0.90 [0.70, 1.00]"
    assert Estimate(0.9, 0.8, 1.0, 3).text(".2f") == "0.90 ± 0.10"
    assert Estimate(0.9, None, None, 3).text(".2f") == "0.90"
    assert Estimate(0.9, 0.7, 1.0, 3).scaled(100) == Estimate(90.0, 70.0, 100.0, 3)


@given(mean=st.floats(-1e9, 1e9), exponent=st.integers(-15, 9), form=st.sampled_from([".3f", ",.0f", ".1f"]))
def test_an_interval_of_some_width_never_looks_like_none(mean: float, exponent: int, form: str) -> None:
    """What is read back from the text has a width, and its mean lies within that of the mean."""
    half = 10.0**exponent
    if mean + half == mean or mean - half == mean:
        return
    text = Estimate(mean, mean - half, mean + half, 5).text(form).replace(",", "")
    shown, _, width = text.partition(" ± ")
    if not width:
        shown, low, high = re.fullmatch(r"(\S+) \[(\S+) (\S+)\]", text).groups()  # type: ignore[union-attr]
        width = str(float(high) - float(low))
    assert float(width) > 0 and abs(float(shown) - mean) <= max(half, 1e-3 * abs(mean))
