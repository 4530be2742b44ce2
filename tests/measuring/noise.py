"""Noise of a real machine, and a clock that plays it back.

    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE python -m tests.measuring.noise     # record anew, about a minute

What was recorded: wall and CPU time of one small piece of torch work (160 products of a row with a 64 x 64 matrix and a
tanh, about as long as a decision), one after another in 12 stretches with pauses between, on a machine with 2 cores
whose every core was busy with somebody else's training.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RECORDED = Path(__file__).parent / "data" / "noise.npz"
STRETCHES, EACH, PAUSE_SECONDS = 12, 1000, 4.0
PRODUCTS = 160
GRAIN_US = 0.25  # finer than the noise; halves the file


@dataclass
class NoisyClock:
    """Simulated time: work of a true length takes as long as the recorded noise makes of it.

    Attributes:
        wall: factors, one for each call in order; they begin anew at the end.
        cpu: the same for CPU time.
        position: of the next call.
        speed: further factor at a simulated moment in seconds, a drift for example.
    """

    wall: NDArray[np.float64]
    cpu: NDArray[np.float64]
    position: int = 0
    speed: Callable[[float], float] = lambda seconds: 1.0
    now_wall_ns: float = field(default=0.0, init=False)
    now_cpu_ns: float = field(default=0.0, init=False)

    @staticmethod
    def quiet(speed: Callable[[float], float] = lambda seconds: 1.0) -> NoisyClock:
        return NoisyClock(np.ones(1), np.ones(1), speed=speed)

    @staticmethod
    def recorded(position: int) -> NoisyClock:
        """Plays the recording from a position on; a factor of 1 is the median call of the recording."""
        return NoisyClock(*_factors(), position)

    def work(self, us: float) -> None:
        """Let a call of `us` microseconds happen."""
        index = self.position % len(self.wall)
        self.position += 1
        factor = self.speed(self.now_wall_ns / 1e9)
        self.now_wall_ns += 1e3 * us * float(self.wall[index]) * factor
        self.now_cpu_ns += 1e3 * us * float(self.cpu[index]) * factor

    def wall_ns(self) -> int:
        return int(self.now_wall_ns)

    def cpu_ns(self) -> int:
        return int(self.now_cpu_ns)


@cache
def _factors() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    with np.load(RECORDED) as file:
        wall, cpu = file["wall_us"].astype(np.float64), file["cpu_us"].astype(np.float64)
    return wall / np.median(wall), cpu / np.median(wall)


def record() -> dict[str, NDArray[np.float32]]:
    """Wall and CPU time of each call in microseconds."""
    import torch

    torch.set_num_threads(1)
    weight, row = torch.randn(64, 64) / 8, torch.randn(1, 64)
    wall, cpu = [], []
    with torch.inference_mode():
        for _ in range(STRETCHES):
            for index in range(-50, EACH):
                cpu_begin, begin = time.process_time_ns(), time.perf_counter_ns()
                x = row
                for _ in range(PRODUCTS):
                    x = torch.tanh(x @ weight)
                end, cpu_end = time.perf_counter_ns(), time.process_time_ns()
                if index >= 0:
                    wall.append((end - begin) / 1e3)
                    cpu.append((cpu_end - cpu_begin) / 1e3)
            time.sleep(PAUSE_SECONDS)
    rounded = {
        name: np.round(np.array(values) / GRAIN_US) * GRAIN_US
        for name, values in {"wall_us": wall, "cpu_us": cpu}.items()
    }
    return {name: values.astype(np.float32) for name, values in rounded.items()}


if __name__ == "__main__":
    np.savez_compressed(RECORDED, **record())
    print(f"{RECORDED}: {RECORDED.stat().st_size} bytes")
