"""How likely one beats the other is SciPy's U statistic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dsbench.reports.aggregate_pairs import probability_of_improvement, ranges
from tests.reports.test_aggregate import EXACT, made, normals, scores_of_a_task


def test_probability_of_improvement_is_the_u_statistic() -> None:
    a, b = made(normals([5, 8], seed=1, shift=0.4)), made(normals([6, 8], seed=2))
    shares = [
        stats.mannwhitneyu(a.tasks[task], b.tasks[task]).statistic / (len(a.tasks[task]) * len(b.tasks[task]))
        for task in a.tasks
    ]
    assert probability_of_improvement(a, b) == pytest.approx(np.mean(shares), **EXACT)


@pytest.mark.parametrize(
    ("ours", "others", "expected"), [([1, 2], [1, 2], 0.5), ([3, 4], [1, 2], 1.0), ([1, 3], [1, 2], 0.625)]
)
def test_probability_of_improvement_counts_ties_by_half(
    ours: list[float], others: list[float], expected: float
) -> None:
    a, b = made({"t": dict(enumerate(ours))}), made({"t": dict(enumerate(others))})
    assert probability_of_improvement(a, b) == expected


@settings(max_examples=20, deadline=None)
@given(tasks=st.lists(st.tuples(scores_of_a_task, scores_of_a_task), min_size=1, max_size=4))
def test_improvements_in_both_directions_sum_to_one(tasks: list[tuple[list[float], list[float]]]) -> None:
    a, b = (made({f"t{k}": dict(enumerate(pair[side])) for k, pair in enumerate(tasks)}) for side in (0, 1))
    there, back = probability_of_improvement(a, b), probability_of_improvement(b, a)
    assert there + back == pytest.approx(1, abs=1e-12)
    assert 0 <= there <= 1


@given(st.sets(st.integers(0, 30)))
def test_ranges_name_every_seed_once(seeds: set[int]) -> None:
    ends = [part.split("-") for part in ranges(sorted(seeds)).split(", ") if part]
    assert [seed for end in ends for seed in range(int(end[0]), int(end[-1]) + 1)] == sorted(seeds)
