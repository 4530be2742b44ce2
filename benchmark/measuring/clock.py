"""Two clocks at once: wall time, which a user waits for, and CPU time, which tells work from waiting."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Nanoseconds since some fixed moment, never decreasing."""

    def wall_ns(self) -> int:
        """Time that passed outside."""
        ...

    def cpu_ns(self) -> int:
        """Time that this process computed, all its threads together."""
        ...


class RealClock:
    """The clocks of the machine."""

    def wall_ns(self) -> int:
        return time.perf_counter_ns()

    def cpu_ns(self) -> int:
        return time.process_time_ns()
