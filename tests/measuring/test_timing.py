"""The timing engine on a clock of our own: set-up and warm-up stay out, the machine's drift favours nobody, all ends well.

Each property is also shown to catch an engine that is wrong in the way the property is about.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.errors import UsageError
from dsbench.measuring import timing as engine
from dsbench.measuring.contestants import Contestant, Samples, Schedule
from dsbench.measuring.estimates import compare, timing
from dsbench.measuring.lane import Lane
from dsbench.measuring.timing import measure, orders
from tests.measuring.noise import NoisyClock

STEADY_US = 500.0
COMPILE_SECONDS = 3.0


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def skipped(lane: Lane) -> None:
    """A part of the schedule that a wrong engine leaves out."""


def with_compile_and_ramp(clock: NoisyClock, length: float) -> Contestant:
    """First call compiles; the next ones are slower than in the long run, ever less so over `length` calls."""
    calls = itertools.count()

    def run() -> None:
        call = next(calls)
        clock.work(STEADY_US * (1 + np.exp(-call / length)) + (COMPILE_SECONDS * 1e6 if call == 0 else 0))

    return Contestant("model", run)


def only_steady_calls_count(length: float = 20) -> None:
    clock = NoisyClock.quiet()
    samples = measure([with_compile_and_ramp(clock, length)], clock=clock, generator=generator())["model"]
    assert samples.stable
    assert samples.setup_seconds == pytest.approx(COMPILE_SECONDS, rel=0.01)
    assert samples.wall_us.max() < 1.1 * STEADY_US
    assert timing(samples).p50 == pytest.approx(STEADY_US, rel=0.01)


@pytest.mark.parametrize("left_out", [(), ("warm_up",), ("set_up",), ("set_up", "warm_up")])
def test_neither_compile_time_nor_warm_up_is_in_the_samples(
    left_out: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in left_out:
        monkeypatch.setattr(Lane, part, skipped)
    with pytest.raises(AssertionError) if left_out else contextlib.nullcontext():
        only_steady_calls_count()


@settings(max_examples=25, deadline=None)
@given(length=st.floats(0.1, 40))
def test_warm_up_is_as_long_as_the_ramp_needs(length: float) -> None:
    only_steady_calls_count(length)


def test_warm_up_has_three_calls_at_least_and_ends_at_its_limit() -> None:
    clock = NoisyClock.quiet()
    calls = itertools.count(1)
    still = Contestant("still", lambda: clock.work(1))
    restless = Contestant("restless", lambda: clock.work(next(calls)))
    schedule = Schedule(min_warmup=1, max_warmup=40)
    samples = measure([still, restless], schedule, clock=clock, generator=generator())
    assert (samples["still"].warmup_runs, samples["still"].stable) == (3, True)
    assert (samples["restless"].warmup_runs, samples["restless"].stable) == (31, False)  # 1 + 2 + 4 + 8 + 16
    assert samples["restless"].status == "ok"


def one_after_the_other(
    contestants: Sequence[Contestant], schedule: Schedule, *, clock: NoisyClock, generator: np.random.Generator
) -> dict[str, Samples]:
    """A wrong loop: every contestant has all of its rounds before the next one begins."""
    alone = [measure([one], schedule, clock=clock, generator=generator) for one in contestants]
    return {name: samples for one in alone for name, samples in one.items()}


def always_in_the_same_order(count: int, rounds: int, generator: np.random.Generator) -> list[list[int]]:
    return [list(range(count))] * rounds


def drift_favours_nobody(measure: Callable[..., dict[str, Samples]], slope: float, true: float) -> None:
    """The machine slows down by `slope` a second; `true` is the ratio of the two."""
    clock = NoisyClock.quiet(speed=lambda seconds: 1 + slope * seconds)
    contestants = [
        Contestant("a", lambda: clock.work(STEADY_US)),
        Contestant("b", lambda: clock.work(STEADY_US * true)),
    ]
    samples = measure(contestants, Schedule(rounds=20), clock=clock, generator=generator())
    ratio = compare(samples["b"], samples["a"])
    assert ratio.ratio == pytest.approx(true, rel=0.005)
    assert ratio.low <= true * 1.0001 and ratio.high >= true / 1.0001


@settings(max_examples=15, deadline=None)
@given(slope=st.floats(0, 4), true=st.floats(0.5, 2))
def test_a_steady_drift_does_not_move_the_ratio(slope: float, true: float) -> None:
    drift_favours_nobody(measure, slope, true)


def test_a_loop_that_does_not_interleave_is_caught_by_the_drift() -> None:
    with pytest.raises(AssertionError):
        drift_favours_nobody(one_after_the_other, 0.5, 1.0)


def test_an_order_that_never_changes_is_caught_by_the_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "orders", always_in_the_same_order)
    with pytest.raises(AssertionError):
        drift_favours_nobody(measure, 4.0, 1.0)


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 9), pairs=st.integers(1, 10), seed=st.integers(0, 100))
def test_orders_are_permutations_whose_mean_positions_are_equal(count: int, pairs: int, seed: int) -> None:
    drawn = list(orders(count, 2 * pairs, np.random.default_rng(seed)))
    assert all(sorted(order) == list(range(count)) for order in drawn)
    positions = np.argsort(drawn, axis=1).mean(axis=0)
    np.testing.assert_allclose(positions, (count - 1) / 2)
    assert drawn == list(orders(count, 2 * pairs, np.random.default_rng(seed)))


def test_orders_are_shuffled() -> None:
    assert len({tuple(order) for order in orders(3, 60, generator())}) == 6


def disturbed(first: int, last: int) -> NoisyClock:
    """Others have the core for two thirds of the time in calls `first` to `last`."""
    wall = np.ones(10_000)
    wall[first:last] = 3
    return NoisyClock(wall, np.ones(10_000))


def test_a_round_that_was_disturbed_is_measured_again() -> None:
    clock = disturbed(63, 70)
    samples = measure([Contestant("a", lambda: clock.work(100))], clock=clock, generator=generator())["a"]
    assert not samples.contended.any()
    assert (samples.wall_us == 100).all()
    assert clock.position == 1 + samples.warmup_runs + 21 * 17  # one block of 16 and its lead-in twice


def test_a_machine_that_stays_disturbed_marks_its_rounds_and_ends() -> None:
    clock = disturbed(0, 10_000)
    schedule = Schedule(rounds=6, samples=32, max_repeats=4)
    samples = measure([Contestant("a", lambda: clock.work(100))], schedule, clock=clock, generator=generator())["a"]
    assert samples.contended.tolist() == [True] * 6
    assert clock.position == 1 + samples.warmup_runs + (6 + 4) * 33
    assert timing(samples).contended == 6


def test_where_cpu_time_says_nothing_no_round_is_contended() -> None:
    clock = NoisyClock(np.ones(1), np.zeros(1))
    schedule = Schedule(contended=float("inf"))
    samples = measure([Contestant("a", lambda: clock.work(100))], schedule, clock=clock, generator=generator())["a"]
    assert not samples.contended.any()


def test_a_time_limit_ends_one_contestant_and_keeps_what_it_has() -> None:
    clock = NoisyClock.quiet()
    slow = Contestant("slow", lambda: clock.work(1e6))
    quick = Contestant("quick", lambda: clock.work(10))
    schedule = Schedule(rounds=4, samples=10, seconds_limit=30.5)
    samples = measure([slow, quick], schedule, clock=clock, generator=generator())
    # 1 to set up, 3 + 6 to warm up, 1 + 10 in the first round, 1 + 9 in the second: 31 calls pass the limit
    assert (samples["slow"].status, samples["slow"].wall_us.shape) == ("timeout", (2, 10))
    assert np.count_nonzero(~np.isnan(samples["slow"].wall_us)) == 19
    assert "31 s of 30.5 s" in str(samples["slow"].reason)
    assert timing(samples["slow"]).p50 == 1e6
    assert (samples["quick"].status, samples["quick"].wall_us.shape) == ("ok", (4, 10))


class OutOfMemoryError(RuntimeError):
    """Named as torch's own is."""


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MemoryError(), "out_of_memory"),
        (OutOfMemoryError("CUDA out of memory"), "out_of_memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"), "out_of_memory"),
        (ValueError("window of 3"), "failed"),
    ],
)
@pytest.mark.parametrize("at", [0, 5, 30])
def test_an_error_ends_one_contestant_and_the_others_go_on(error: Exception, status: str, at: int) -> None:
    clock = NoisyClock.quiet()
    calls = itertools.count()

    def run() -> None:
        if next(calls) == at:
            raise error
        clock.work(10)

    contestants = [Contestant("a", lambda: clock.work(10)), Contestant("bad", run), Contestant("c", lambda: None)]
    samples = measure(contestants, Schedule(samples=8), clock=clock, generator=generator())
    assert samples["bad"].status == status
    assert str(error) in str(samples["bad"].reason)
    assert len(samples["bad"].wall_us) == (3 if at == 30 else 0)  # 10 calls before the rounds of 9
    assert [samples[name].wall_us.shape for name in "ac"] == [(20, 8)] * 2
    assert list(samples) == ["a", "bad", "c"]


def test_preparation_is_not_timed_and_calls_share_a_sample() -> None:
    clock = NoisyClock.quiet()
    done: list[str] = []

    def prepare() -> None:
        done.append("prepare")
        clock.work(1000)

    def run() -> None:
        done.append("run")
        clock.work(7)

    samples = measure([Contestant("a", run, prepare, calls=3)], clock=clock, generator=generator())["a"]
    np.testing.assert_allclose(samples.wall_us, 7)
    np.testing.assert_allclose(samples.cpu_us, 7)
    assert done == ["prepare", "run"] + ["prepare", "run", "run", "run"] * (samples.warmup_runs + 20 * 17)


@pytest.mark.parametrize("collecting", [True, False])
def test_no_garbage_is_collected_while_timing_and_the_switch_is_left_as_it_was(collecting: bool) -> None:
    seen: list[bool] = []
    try:
        (gc.enable if collecting else gc.disable)()
        measure([Contestant("a", lambda: seen.append(gc.isenabled()))], Schedule(rounds=2), generator=generator())
        assert not any(seen)
        assert gc.isenabled() == collecting
        with pytest.raises(KeyboardInterrupt):
            measure([Contestant("a", interrupt)], generator=generator())
        assert gc.isenabled() == collecting
    finally:
        gc.enable()


def interrupt() -> None:
    raise KeyboardInterrupt


def test_the_clocks_of_the_machine_tell_work_from_waiting() -> None:
    schedule = Schedule(rounds=2, samples=3, contended=1.5, max_repeats=0)
    asleep = measure([Contestant("asleep", lambda: time.sleep(0.002))], schedule, generator=generator())["asleep"]
    assert timing(asleep).p50 >= 2000
    assert asleep.cpu_us.max() < 2000
    assert asleep.contended.all()


@pytest.mark.parametrize(
    ("field", "value"), [("rounds", 0), ("samples", 0), ("lead_in", -1), ("min_warmup", 0), ("max_warmup", 8)]
)
def test_a_schedule_that_measures_nothing_is_refused(field: str, value: int) -> None:
    with pytest.raises(UsageError, match=field):
        Schedule(**{field: value})


def test_names_must_differ_and_calls_be_some() -> None:
    with pytest.raises(UsageError, match="'a' is there twice"):
        measure([Contestant("a", lambda: None)] * 2, generator=generator())
    with pytest.raises(UsageError, match="calls of contestant 'a' is 0"):
        measure([Contestant("a", lambda: None, calls=0)], generator=generator())


def test_the_engine_needs_no_torch() -> None:
    code = "import sys, dsbench.measuring.timing, dsbench.measuring.estimates, dsbench.measuring.peaks as p"
    shown = subprocess.run(
        [sys.executable, "-c", code + "; print('torch' in sys.modules)"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "False"
