"""bsuite's experiments over a task's settings and its scores, for tables that stand beside those of others.

A sweep makes one option of a task harder step by step. Its score is the share of the settings in which the average regret
stays below a threshold (Osband et al. 2020; bsuite/experiments/*/sweep.py and analysis.py, version 0.3.6). Regret is 2 for
an episode whose decision was wrong and 0 for one in which it was right, so a random policy has 1. bsuite's memory
experiments count the share of wrong episodes against the half of a random policy: the same number.

bsuite takes the average over the life of an agent that learns as it goes. A policy trained offline is scored as it stands
after its training, so its score leaves out what learning cost: not to be read as if the two were alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from dsbench.errors import UsageError

EPISODES = 10_000  # of each setting; later ones do not count

_HARDER = (*range(1, 11), 12, 14, 17, 20, 25)


@dataclass(frozen=True)
class Sweep:
    """One of bsuite's experiments.

    Attributes:
        env: the catalogue name of the task.
        varied: the option that the settings differ in.
        values: its values, ascending.
        fixed: the other options, the same in all settings.
        threshold: the average regret below which a setting counts as solved.
    """

    env: str
    varied: str
    values: tuple[int, ...]
    fixed: Mapping[str, int]
    threshold: float

    def settings(self) -> list[dict[str, int]]:
        """The options of the task in each setting."""
        return [{self.varied: value, **self.fixed} for value in self.values]


SWEEPS: Mapping[str, Sweep] = MappingProxyType(
    {
        "umbrella_length": Sweep(
            "umbrella", "chain_length", (*_HARDER, *range(30, 105, 10)), {"n_distractor": 20}, threshold=0.5
        ),
        "umbrella_distract": Sweep(
            "umbrella", "n_distractor", (*_HARDER, *range(30, 105, 10)), {"chain_length": 20}, threshold=0.5
        ),
        "memory_len": Sweep(
            "memory-len", "memory_length", (*_HARDER, *range(30, 105, 10)), {"num_bits": 1}, threshold=0.75
        ),
        "memory_size": Sweep("memory-size", "num_bits", (*_HARDER, 30, 40), {"memory_length": 2}, threshold=0.75),
    }
)


def average_regret(regrets: np.ndarray) -> float:
    """Mean regret of an episode.

    Args:
        regrets: (episodes,) or (seeds, episodes), the measure ``regret`` of the task in the order of the episodes; those
            past the first 10 000 do not count.
    """
    counted = np.asarray(regrets, np.float64)[..., :EPISODES]
    if counted.size == 0:
        raise UsageError("the average regret of no episodes was asked for; expected at least one episode")
    return float(counted.mean())


def sweep_score(sweep: Sweep, regrets: Mapping[int, np.ndarray]) -> float:
    """Share of the settings played whose average regret is below the threshold, from 0 to 1.

    Args:
        sweep: one of `SWEEPS`.
        regrets: value of the varied option -> regrets, as `average_regret` takes them. As in bsuite, settings that were not
            played (yet) do not count.
    """
    if not regrets:
        raise UsageError(f"no setting of {sweep.varied} was played; expected some of {list(sweep.values)}")
    for value in regrets:
        if value not in sweep.values:
            raise UsageError(
                f"{sweep.varied} {value!r} is no setting of the sweep; expected one of {list(sweep.values)}"
            )
    return float(np.mean([average_regret(played) < sweep.threshold for played in regrets.values()]))
