"""Rates are bytes and operations over time, read off a clock of our own; limits name what bounds the work."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.measuring import peaks
from dsbench.measuring.peaks import Limit, Peaks, measure_peaks

CPU = torch.device("cpu")


class TickingClock:
    """A millisecond passes at every look, so that every call takes one."""

    def __init__(self) -> None:
        self._wall, self._cpu = itertools.count(step=10**6), itertools.count(step=10**6)

    def wall_ns(self) -> int:
        return next(self._wall)

    def cpu_ns(self) -> int:
        return next(self._cpu)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose caches hold next to nothing, so that what lies outside of them is small as well."""
    for index, (level, kind, size) in enumerate([(1, "Data", "4K"), (1, "Instruction", "1G"), (2, "Unified", "64K")]):
        folder = tmp_path / f"index{index}"
        folder.mkdir()
        for name, text in (("level", str(level)), ("type", kind), ("size", size)):
            (folder / name).write_text(text + "\n")
    monkeypatch.setattr(peaks, "CACHES", tmp_path)
    monkeypatch.setattr(peaks, "LEAST_LARGE_BYTES", 2**17)
    monkeypatch.setattr(peaks, "GEMM_SIZE", {"cpu": 32})


@pytest.mark.usefixtures("small")
def test_rates_are_bytes_and_operations_over_time() -> None:
    got = measure_peaks(CPU, generator=np.random.default_rng(0), clock=TickingClock())
    # read and written; the large copy is four times the largest cache, those inside take a quarter of L2 each
    assert got.memory_bytes_per_second == pytest.approx(2 * 4 * 64 * 1024 / 1e-3)
    assert got.cache_bytes_per_second == pytest.approx(2 * 64 * 1024 / 4 * peaks.CACHE_COPIES / 1e-3)
    assert got.flop_per_second == pytest.approx(2 * 32**3 / 1e-3)
    assert got.cache_bytes == 64 * 1024
    assert (got.last_cache_bytes_per_second, got.last_cache_bytes) == (None, 0)


@pytest.mark.usefixtures("small")
def test_rates_of_this_machine_are_those_of_some_machine() -> None:
    got = measure_peaks(CPU, generator=np.random.default_rng(0))
    assert 1e7 < got.memory_bytes_per_second < 1e13
    assert 1e7 < got.cache_bytes_per_second < 1e13
    assert 1e7 < got.flop_per_second < 1e14


def test_a_system_without_cache_sizes_has_usual_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peaks, "CACHES", tmp_path / "none")
    monkeypatch.setattr(peaks, "LEAST_LARGE_BYTES", 2**20)
    got = measure_peaks(CPU, generator=np.random.default_rng(0), clock=TickingClock())
    assert got.cache_bytes == peaks.USUAL_L2_BYTES


@pytest.mark.usefixtures("small")
def test_a_cache_beyond_the_second_is_measured_on_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "index3"
    folder.mkdir()
    for name, text in (("level", "3"), ("type", "Unified"), ("size", "256K")):
        (folder / name).write_text(text + "\n")
    got = measure_peaks(CPU, generator=np.random.default_rng(0), clock=TickingClock())
    assert got.last_cache_bytes == 256 * 1024
    assert got.last_cache_bytes_per_second == pytest.approx(2 * 256 * 1024 / 4 * peaks.LAST_CACHE_COPIES / 1e-3)
    assert got.memory_bytes_per_second == pytest.approx(2 * 4 * 256 * 1024 / 1e-3)


TWO = Peaks(memory_bytes_per_second=1e10, cache_bytes_per_second=1e11, cache_bytes=10**6, flop_per_second=1e12)
THREE = replace(TWO, last_cache_bytes_per_second=5e10, last_cache_bytes=10**7)


@pytest.mark.parametrize(
    ("machine", "moved_bytes", "flop", "expected"),
    [
        (TWO, 1e6, 1e3, Limit(10.0, "cache")),
        (TWO, 1e7, 1e3, Limit(910.0, "memory")),  # a tenth of it may lie in the cache
        (TWO, 1e6, 1e8, Limit(100.0, "arithmetic")),
        (TWO, 1e6 + 1e4, 1e6, Limit(11.0, "memory")),
        (TWO, 0, 0, Limit(0.0, "cache")),
        (THREE, 1e6, 1e3, Limit(10.0, "cache")),
        (THREE, 2e6, 1e3, Limit(30.0, "last cache")),
        (THREE, 2e7, 1e3, Limit(1190.0, "memory")),
        (THREE, 2e6, 1e8, Limit(100.0, "arithmetic")),
    ],
)
def test_the_slower_of_moving_and_computing_is_the_limit(
    machine: Peaks, moved_bytes: float, flop: float, expected: Limit
) -> None:
    got = machine.limit(moved_bytes, flop)
    assert got.kind == expected.kind
    assert got.us == pytest.approx(expected.us)


def test_bytes_that_move_twice_lie_in_one_place() -> None:
    assert TWO.limit(2e6, 0, held_bytes=1e6).us == pytest.approx(20)
    assert THREE.limit(4e6, 0, held_bytes=2e6).us == pytest.approx(60)


def test_a_place_whose_rate_is_not_known_is_as_fast_as_the_next_one_out() -> None:
    assert replace(THREE, last_cache_bytes_per_second=float("nan")).limit(2e6, 0).us == pytest.approx(10 + 100)
    assert replace(TWO, cache_bytes_per_second=1e9).limit(1e6, 0).us == pytest.approx(100)  # noise: no cache is slower
    assert np.isnan(replace(TWO, memory_bytes_per_second=float("nan")).limit(2e6, 0).us)


@given(
    sizes=st.tuples(st.integers(10**4, 10**6), st.integers(10**6, 10**8)),
    rates=st.tuples(*[st.floats(1e9, 1e12)] * 3).map(sorted),
    moved=st.integers(1, 10**9),
)
@settings(max_examples=25, deadline=None)
def test_no_copy_is_faster_than_its_limit(sizes: tuple[int, int], rates: list[float], moved: int) -> None:
    """A copy whose bytes all come from the innermost place that holds them all."""
    memory, last, inner = rates
    machine = Peaks(memory, inner, sizes[0], 1e15, last, sizes[1])
    place = inner if moved <= sizes[0] else last if moved <= sizes[1] else memory
    assert 1e6 * moved / place >= machine.limit(moved, 0).us * (1 - 1e-9)
