"""Estimates over tasks and seeds agree with SciPy, on the same resamples to 1e-12, and keep what they promise."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dsbench.errors import UsageError
from dsbench.reports import aggregate_bootstrap
from dsbench.reports.aggregate import aggregate, performance_profile
from dsbench.reports.aggregate_bootstrap import Bootstrap, Interval
from dsbench.reports.aggregate_pairs import probability_of_improvement
from dsbench.reports.aggregate_scores import Scores
from dsbench.reports.outcomes import Sample
from dsbench.reports.statistics import Estimate

Runs = dict[str, dict[int, float]]

EXACT = {"rel": 1e-12, "abs": 1e-12}
FEW = Bootstrap(resamples=300)
TARGET = 0.7
ORACLES: dict[str, Callable[..., Any]] = {
    "mean": np.mean,
    "median": np.median,
    "iqm": lambda pooled, axis=-1: stats.trim_mean(pooled, 0.25, axis=axis),
    "optimality_gap": lambda pooled, axis=-1: np.mean(np.clip(TARGET - pooled, 0, None), axis=axis),
}
scores_of_a_task = st.lists(st.integers(-40, 40).map(lambda eighths: eighths / 8), min_size=2, max_size=7)
tables = st.lists(scores_of_a_task, min_size=1, max_size=4).map(
    lambda tasks: {f"task{k}": dict(enumerate(values)) for k, values in enumerate(tasks)}
)


def normals(counts: list[int], seed: int = 0, shift: float = 0.0) -> Runs:
    generator = np.random.default_rng(seed)
    return {
        f"task{k}": dict(enumerate((generator.normal(size=count) + k + shift).tolist()))
        for k, count in enumerate(counts)
    }


def samples(runs: Runs) -> dict[str, Sample]:
    return {task: Sample(scores) for task, scores in runs.items()}


def made(runs: Runs) -> Scores:
    return Scores.of(samples(runs), normalised=True)


def bounds(interval: Interval | Estimate) -> tuple[float, float]:
    assert interval.low is not None and interval.high is not None
    return interval.low, interval.high


def scipy_interval(
    samples: list[np.ndarray], statistic: Callable[..., Any], draws: Bootstrap, batch: int | None = None
) -> Any:
    return stats.bootstrap(
        samples,
        lambda *drawn, axis=-1: statistic(np.concatenate(drawn, axis=axis), axis=axis),
        n_resamples=draws.resamples,
        confidence_level=draws.confidence,
        method="percentile",
        vectorized=True,
        batch=batch,
        rng=np.random.default_rng(draws.seed),
    ).confidence_interval


@pytest.mark.parametrize("counts", [[10] * 6, [3, 9, 4], [7]], ids=["balanced", "unequal", "one task"])
@pytest.mark.parametrize("name", ORACLES)
def test_estimates_and_intervals_are_those_of_scipy(name: str, counts: list[int]) -> None:
    scores = made(normals(counts))
    samples = list(scores.tasks.values())
    how = Bootstrap(resamples=2000, confidence=0.9)
    got = aggregate(scores, TARGET, how)[name]
    assert got.value == pytest.approx(ORACLES[name](np.concatenate(samples)), **EXACT)
    assert bounds(got) == pytest.approx(tuple(scipy_interval(samples, ORACLES[name], how)), **EXACT)
    assert (got.n, got.drawn.resamples, got.drawn.seed) == (sum(counts), 2000, how.seed)


@pytest.mark.parametrize("cells", [9 * 99, 9 * 20], ids=["one batch", "five batches"])
@pytest.mark.parametrize("name", ORACLES)
def test_intervals_on_given_resamples_are_percentiles_of_the_plain_loop(
    name: str, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aggregate_bootstrap, "CELLS", cells)
    scores = made(normals([3, 6]))
    generator = np.random.default_rng(7)
    indices = {task: generator.integers(0, len(values), (99, len(values))) for task, values in scores.tasks.items()}
    drawn = [
        ORACLES[name](np.concatenate([values[indices[task][row]] for task, values in scores.tasks.items()]))
        for row in range(99)
    ]
    got = aggregate(scores, TARGET, indices=indices)[name]
    assert bounds(got) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])), **EXACT)
    assert (got.drawn.resamples, got.drawn.seed) == (99, None), "the generator had no part in it"


def test_batches_change_the_draws_and_not_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = made(normals([5, 5]))
    how = Bootstrap(resamples=1001)
    whole = aggregate(scores, how=how)["iqm"]
    monkeypatch.setattr(aggregate_bootstrap, "CELLS", 10 * 100)
    parts = aggregate(scores, how=how)["iqm"]
    same = scipy_interval(list(scores.tasks.values()), ORACLES["iqm"], how, batch=100)
    assert bounds(parts) == pytest.approx(tuple(same), **EXACT), "the last batch, of one resample, counts"
    assert bounds(parts) == pytest.approx(bounds(whole), abs=0.2)


def test_a_score_at_the_threshold_is_not_above_it() -> None:
    scores = made({"a": {0: 0.0, 1: 1.0, 2: 1.0, 3: 2.0}})
    assert performance_profile(scores, [0, 1, 2], FEW).share.tolist() == [0.75, 0.25, 0.0]


def test_profile_is_the_share_above_and_its_bounds_are_those_of_the_plain_loop() -> None:
    scores = made(normals([4, 6]))
    generator = np.random.default_rng(1)
    indices = {task: generator.integers(0, len(values), (80, len(values))) for task, values in scores.tasks.items()}
    thresholds = np.linspace(-2, 3, 7)
    got = performance_profile(scores, thresholds, indices=indices)
    pooled = np.concatenate(list(scores.tasks.values()))
    # The survival function of SciPy's empirical distribution is the share strictly above.
    assert got.share == pytest.approx(stats.ecdf(pooled).sf.evaluate(thresholds), **EXACT)
    drawn = [
        [np.mean(np.concatenate([v[indices[t][row]] for t, v in scores.tasks.items()]) > level) for level in thresholds]
        for row in range(80)
    ]
    assert np.array([got.low, got.high]) == pytest.approx(np.percentile(drawn, [2.5, 97.5], axis=0), **EXACT)


@settings(max_examples=20, deadline=None)
@given(runs=tables, shift=st.integers(-100, 100), scale=st.integers(1, 9))
def test_shift_and_scale_of_all_scores_are_those_of_the_estimates(runs: Runs, shift: int, scale: int) -> None:
    moved = {task: {seed: scale * value + shift for seed, value in seeds.items()} for task, seeds in runs.items()}
    before, after = aggregate(made(runs), how=FEW), aggregate(made(moved), how=FEW)
    for name in ("mean", "median", "iqm"):
        expected = [scale * number + shift for number in (before[name].value, *bounds(before[name]))]
        assert [after[name].value, *bounds(after[name])] == pytest.approx(expected, rel=1e-9, abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(runs=tables, data=st.data())
def test_order_of_tasks_and_runs_does_not_move_a_single_bit(runs: Runs, data: st.DataObject) -> None:
    tasks = data.draw(st.permutations(list(runs)))
    other = {task: dict(data.draw(st.permutations(list(runs[task].items())))) for task in tasks}
    a, b = made(runs), made(other)
    assert aggregate(a, 1.0, FEW) == aggregate(b, 1.0, FEW)
    levels = [-1.0, 0.0, 1.0]
    first, second = performance_profile(a, levels, FEW), performance_profile(b, levels, FEW)
    assert first.low is not None and second.low is not None
    assert first.low.tolist() == second.low.tolist()


@settings(max_examples=20, deadline=None)
@given(runs=tables)
def test_profiles_and_their_bounds_fall_from_one_to_zero(runs: Runs) -> None:
    got = performance_profile(made(runs), np.linspace(-6, 6, 13), FEW)
    assert got.low is not None and got.high is not None
    for curve in (got.share, got.low, got.high):
        assert (np.diff(curve) <= 0).all() and (curve[0], curve[-1]) == (1, 0)
    assert (got.low <= got.high).all()


def test_same_table_gives_the_same_numbers_whatever_was_drawn_before() -> None:
    scores = made(normals([4, 4]))
    first = aggregate(scores, how=FEW)
    np.random.default_rng().normal()
    aggregate(made(normals([3], seed=9)), how=FEW)
    assert aggregate(scores, how=FEW) == first
    assert aggregate(scores, how=Bootstrap(resamples=300, seed=1)) != first


def test_a_task_with_a_single_seed_leaves_no_interval() -> None:
    scores = made({"a": {0: 1.0, 1: 2.0}, "b": {0: 3.0}})
    got = aggregate(scores, how=FEW)["mean"]
    assert (got.value, got.low, got.high) == (2.0, None, None)
    assert got.text(".1f") == "2.0"
    profile = performance_profile(scores, [2.5], FEW)
    assert (profile.share.tolist(), profile.low, profile.high) == ([1 / 3], None, None)


def test_an_interval_says_where_it_comes_from() -> None:
    got = aggregate(made({"a": {0: 1.0, 1: 1.0}}), how=Bootstrap(resamples=20, seed=3))["iqm"]
    assert got.text(".2f") == "1.00 [1.00, 1.00]"
    assert got.to_dict() == {
        "value": 1.0, "low": 1.0, "high": 1.0, "n": 2, "resamples": 20, "seed": 3, "confidence": 0.95,
    }  # fmt: skip


def test_all_estimates_of_four_contestants_on_thirteen_tasks_take_about_a_second() -> None:
    contestants = [made(normals([10] * 13, seed=seed)) for seed in range(4)]

    def seconds() -> float:
        start = time.perf_counter()
        for scores in contestants:
            aggregate(scores, target=1.0)
            performance_profile(scores, np.linspace(-2, 14, 51))
        for a, b in itertools.combinations(contestants, 2):
            probability_of_improvement(a, b)
        return time.perf_counter() - start

    assert any(seconds() < 2 for _ in range(3)), "0.6 s where nothing else runs; the rest is room for a busy machine"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda one: aggregate(one, target=float("nan")), "target is nan"),
        (lambda one: performance_profile(one, []), "thresholds are"),
        (lambda one: performance_profile(one, [0.0, float("inf")]), "thresholds are"),
        (lambda one: aggregate(one, indices={}), "'a' have shape None"),
        (lambda one: aggregate(one, indices={"a": np.zeros((5, 3), int)}), r"expected \(resamples, 2\)"),
        (lambda one: aggregate(one, indices={"a": np.full((5, 2), 2)}), r"0\.\.1"),
        (lambda one: aggregate(one, indices={"a": np.zeros((0, 2), int)}), "empty"),
        (lambda one: probability_of_improvement(one, made({"b": {0: 1.0}})), "only one side has scores on a, b"),
        (
            lambda one: probability_of_improvement(one, Scores.of(samples({"a": {0: 1.0}}), normalised=False)),
            "one side is normalised",
        ),
    ],
)
def test_what_cannot_be_computed_is_refused_in_one_sentence(call: Callable[[Scores], object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call(made({"a": {0: 1.0, 1: 2.0}}))


@pytest.mark.parametrize("asked", [{"resamples": 0}, {"confidence": 95.0}, {"confidence": 1.0}])
def test_a_bootstrap_that_is_none_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="expected"):
        Bootstrap(**asked)


def test_resamples_of_different_lengths_are_refused() -> None:
    scores = made({"a": {0: 1.0, 1: 2.0}, "b": {0: 1.0, 1: 2.0}})
    with pytest.raises(UsageError, match=r"\[4, 5\] resamples"):
        aggregate(scores, indices={"a": np.zeros((5, 2), int), "b": np.zeros((4, 2), int)})
