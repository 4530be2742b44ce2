"""Rates are bytes and operations over time, read off a clock of our own; limits name what bounds the work."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

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


@pytest.mark.parametrize(
    ("moved_bytes", "flop", "expected"),
    [
        (1e6, 1e3, Limit(10.0, "cache")),
        (1e7, 1e3, Limit(1000.0, "memory")),
        (1e6, 1e8, Limit(100.0, "arithmetic")),
        (1e6 + 1, 1e6, Limit(100.0001, "memory")),
    ],
)
def test_the_slower_of_moving_and_computing_is_the_limit(moved_bytes: float, flop: float, expected: Limit) -> None:
    machine = Peaks(memory_bytes_per_second=1e10, cache_bytes_per_second=1e11, cache_bytes=10**6, flop_per_second=1e12)
    got = machine.limit(moved_bytes, flop)
    assert got.kind == expected.kind
    assert got.us == pytest.approx(expected.us)
