"""Timing of several contestants in one process, so that the machine's moods strike all of them alike.

Each contestant is set up (its first call, reported apart) and warmed up; then come the rounds. In a round every
contestant has a block of consecutive samples; the order of the blocks is shuffled in every other round and mirrored in
the round after it, so that a machine that slows down or speeds up favours nobody. The caller fixes the number of threads.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from dsbench.errors import UsageError
from dsbench.measuring.clock import Clock, RealClock
from dsbench.measuring.contestants import Contestant, Samples, Schedule
from dsbench.measuring.lane import Lane

__all__ = ["Contestant", "Samples", "Schedule", "measure", "orders"]
DEFAULT = Schedule()


def measure(
    contestants: Sequence[Contestant],
    schedule: Schedule = DEFAULT,
    *,
    clock: Clock | None = None,
    generator: np.random.Generator,
) -> dict[str, Samples]:
    """Time the contestants together; one that fails, or runs out of memory or time, leaves the others in the race.

    Args:
        clock: that of the machine unless given.
        generator: shuffles the rounds.

    Returns:
        Samples by name, in the order of `contestants`.

    Raises:
        UsageError: two contestants of one name, or a contestant without calls.
    """
    twice = [name for name, count in Counter(one.name for one in contestants).items() if count > 1]
    if twice:
        raise UsageError(
            f"contestant {twice[0]!r} is there twice; expected names that differ: give the twin its own name"
        )
    for one in contestants:
        if one.calls < 1:
            raise UsageError(f"calls of contestant {one.name!r} is {one.calls}; expected at least 1")
    lanes = [Lane(one, schedule, clock or RealClock()) for one in contestants]
    with _without_collections():
        for lane in lanes:
            lane.attempt(lane.set_up)
            lane.attempt(lane.warm_up)
        for order in orders(len(lanes), schedule.rounds, generator):
            gc.collect(0)  # only what the last round made: bounded memory, and quick
            for index in order:
                lanes[index].attempt(lanes[index].block)
    return {lane.contestant.name: lane.result() for lane in lanes}


def orders(count: int, rounds: int, generator: np.random.Generator) -> Iterator[list[int]]:
    """An order of `count` contestants for each round: shuffled, then the mirror image, then shuffled anew.

    Over a pair of rounds all contestants have the same mean position, so that a steady drift cancels.
    """
    order: list[int] = []
    for number in range(rounds):
        order = order[::-1] if number % 2 else generator.permutation(count).tolist()
        yield order


@contextmanager
def _without_collections() -> Iterator[None]:
    """No garbage collection inside: one in the middle of a sample is not the contestant's doing."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
