"""What is timed, how much of it, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dsbench.errors import UsageError

Status = Literal["ok", "timeout", "out_of_memory", "failed"]
FloatArray = NDArray[np.float64]


def nothing() -> None:
    """For contestants that need no preparation."""


@dataclass(frozen=True)
class Contestant:
    """What is timed.

    Attributes:
        name: unique among those measured together.
        run: the work; it returns when the work is done (a device has been synchronised).
        prepare: called before every sample and not timed, for example to bring the state back to a context.
        calls: of `run` in one sample, whose time is divided by them; more than one where a call takes a few microseconds.
    """

    name: str
    run: Callable[[], None]
    prepare: Callable[[], None] = nothing
    calls: int = 1


@dataclass(frozen=True)
class Schedule:
    """How much is measured, and when a measurement is good.

    Attributes:
        rounds: blocks of every contestant; on a busy machine many short ones tell contestants apart more surely than few
            long ones (a fifth in 99.9 % of recorded pairs with 20 of 16 samples, in 96.3 % with 10 of 32).
        samples: in a block.
        lead_in: samples at the start of a block that do not count: the caches hold the contestant before.
        min_warmup: samples of the first window of the warm-up; each window is twice as long as the one before, so that a
            slow ramp is seen as well as a sudden step.
        stable: two successive windows whose medians agree within this part end the warm-up.
        max_warmup: samples after which it ends anyway, marked as not stable.
        contended: wall / CPU time of a block above which others had the core. Infinite where CPU time says nothing: with
            several threads, or a device that is waited for asleep.
        max_repeats: contended blocks that are measured again, of one contestant over all rounds; the less contended one
            of the two is kept.
        seconds_limit: of wall time for one contestant, everything included; seen between samples, never within one.
    """

    rounds: int = 20
    samples: int = 16
    lead_in: int = 1
    min_warmup: int = 3
    stable: float = 0.05
    max_warmup: int = 400
    contended: float = 1.1
    max_repeats: int = 10
    seconds_limit: float | None = None

    def __post_init__(self) -> None:
        for name, least in (("rounds", 1), ("samples", 1), ("lead_in", 0), ("min_warmup", 1), ("max_repeats", 0)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} of a schedule is {getattr(self, name)}; expected at least {least}")
        if self.max_warmup < 3 * self.min_warmup:
            raise UsageError(
                f"max_warmup of a schedule is {self.max_warmup}; expected at least {3 * self.min_warmup}, which is room "
                "for two windows to be compared"
            )


@dataclass(frozen=True, eq=False)
class Samples:
    """What was measured of one contestant, in microseconds a call.

    Attributes:
        wall_us: (rounds, samples); NaN in the last round where a contestant ended early, and no round at all where it
            ended before its first sample.
        cpu_us: the same, of CPU time.
        contended: (rounds,), blocks that stayed contended.
        setup_seconds: wall time of the first call, in which things compile and load; 0 where it never returned.
        warmup_runs: samples before the first round.
        stable: whether the warm-up ended because two windows agreed.
        status: ok, or why there are fewer samples than asked for.
        reason: in words, where the status is not ok.
    """

    wall_us: FloatArray
    cpu_us: FloatArray
    contended: NDArray[np.bool_]
    setup_seconds: float
    warmup_runs: int
    stable: bool
    status: Status
    reason: str | None
