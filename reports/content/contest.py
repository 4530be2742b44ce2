"""Who is compared with whom: tasks, and on each the contestants, which are backbones with what else was varied."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dsbench.reports.columns import COLUMNS, estimate_of
from dsbench.reports.content.cells import form_of
from dsbench.reports.groups import LEARNED, Run
from dsbench.reports.outcomes import (
    NORMALISED,
    UNBOUNDED,
    Bounds,
    Design,
    Outcome,
    Sample,
    bounds_of,
    design_of,
    error_of,
    floor_of,
    sample_of,
    told_of,
)
from dsbench.reports.spread import Spread
from dsbench.reports.statistics import Estimate

Settings = Mapping[str, Any]
PASSED = 0.9  # of the way from chance to the best: a seed that gets there has solved the task


@dataclass(frozen=True)
class Contestant:
    """Runs of one backbone on one task that differ in their seed alone.

    Attributes:
        name: `label`, and after it the settings that tell it from others with the same one.
        label: the backbone, or the name of a control.
        settings: those that are not the same for all contestants of the task.
        told: names of settings that its label tells, as that of a control does.
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
    told: frozenset[str] = frozenset()

    @cached_property
    def outcomes(self) -> list[Outcome]:
        """What the rules for scores need to know of its runs."""
        return outcomes_of(self.runs)

    @property
    def ok(self) -> list[Run]:
        return [run for run in self.runs if run.status == "ok"]

    @property
    def failed(self) -> int:
        """Seeds that failed or diverged."""
        return sum(score is None for score in self.scores.values())

    def sample(self, column: str, error: str, floor: float | None) -> Sample | None:
        """Its scores in a column of the final row, failed seeds at `floor`; None with nothing to average."""
        episodes = self.runs[0].settings.get("eval.episodes")
        return sample_of(self.outcomes, column, error, floor, episodes)


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
        contestants: learned ones first, by name.
    """

    name: str
    title: str
    env: str
    family: str
    settings: Settings
    whole: Settings
    measure: str
    contestants: tuple[Contestant, ...]

    @property
    def learned(self) -> list[Contestant]:
        return [one for one in self.contestants if one.learned]

    @property
    def permuted(self) -> bool:
        """A control: returns were dealt out anew, so that there is nothing to find."""
        return self.whole.get("data.permute_returns") is True

    @property
    def design(self) -> Design:
        """What a mean over seeds is over."""
        return design_of(self.whole)

    @property
    def measure_text(self) -> str:
        return "return" if self.measure == "return_mean" else self.measure.replace("_", " ")

    # ------------------------------------------------------------------ scores

    @cached_property
    def minimum(self) -> float | None:
        """What a failed run counts as (see `floor_of`); None where no run ended and nothing else tells it."""
        return floor_of(self._outcomes, self.measure)

    @property
    def samples(self) -> Mapping[str, Sample]:
        """Contestant -> its scores, failed seeds at `minimum`; those with nothing to average are absent."""
        return self._in(self.measure)

    @property
    def normalised(self) -> Mapping[str, Sample]:
        """The same of normalised scores."""
        return self._in(NORMALISED)

    @cached_property
    def spread(self) -> Spread:
        """Of the scores of learned contestants."""
        return self.spread_of(self.samples)

    def spread_of(self, samples: Mapping[str, Sample]) -> Spread:
        """Of the learned contestants among these."""
        return Spread({one.name: samples[one.name] for one in self.learned if one.name in samples})

    @cached_property
    def bounds(self) -> Bounds:
        """Between which values the measure lies."""
        return bounds_of(self._outcomes)

    @cached_property
    def mark(self) -> float | None:
        """The score from which on a seed has solved the task; None where chance or the best is not known."""
        chance, best = told_of(self._outcomes, "measure_chance"), self.bounds.maximum
        return None if chance is None or best is None or not chance < best else chance + PASSED * (best - chance)

    def estimate(self, one: Contestant, column: str | None = None) -> Estimate | None:
        """The score of a contestant over its seeds, or another column that failures count in (the return, the normalised
        score); None with nothing to average. Scripted ones have no sisters."""
        name = column or self.measure
        samples = self._in(name)
        if one.name not in samples:
            return None
        spread = self.spread_in(name) if one.learned else Spread({one.name: samples[one.name]})
        return spread.estimate(one.name, self.bounds if name == self.measure else UNBOUNDED)

    @cached_property
    def form(self) -> str:
        """How its scores are printed, in tables as in sentences."""
        return form_of([score.mean for one in self.contestants if (score := self.estimate(one)) is not None])

    def spread_in(self, column: str) -> Spread:
        """Of the learned contestants in a column that failures count in."""
        if column not in self._spread_in:
            self._spread_in[column] = self.spread if column == self.measure else self.spread_of(self._in(column))
        return self._spread_in[column]

    def _in(self, column: str) -> Mapping[str, Sample]:
        if column not in self._sampled:
            floor = self.minimum if column == self.measure else floor_of(self._outcomes, column)
            found = {one.name: one.sample(column, error_of(column, self.measure), floor) for one in self.contestants}
            self._sampled[column] = {name: sample for name, sample in found.items() if sample is not None}
        return self._sampled[column]

    @cached_property
    def _sampled(self) -> dict[str, Mapping[str, Sample]]:
        return {}

    @cached_property
    def _spread_in(self) -> dict[str, Spread]:
        return {}

    @cached_property
    def _outcomes(self) -> list[Outcome]:
        return [outcome for one in self.contestants for outcome in one.outcomes]


def outcomes_of(runs: Iterable[Run]) -> list[Outcome]:
    """What the rules for scores need to know of runs."""
    return [Outcome(run.seed or 0, run.status, str(run.settings.get("policy", LEARNED)), run.result) for run in runs]


def ranked(task: Task) -> list[tuple[Contestant, Estimate]]:
    """Learned contestants with a score, the highest mean first; of equals the quicker one, then by name."""
    latency = next(column for column in COLUMNS if column.key == "latency_p50_us")

    def quickness(one: Contestant) -> float:
        found = estimate_of(one.ok, latency)
        return math.inf if found is None else found.mean

    found = [(one, score) for one in task.learned if (score := task.estimate(one)) is not None]
    return sorted(found, key=lambda pair: (-pair[1].mean, quickness(pair[0]), pair[0].name))


def word(value: Any) -> str:
    """A value as `--set` takes it; a list, which is kept as JSON, as its entries."""
    if isinstance(value, str) and value.startswith("["):
        with suppress(ValueError):  # or it is text that begins like a list
            return "+".join(map(str, json.loads(value)))
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def listed(settings: Settings) -> str:
    """``chain_length=20, permute_returns=true``: without the part, which the name nearly always tells."""
    return ", ".join(
        f"{name if name.endswith('.seed') else name.rpartition('.')[2]}={word(value)}"
        for name, value in settings.items()
    )
