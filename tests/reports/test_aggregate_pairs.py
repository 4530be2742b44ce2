"""Comparisons of two contestants are those of SciPy's tests, use what both have, and cover the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dsbench.reports.aggregate_bootstrap import Bootstrap
from dsbench.reports.aggregate_pairs import paired_difference, probability_of_improvement
from tests.reports.test_aggregate import EXACT, FEW, bounds, made, normals, scipy_interval, scores_of_a_task


def test_probability_of_improvement_is_the_u_statistic_and_its_interval_that_of_scipy() -> None:
    a, b = made(normals([5, 8], seed=1, shift=0.4)), made(normals([6, 8], seed=2))
    tasks = list(a.tasks)

    def improvement(*samples: np.ndarray) -> float:
        pairs = zip(samples[:2], samples[2:], strict=True)
        return float(np.mean([stats.mannwhitneyu(x, y).statistic / (len(x) * len(y)) for x, y in pairs]))

    samples = [one.tasks[task] for one in (a, b) for task in tasks]
    how = Bootstrap(resamples=150)
    got = probability_of_improvement(a, b, how)
    theirs = stats.bootstrap(
        samples,
        improvement,
        n_resamples=150,
        vectorized=False,
        method="percentile",
        rng=np.random.default_rng(how.seed),
    ).confidence_interval
    assert got.value == pytest.approx(improvement(*samples), **EXACT)
    assert bounds(got) == pytest.approx(tuple(theirs), **EXACT)


@pytest.mark.parametrize(
    ("ours", "others", "expected"), [([1, 2], [1, 2], 0.5), ([3, 4], [1, 2], 1.0), ([1, 3], [1, 2], 0.625)]
)
def test_probability_of_improvement_counts_ties_by_half(
    ours: list[float], others: list[float], expected: float
) -> None:
    a, b = made({"t": dict(enumerate(ours))}), made({"t": dict(enumerate(others))})
    assert probability_of_improvement(a, b, FEW).value == expected


def test_paired_interval_on_one_task_is_that_of_the_paired_t_test() -> None:
    a, b = normals([9], seed=1), normals([9], seed=2)
    x, y = (list(runs["task0"].values()) for runs in (a, b))
    got = paired_difference(made(a), made(b), Bootstrap(resamples=400, confidence=0.9))
    theirs = stats.ttest_rel(x, y).confidence_interval(0.9)
    assert bounds(got.t) == pytest.approx((theirs.low, theirs.high), **EXACT)
    assert got.t.mean == pytest.approx(got.difference.value, **EXACT) == pytest.approx(np.mean(x) - np.mean(y), **EXACT)
    same = scipy_interval([np.subtract(x, y)], np.mean, Bootstrap(resamples=400, confidence=0.9))
    assert bounds(got.difference) == pytest.approx(tuple(same), **EXACT)


@pytest.mark.parametrize("counts", [[6, 6], [4, 9]], ids=["balanced", "unequal"])
def test_paired_interval_on_two_tasks_is_that_of_welch(counts: list[int]) -> None:
    # The mean of m x's and n y's together is mean(m x / (m + n)) - mean(-n y / (m + n)), whose interval is Welch's.
    runs = normals(counts, seed=3)
    runs["task1"] = {seed: 5 * value for seed, value in runs["task1"].items()}
    zero = {task: dict.fromkeys(seeds, 0.0) for task, seeds in runs.items()}
    x, y = (np.array(list(values.values())) * len(values) / sum(counts) for values in runs.values())
    theirs = stats.ttest_ind(x, -y, equal_var=False).confidence_interval(0.95)
    assert bounds(paired_difference(made(runs), made(zero), FEW).t) == pytest.approx((theirs.low, theirs.high), **EXACT)


def test_pairing_uses_shared_seeds_alone_and_says_which() -> None:
    a = made({"ant": {0: 1.0, 1: 2.0, 2: 3.0, 7: 50.0}, "hopper": {3: 1.0, 4: 2.0}})
    b = made({"ant": {2: 1.0, 1: 1.0, 0: 1.0, 9: -50.0}, "hopper": {4: 1.0, 3: 0.0}})
    got = paired_difference(a, b, FEW)
    assert got.difference.value == pytest.approx((0 + 1 + 2 + 1 + 1) / 5)
    assert got.seeds == {"ant": (0, 1, 2), "hopper": (3, 4)}
    assert got.left_out == {"ant": (7, 9)}
    assert got.text() == (
        "Paired on shared seeds: 0-2 on ant, 3-4 on hopper; left out, as only one side has them: 7, 9 on ant."
    )
    alike = made({"ant": {0: 1.0, 2: 2.0}, "hopper": {0: 1.0, 2: 2.0}})
    assert paired_difference(alike, alike, FEW).text() == "Paired on shared seeds: 0, 2 on each of ant, hopper."


def test_equal_differences_have_an_interval_of_width_zero() -> None:
    a, b = made({"t": {0: 1.0, 1: 2.0}}), made({"t": {0: 0.5, 1: 1.5}})
    got = paired_difference(a, b, FEW)
    assert bounds(got.t) == bounds(got.difference) == (0.5, 0.5)


@settings(max_examples=20, deadline=None)
@given(tasks=st.lists(st.tuples(scores_of_a_task, scores_of_a_task), min_size=1, max_size=4))
def test_improvements_in_both_directions_sum_to_one(tasks: list[tuple[list[float], list[float]]]) -> None:
    a, b = (made({f"t{k}": dict(enumerate(pair[side])) for k, pair in enumerate(tasks)}) for side in (0, 1))
    there, back = probability_of_improvement(a, b, FEW), probability_of_improvement(b, a, FEW)
    assert there.value + back.value == pytest.approx(1, abs=1e-12)
    low, high = bounds(there)
    assert 0 <= low <= high <= 1


@pytest.mark.parametrize("counts", [[20, 20, 20], [30, 15]], ids=["balanced", "unequal"])
def test_intervals_cover_the_truth_about_as_often_as_they_say(counts: list[int]) -> None:
    truth = float(np.average(range(len(counts)), weights=counts))
    hits = np.zeros(3)
    zero = made({f"task{k}": dict.fromkeys(range(count), 0.0) for k, count in enumerate(counts)})
    for repeat in range(300):
        scores = made(normals(counts, seed=repeat))
        paired = paired_difference(scores, zero, FEW)
        improvement = probability_of_improvement(scores, made(normals(counts, seed=10_000 + repeat)), FEW)
        three = (bounds(paired.difference), bounds(paired.t), bounds(improvement))
        hits += [low <= at <= high for (low, high), at in zip(three, (truth, truth, 0.5), strict=True)]
    # 300 draws at 0.95 have a standard error of 0.013; the percentile interval is known to be a little narrow.
    assert ((hits / 300 > 0.90) & (hits / 300 < 0.99)).all(), hits / 300
