"""One contestant on its way through a schedule."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from dsbench.measuring.clock import Clock
from dsbench.measuring.contestants import Contestant, FloatArray, Samples, Schedule, Status
from dsbench.running.causes import is_out_of_memory


class Lane:
    """One contestant on its way through the schedule."""

    def __init__(self, contestant: Contestant, schedule: Schedule, clock: Clock) -> None:
        self.contestant = contestant
        self._schedule = schedule
        self._clock = clock
        self._limit_ns = math.inf if schedule.seconds_limit is None else schedule.seconds_limit * 1e9
        self._spent_ns = 0
        self._repeats = 0
        self._setup_seconds = 0.0
        self._warmup_runs = 0
        self._stable = False
        self._status: Status = "ok"
        self._reason: str | None = None
        self._blocks: list[FloatArray] = []  # (2, samples) each: wall and CPU

    def attempt(self, part: Callable[[], None]) -> None:
        """Do a part of the schedule unless this lane has ended; an exception ends it."""
        if self._status != "ok":
            return
        try:
            part()
        except _OutOfTime as error:
            self._status, self._reason = "timeout", str(error)
        except Exception as error:
            self._status = "out_of_memory" if is_out_of_memory(error) else "failed"
            self._reason = f"{type(error).__name__}: {error}"  # the text alone: a traceback would keep tensors alive

    def set_up(self) -> None:
        """The first call, on its own."""
        self._setup_seconds = self._sample(calls=1)[0] / 1e6

    def warm_up(self) -> None:
        """Windows of growing length until two in a row agree."""
        size, before = self._schedule.min_warmup, math.inf
        while self._warmup_runs + size <= self._schedule.max_warmup:
            window = [self._sample(self.contestant.calls)[0] for _ in range(size)]
            self._warmup_runs += size
            now = float(np.median(window))
            if abs(now - before) <= self._schedule.stable * before < math.inf:
                self._stable = True
                return
            size, before = 2 * size, now

    def block(self) -> None:
        """The samples of one round; measured again while others have the core and repeats are left."""
        self._blocks.append(self._empty())
        self._fill(self._blocks[-1])
        while contention(self._blocks[-1]) > self._schedule.contended and self._repeats < self._schedule.max_repeats:
            self._repeats += 1
            again = self._empty()
            self._fill(again)
            if contention(again) < contention(self._blocks[-1]):
                self._blocks[-1] = again

    def result(self) -> Samples:
        """All that was measured; a last round without a single sample is left out."""
        blocks = [block for block in self._blocks if not np.isnan(block[0, 0])]
        both = np.stack(blocks, axis=1) if blocks else np.empty((2, 0, self._schedule.samples))
        return Samples(
            wall_us=both[0],
            cpu_us=both[1],
            contended=np.array([contention(block) > self._schedule.contended for block in blocks], dtype=np.bool_),
            setup_seconds=self._setup_seconds,
            warmup_runs=self._warmup_runs,
            stable=self._stable,
            status=self._status,
            reason=self._reason,
        )

    def _empty(self) -> FloatArray:
        return np.full((2, self._schedule.samples), np.nan)

    def _fill(self, block: FloatArray) -> None:
        for _ in range(self._schedule.lead_in):
            self._sample(self.contestant.calls)
        for index in range(self._schedule.samples):
            block[:, index] = self._sample(self.contestant.calls)

    def _sample(self, calls: int) -> tuple[float, float]:
        """Wall and CPU time of one call in microseconds; all of it counts towards the limit."""
        if self._spent_ns > self._limit_ns:
            raise _OutOfTime(f"used {self._spent_ns / 1e9:.3g} s of {self._schedule.seconds_limit:g} s")
        run, wall_ns, cpu_ns = self.contestant.run, self._clock.wall_ns, self._clock.cpu_ns
        arrived = wall_ns()
        self.contestant.prepare()
        cpu_begin = cpu_ns()
        begin = wall_ns()
        for _ in range(calls):
            run()
        end = wall_ns()
        cpu_end = cpu_ns()
        self._spent_ns += end - arrived
        return (end - begin) / 1e3 / calls, (cpu_end - cpu_begin) / 1e3 / calls


def contention(block: FloatArray) -> float:
    """Wall time over CPU time of the samples that were taken, at least 1 where nothing took any CPU time."""
    wall, cpu = np.nansum(block, axis=1)
    return float(wall / cpu) if cpu > 0 else math.inf if wall > 0 else 1.0


class _OutOfTime(Exception):
    """The time limit of a contestant has passed."""
