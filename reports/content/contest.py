"""Who is compared with whom: tasks, and on each the contestants, which are backbones with what else was varied."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from dsbench.reports.groups import Run
from dsbench.reports.statistics import Estimate, estimate
from dsbench.reports.table import COLUMNS, estimate_of

Settings = Mapping[str, Any]
LEARNED = "learned"


@dataclass(frozen=True)
class Contestant:
    """Runs of one backbone on one task that differ in their seed alone.

    Attributes:
        name: `label`, and after it the settings that tell it from others with the same one.
        label: the backbone, or the name of a control.
        settings: those that are not the same for all contestants of the task.
        learned: False for scripted policies.
        scores: seed -> the measure that counts, None where all runs of the seed failed; unfinished seeds are absent.
    """

    name: str
    label: str
    backbone: str
    settings: Settings
    learned: bool
    runs: tuple[Run, ...]
    scores: Mapping[int, float | None]

    @property
    def ok(self) -> list[Run]:
        return [run for run in self.runs if run.status == "ok"]

    @property
    def failed(self) -> int:
        """Seeds that failed or diverged."""
        return sum(score is None for score in self.scores.values())

    def estimate(self, minimum: float | None) -> Estimate | None:
        """The score over seeds, failed ones at `minimum`; None with nothing to average."""
        filled = [minimum if score is None else score for score in self.scores.values()]
        finite = [score for score in filled if score is not None]
        return estimate(finite) if finite else None


@dataclass(frozen=True)
class Task:
    """One thing to do, with all who did it.

    Attributes:
        name: for files and anchors.
        title: the environment with what tells it from the other tasks of its environment.
        family: environments that belong together.
        settings: those by which the task differs from others of its environment.
        whole: all settings that make the task.
        measure: the column of the final row that counts; more is better.
        minimum: the lowest score of any run, at which failed ones stand; None where no run ended.
        contestants: learned ones first, by name.
    """

    name: str
    title: str
    env: str
    family: str
    settings: Settings
    whole: Settings
    measure: str
    minimum: float | None
    contestants: tuple[Contestant, ...]

    @property
    def learned(self) -> list[Contestant]:
        return [one for one in self.contestants if one.learned]

    @property
    def permuted(self) -> bool:
        """A control: returns were dealt out anew, so that there is nothing to find."""
        return self.whole.get("data.permute_returns") is True

    @property
    def measure_text(self) -> str:
        return "return" if self.measure == "return_mean" else self.measure.replace("_", " ")


def ranked(task: Task) -> list[tuple[Contestant, Estimate]]:
    """Learned contestants with a score, the highest mean first; of equals the quicker one, then by name."""
    latency = next(column for column in COLUMNS if column.key == "latency_p50_us")

    def quickness(one: Contestant) -> float:
        found = estimate_of(one.ok, latency)
        return math.inf if found is None else found.mean

    found = [(one, score) for one in task.learned if (score := one.estimate(task.minimum)) is not None]
    return sorted(found, key=lambda pair: (-pair[1].mean, quickness(pair[0]), pair[0].name))


def word(value: Any) -> str:
    """A value as `--set` takes it; a list, which is kept as JSON, as its entries."""
    if isinstance(value, str) and value.startswith("["):
        with suppress(ValueError):  # or it is text that begins like a list
            return "+".join(map(str, json.loads(value)))
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def listed(settings: Settings) -> str:
    """``chain_length=20, permute_returns=true``: without the part, which the name nearly always tells."""
    return ", ".join(f"{name.rpartition('.')[2]}={word(value)}" for name, value in settings.items())
