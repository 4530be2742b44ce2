"""Crossover against straight lines, whose meeting point is known."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.measuring.crossover import at, crossover

CONTEXTS = (1, 20, 100, 300, 1000)


@given(st.floats(2.0, 999.0), st.floats(0.01, 10.0), st.floats(10.0, 1000.0))
@settings(max_examples=25, deadline=None)
def test_a_growing_line_meets_a_flat_one_where_they_are_equal(place: float, slope: float, flat: float) -> None:
    rival = {t: flat + slope * (t - place) for t in CONTEXTS}
    found = crossover(rival, {1: flat, 1000: flat})
    assert found is not None and found.context is not None
    assert found.context == pytest.approx(place, rel=1e-6)
    assert (found.first, found.last, found.below_at_first) == (1, 1000, False)


def test_what_is_never_or_always_faster_says_so() -> None:
    slower, faster = dict.fromkeys(CONTEXTS, 1.0), dict.fromkeys(CONTEXTS, 9.0)
    never, always = crossover(slower, {1: 5.0, 1000: 5.0}), crossover(faster, {1: 5.0, 1000: 5.0})
    assert never is not None and never.context is None
    assert never.text == "not within the measured range (t = 1 to 1000)"
    assert always is not None and always.below_at_first
    assert always.text == "from t = 1 on (the smallest measured)"


def test_noise_that_comes_back_counts_only_where_it_stays_faster() -> None:
    rival = {1: 1.0, 20: 6.0, 100: 4.0, 300: 8.0}
    found = crossover(rival, {1: 5.0, 1000: 5.0})
    assert found is not None and found.context == pytest.approx(100 + 200 * 1 / 4)


def test_only_the_shared_range_counts() -> None:
    assert crossover({500: 1.0}, {1: 1.0, 100: 1.0}) is None
    assert crossover({}, {1: 1.0}) is None


def test_a_curve_is_straight_between_its_points_and_level_outside() -> None:
    assert [at({10: 1.0, 20: 3.0}, t) for t in (0, 10, 15, 20, 99)] == [1.0, 1.0, 2.0, 3.0, 3.0]
    with pytest.raises(IndexError):
        at({}, 1)
