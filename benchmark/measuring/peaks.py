"""What a machine can do at best: bytes copied and floating-point operations a second, measured by the same engine.

A measured time means more beside the least time that its bytes and operations could take here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

from dsbench.measuring.clock import Clock
from dsbench.measuring.contestants import Contestant, Samples, Schedule
from dsbench.measuring.timing import measure
from dsbench.stopping import raise_if_asked

if TYPE_CHECKING:
    import torch

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
USUAL_L2_BYTES = 2**20  # where the system does not say
LEAST_LARGE_BYTES = 2**26
GEMM_SIZE = {"cpu": 1024, "cuda": 8192}
CACHE_COPIES = 64  # in one call: a single copy inside of a cache is over before the clocks are read
LAST_CACHE_COPIES = 8
SECONDS_LIMIT = 15.0  # for each of the four
Kind = Literal["memory", "last cache", "cache", "arithmetic"]


@dataclass(frozen=True)
class Limit:
    """The least time that some work could take; `kind` says what bounds it: the outermost place that bytes come from, or
    computing."""

    us: float
    kind: Kind


@dataclass(frozen=True)
class Peaks:
    """Rates of one device with one number of threads; NaN where one could not be measured.

    Attributes:
        memory_bytes_per_second: of a copy far larger than every cache; read and written bytes both count.
        cache_bytes_per_second: of a copy that fits into half of the L2 cache.
        cache_bytes: size of that cache, of one core on a CPU.
        flop_per_second: of a large matrix product; a product and a sum count as two.
        last_cache_bytes_per_second: of a copy of four times the L2 cache in all, or half of the last-level cache where
            that is less (others share it, and push out what fills it); None where there is none beyond L2.
        last_cache_bytes: size of that cache, which cores share; 0 where there is none.
    """

    memory_bytes_per_second: float
    cache_bytes_per_second: float
    cache_bytes: int
    flop_per_second: float
    last_cache_bytes_per_second: float | None = None
    last_cache_bytes: int = 0

    def limit(self, moved_bytes: float, flop: float, held_bytes: float | None = None) -> Limit:
        """Bound of work that has to move so many bytes and do so many operations.

        What fits into a cache may have stayed there since the call before, so that it moves at that cache's rate; the
        rest comes from further out. No place counts as slower than one further out, whatever noise said.

        Args:
            moved_bytes: read and written, as often as they are.
            flop: operations.
            held_bytes: different bytes among those moved, all moved alike; each its own unless given.
        """
        held = moved_bytes if held_bytes is None else held_bytes
        seconds, within, bound = 0.0, 0.0, "cache"
        for place, size, rate in self._places():
            part = min(held, size) - within
            if part > 0:
                seconds, within, bound = seconds + part / rate, within + part, place
        moving = 1e6 * seconds * moved_bytes / held if held else 0.0
        computing = 1e6 * flop / self.flop_per_second
        return Limit(computing, "arithmetic") if computing > moving else Limit(moving, cast(Kind, bound))

    def _places(self) -> list[tuple[str, float, float]]:
        """Where bytes may lie, from the innermost on: name, size and rate."""
        last = math.nan if self.last_cache_bytes_per_second is None else self.last_cache_bytes_per_second
        memory = self.memory_bytes_per_second
        outer = float(np.fmax(memory, last))
        return [
            ("cache", self.cache_bytes, float(np.fmax(outer, self.cache_bytes_per_second))),
            ("last cache", self.last_cache_bytes, outer),
            ("memory", math.inf, memory),
        ]


def measure_peaks(
    device: torch.device,
    *,
    generator: np.random.Generator,
    dtype: torch.dtype | None = None,
    clock: Clock | None = None,
) -> Peaks:
    """Measure the rates, some seconds together, with as many threads as torch has now.

    Args:
        device: a CPU or CUDA device.
        generator: shuffles the rounds.
        dtype: of the matrix product; float32 unless given.
        clock: that of the machine unless given.
    """
    import torch

    caches = _cache_sizes(device)
    cache_bytes = caches.get(2, USUAL_L2_BYTES)
    last_bytes = max((size for level, size in caches.items() if level > 2), default=0)
    last_bytes = last_bytes if last_bytes > cache_bytes else 0
    middle = min(2 * cache_bytes, last_bytes // 4)
    large, small = max(LEAST_LARGE_BYTES, 4 * max(caches.values(), default=0)), cache_bytes // 4
    size = GEMM_SIZE["cuda" if device.type == "cuda" else "cpu"]
    schedule = Schedule(
        rounds=8, samples=3, min_warmup=1, max_warmup=31, seconds_limit=SECONDS_LIMIT,
        contended=1.1 if device.type == "cpu" and torch.get_num_threads() == 1 else math.inf,
    )  # fmt: skip
    work = [
        Contestant("memory", _copies(large, 1, device), raise_if_asked),
        Contestant("cache", _copies(small, CACHE_COPIES, device), raise_if_asked),
        *([Contestant("last", _copies(middle, LAST_CACHE_COPIES, device), raise_if_asked)] if last_bytes else ()),
        Contestant("product", _product(size, device, dtype or torch.float32), raise_if_asked),
    ]
    with torch.inference_mode():
        times = {
            name: fastest_us(got) / 1e6
            for name, got in measure(work, schedule, clock=clock, generator=generator).items()
        }
    return Peaks(
        memory_bytes_per_second=2 * large / times["memory"],
        cache_bytes_per_second=2 * small * CACHE_COPIES / times["cache"],
        cache_bytes=cache_bytes,
        flop_per_second=2 * size**3 / times["product"],
        last_cache_bytes_per_second=2 * middle * LAST_CACHE_COPIES / times["last"] if last_bytes else None,
        last_cache_bytes=last_bytes,
    )


def fastest_us(samples: Samples) -> float:
    """Median of the fastest round in microseconds: what was reached for a while, not once; NaN without samples."""
    return float(np.nanmin(np.nanmedian(samples.wall_us, axis=1))) if samples.wall_us.size else math.nan


def _copies(size_bytes: int, count: int, device: torch.device) -> Callable[[], None]:
    """Copy so many bytes, `count` times, and wait until it is done."""
    import torch

    source = torch.randn(size_bytes // 4, device=device)  # no zeros: some memories are quicker with them
    target = torch.empty_like(source)
    wait = _wait(device)

    def run() -> None:
        for _ in range(count):
            target.copy_(source)
        wait()

    return run


def _product(size: int, device: torch.device, dtype: torch.dtype) -> Callable[[], None]:
    """A product of two square matrices."""
    import torch

    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    wait = _wait(device)

    def run() -> None:
        torch.mm(a, b, out=out)
        wait()

    return run


def _wait(device: torch.device) -> Callable[[], None]:
    """Waits for a device; a CPU has finished when its call returns."""
    import torch

    return (lambda: torch.cuda.synchronize(device)) if device.type == "cuda" else (lambda: None)


def _cache_sizes(device: torch.device) -> dict[int, int]:
    """Bytes of the data caches by level, as far as the system tells."""
    if device.type == "cuda":
        import torch

        return {2: int(torch.cuda.get_device_properties(device).L2_cache_size)}
    units = {"K": 2**10, "M": 2**20, "G": 2**30}
    sizes = {}
    for cache in CACHES.glob("index*"):
        if (cache / "type").read_text().strip() != "Instruction":
            text = (cache / "size").read_text().strip()
            sizes[int((cache / "level").read_text())] = int(text[:-1]) * units[text[-1]]
    return sizes
