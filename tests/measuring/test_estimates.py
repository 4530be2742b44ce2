"""Estimates of times: what they call different on recorded noise, and intervals against closed forms and simulation."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from scipy import stats

from dsbench.errors import UsageError
from dsbench.measuring.contestants import Contestant, Samples
from dsbench.measuring.estimates import LEAST_FLOOR, Ratio, compare, noise_floor, timing
from dsbench.measuring.timing import measure
from tests.measuring.noise import NoisyClock

PAIRS = 200
STEADY_US = 400.0
PLANTED = 1.2


def samples_of(wall_us: ArrayLike) -> Samples:
    wall = np.asarray(wall_us, dtype=np.float64)
    return Samples(wall, wall, np.zeros(len(wall), dtype=np.bool_), 0.0, 0, True, "ok", None)


def race(seed: int) -> dict[str, Samples]:
    """Two equal contestants, a twin for the noise floor, and one that takes 20 % longer, somewhere in the recording."""
    generator = np.random.default_rng(seed)
    clock = NoisyClock.recorded(int(generator.integers(12_000)))
    lengths = {"one": STEADY_US, "other": STEADY_US, "twin": STEADY_US, "planted": STEADY_US * PLANTED}
    contestants = [Contestant(name, lambda us=us: clock.work(us)) for name, us in lengths.items()]
    return measure(contestants, clock=clock, generator=generator)


@pytest.fixture(scope="module")
def races() -> list[dict[str, Samples]]:
    return [race(seed) for seed in range(PAIRS)]


def rate_of_different(races: list[dict[str, Samples]], name: str, *, twin: bool) -> float:
    verdicts = [
        compare(race[name], race["one"], noise_floor(race["one"], race["twin"]) if twin else LEAST_FLOOR).different
        for race in races
    ]
    return float(np.mean(verdicts))


@pytest.mark.parametrize("twin", [False, True])
def test_equal_contestants_are_rarely_called_different_on_recorded_noise(
    races: list[dict[str, Samples]], twin: bool
) -> None:
    assert rate_of_different(races, "other", twin=twin) <= 0.08


@pytest.mark.parametrize("twin", [False, True])
def test_a_planted_fifth_is_found_on_recorded_noise(races: list[dict[str, Samples]], twin: bool) -> None:
    assert rate_of_different(races, "planted", twin=twin) >= 0.95


def test_the_planted_ratio_is_measured_without_bias(races: list[dict[str, Samples]]) -> None:
    found = [compare(race["planted"], race["one"]) for race in races]
    assert np.median([ratio.ratio for ratio in found]) == pytest.approx(PLANTED, rel=0.003)
    assert np.mean([ratio.low <= PLANTED <= ratio.high for ratio in found]) >= 0.9


def test_the_recording_is_noisy_enough_to_mean_something() -> None:
    clock = NoisyClock.recorded(0)
    assert np.percentile(clock.wall, 97) > 3  # others took the core in the middle of a call
    assert clock.wall.sum() > 2 * clock.cpu.sum()
    # a noise that lasts: its part that is common to 32 calls in a row is far above that of independent calls
    slow = np.log(clock.wall[: 32 * 375]).clip(-0.2, 0.2).reshape(375, 32)
    assert slow.mean(axis=1).var() > 2 * slow.var() / 32


lists = st.lists(
    st.lists(st.floats(1, 1e6), min_size=4, max_size=4), min_size=2, max_size=8
)  # rounds of 4 samples in microseconds


@settings(max_examples=25, deadline=None)
@given(wall=lists)
def test_percentiles_are_those_of_all_samples(wall: list[list[float]]) -> None:
    got = timing(samples_of(wall))
    expected = [stats.scoreatpercentile(np.ravel(wall), at) for at in (50, 90, 99)]
    np.testing.assert_allclose([got.p50, got.p90, got.p99], expected, rtol=1e-12)
    assert got.n == np.size(wall)
    assert np.min(wall) <= got.low <= got.high <= np.max(wall)


@settings(max_examples=15, deadline=None)
@given(wall=lists, factor=st.sampled_from([0.25, 2.0, 1024.0]))
def test_estimates_do_not_depend_on_the_unit(wall: list[list[float]], factor: float) -> None:
    one, other = timing(samples_of(wall)), timing(samples_of(factor * np.array(wall)))
    for name in ("p50", "low", "high", "p90", "p99"):
        assert getattr(other, name) == pytest.approx(factor * getattr(one, name), rel=1e-12)


def test_interval_of_a_ratio_is_that_of_the_bootstrapped_median() -> None:
    # The median of a resample of 2m + 1 rounds is at most the k-th smallest ratio with the probability that at least
    # m + 1 draws are among the k smallest: the bootstrap distribution in closed form.
    ratios = np.sort(np.random.default_rng(3).lognormal(0, 0.1, 15))
    got = compare(samples_of(ratios[:, None] * [1, 1, 1]), samples_of(np.ones((15, 3))))
    at_most = np.concatenate([[0], stats.binom.sf(7, 15, np.arange(1, 16) / 15)])
    assert got.ratio == pytest.approx(np.median(ratios), rel=1e-12)
    for bound, share in ((got.low, 0.025), (got.high, 0.975)):
        index = int(np.argmin(np.abs(ratios - bound)))
        assert bound == pytest.approx(ratios[index], rel=1e-9)
        assert at_most[index] <= share + 0.007  # 2000 resamples: two standard errors
        assert at_most[index + 1] >= share - 0.007


def test_the_interval_of_the_median_is_honest_where_noise_lasts_a_whole_round() -> None:
    generator = np.random.default_rng(5)
    held, naive = [], []
    for _ in range(100):
        wall = 100 * np.exp(generator.normal(0, 0.05, (10, 1)) + generator.normal(0, 0.01, (10, 32)))
        got = timing(samples_of(wall))
        held.append(got.low <= 100 <= got.high)
        resamples = generator.choice(wall.ravel(), (200, wall.size))
        low, high = np.percentile(np.median(resamples, axis=1), [2.5, 97.5])
        naive.append(low <= 100 <= high)
    assert np.mean(held) >= 0.9
    assert np.mean(naive) < 0.5  # as if all samples were independent: what a wrong interval would do


def test_ratios_are_taken_within_rounds() -> None:
    # b takes twice as long in every round, while rounds differ by far more than that
    a = np.array([[1.0] * 3, [10.0] * 3, [100.0] * 3, [1000.0] * 3, [10.0] * 3])
    assert compare(samples_of(2 * a), samples_of(a)) == Ratio(2.0, 2.0, 2.0, different=True)


def test_nothing_is_called_different_inside_the_floor_or_on_few_rounds() -> None:
    a = np.ones((10, 4))
    assert compare(samples_of(1.03 * a), samples_of(a)).different
    assert not compare(samples_of(1.03 * a), samples_of(a), floor=0.03).different
    assert not compare(samples_of(a / 1.03), samples_of(a), floor=0.03).different
    assert compare(samples_of(a / 1.05), samples_of(a), floor=0.03).different
    few = compare(samples_of(3 * a[:4]), samples_of(a[:4]))
    assert (few.ratio, few.different) == (3.0, False)
    assert math.isnan(few.low) and math.isnan(few.high)


@pytest.mark.parametrize(("factor", "floor"), [(1.07, 0.07), (1 / 1.07, 0.07), (1.001, LEAST_FLOOR), (1, LEAST_FLOOR)])
def test_the_noise_floor_is_the_distance_of_a_twin_from_1(factor: float, floor: float) -> None:
    assert noise_floor(samples_of(factor * np.ones((3, 2))), samples_of(np.ones((3, 2)))) == pytest.approx(floor)


def test_a_contestant_that_ended_early_has_what_it_has() -> None:
    nan = math.nan
    whole = samples_of([[1, 2, 3], [1, 2, 3]])
    cut = samples_of([[1, 2, 3], [9, nan, nan]])
    single = samples_of([[4, 6, nan]])
    none = dataclasses.replace(samples_of(np.empty((0, 3))), status="failed", reason="ValueError")
    assert (timing(cut).n, timing(cut).p50, math.isnan(timing(cut).low)) == (3, 2, True)
    assert (timing(single).n, timing(single).p50) == (2, 5)
    assert (timing(none).n, math.isnan(timing(none).p50)) == (0, True)
    assert compare(whole, cut).ratio == 1
    with pytest.raises(UsageError, match="without samples"):
        compare(whole, none)


@pytest.mark.parametrize("floor", [-0.1, math.nan, math.inf])
def test_a_floor_that_is_none_is_refused(floor: float) -> None:
    with pytest.raises(UsageError, match="floor is"):
        compare(samples_of(np.ones((5, 2))), samples_of(np.ones((5, 2))), floor)
