"""The single-precision recurrence stays within the paper's bound, and compensation brings it as close as it claims."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dsbench.inspection.rounding import (
    EPSILON,
    bound,
    compensated,
    compensated_sum,
    forward_errors,
    plain,
    rounding_study,
    two_product,
    two_sum,
)

singles = st.floats(-1e3, 1e3, width=32).filter(lambda value: value == 0 or abs(value) > 1e-3)
inputs = st.integers(1, 12).flatmap(lambda length: arrays(np.float32, (2, length), elements=singles))
decays = st.sampled_from([0.5, 0.8, 0.999, 1.0, 1.005, -0.7])


def exactly(decay: float, row: np.ndarray) -> list[Fraction]:
    """The recurrence in rational numbers."""
    factor, x, states = Fraction(float(np.float32(decay))), Fraction(0), []
    for value in row.tolist():
        x = factor * x + Fraction(value)
        states.append(x)
    return states


@settings(max_examples=25, deadline=None)
@given(a=singles, b=singles)
def test_what_rounding_loses_is_kept_exactly(a: float, b: float) -> None:
    left, right = np.array([a], np.float32), np.array([b], np.float32)
    assert sum(Fraction(float(part[0])) for part in two_sum(left, right)) == Fraction(a) + Fraction(b)
    assert sum(Fraction(float(part[0])) for part in two_product(left, right)) == Fraction(a) * Fraction(b)


@settings(max_examples=25, deadline=None)
@given(decay=decays, u=inputs)
def test_errors_are_those_against_rational_arithmetic_and_within_the_bound(decay: float, u: np.ndarray) -> None:
    states = [plain(decay, u), compensated_sum(decay, u), compensated(decay, u)]
    errors, limit = forward_errors(decay, u, states), bound(decay, u)
    for row in range(len(u)):
        for t, true in enumerate(exactly(decay, u[row])):
            for state, error in zip(states, errors, strict=True):
                assert error[row, t] == pytest.approx(float(abs(true - Fraction(float(state[row, t])))), rel=1e-12)
    assert (errors[0] <= limit).all()


def test_the_bound_is_theorem_1_written_out() -> None:
    u = np.array([[1.0, -2.0, 4.0]], np.float32)
    assert bound(0.5, u).tolist() == [[0, EPSILON * (0.5 + 2), 2 * EPSILON * (0.25 + 1 + 4)]]


def test_plain_errors_stay_within_the_bound_over_a_thousand_steps_and_grow_as_in_figure_6() -> None:
    drifts = rounding_study(repeats=5)
    for drift in drifts:
        assert (drift.errors["plain"] <= drift.bound).all()
    last = [drift.errors["plain"].mean(0)[-1] for drift in drifts]
    assert last[0] < last[1] < last[2]
    assert np.ptp(np.log10(last)) > 3


def test_compensation_is_closer_and_ends_within_one_rounding_of_the_truth() -> None:
    for drift in rounding_study(repeats=5):
        means = {name: error[:, 100:].mean() for name, error in drift.errors.items()}
        assert means["exact"] <= means["sum"] < means["plain"]
    u = np.random.default_rng(0).normal(size=(5, 1000)).astype(np.float32)
    for decay in (0.8, 1.0):
        state = compensated(decay, u)
        (error,) = forward_errors(decay, u, [state])
        assert (error <= 0.5001 * np.spacing(np.abs(state)) + 1e-9).all()


def test_a_finer_reference_changes_no_error() -> None:
    u = np.random.default_rng(1).normal(size=(1, 400)).astype(np.float32)
    states = [plain(1.005, u)]
    assert (forward_errors(1.005, u, states)[0] == forward_errors(1.005, u, states, digits=2000)[0]).all()
