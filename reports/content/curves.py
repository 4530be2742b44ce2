"""Scores during training, read from the journals: a mean over seeds at each update, with its interval.

Of fewer than `FEW` seeds each has its own line instead: a band of three says little and hides what there is to see.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dsbench.errors import CorruptFile
from dsbench.records.documents import check_record
from dsbench.reports.content.contest import Task
from dsbench.reports.document import Figure
from dsbench.reports.figures import UNCALIBRATED, Axis, Series, plot
from dsbench.reports.groups import Run
from dsbench.reports.outcomes import Bounds, Sample
from dsbench.reports.spread import Spread
from dsbench.reports.statistics import FEW

_EVALUATION, _DATA = b'"phase":"train","split":"eval"', b'"event":"data"'  # as journals write them, without blanks


class Played(NamedTuple):
    """A mean over evaluation episodes, and its standard error where that was kept."""

    score: float
    error: float | None


Curve = Mapping[int, Played]  # by update


class Journals:
    """What the journals of results tell beyond the final rows; each is read once, when it is asked for."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[Mapping[str, Curve], Mapping[str, Any]]] = {}

    def curve(self, run: Run, measure: str) -> Curve:
        """The evaluations of `measure` during training, of the attempt that counts and by its first decoding.

        None of a training of seconds: its seeds are not as far on their schedules after the same updates.
        """
        if run.settings.get("train.seconds") is not None:
            return {}
        return self._of(run)[0].get("return" if measure == "return_mean" else measure, {})

    def options(self, run: Run) -> Mapping[str, Any]:
        """All options of the environment, defaults included; empty where the run does not tell."""
        return self._of(run)[1]

    def _of(self, run: Run) -> tuple[Mapping[str, Curve], Mapping[str, Any]]:
        if run.run_id not in self._told:
            records = self._records(run)
            data = [
                one["detail"] for one in records if one.get("event") == "data" and isinstance(one.get("detail"), dict)
            ]
            options = data[-1].get("options") if data else None
            self._told[run.run_id] = _curves(records), options if isinstance(options, dict) else {}
        return self._told[run.run_id]

    def _records(self, run: Run) -> list[dict[str, Any]]:
        """Of the attempt that counts; none where the journal cannot be read."""
        if run.records is None:
            return []
        try:
            found = run.records.journal_text().matching(_EVALUATION, _DATA, check=check_record)
        except CorruptFile:
            return []
        return [one for one in found if one.get("attempt") == run.attempt]


def _curves(records: Sequence[Mapping[str, Any]]) -> dict[str, dict[int, Played]]:
    curves: dict[str, dict[int, Played]] = {}
    for record in records:
        if record.get("phase") == "train" and record.get("value") is not None and record.get("step") is not None:
            curves.setdefault(record["metric"], {})[record["step"]] = Played(record["value"], record.get("error"))
    return curves


def learning_curves(task: Task, journals: Journals) -> Figure | None:
    """The figure of a task; None where no run was evaluated twice while it learned."""
    curves = {
        one.name: {run.seed or 0: curve for run in one.ok if (curve := journals.curve(run, task.measure))}
        for one in task.learned
    }
    steps = {name: _shared(list(own.values())) for name, own in curves.items()}
    episodes = {one.name: _episodes(one.ok) for one in task.learned}
    spreads = {step: _spread(curves, steps, step, episodes) for step in sorted(set().union(*steps.values()))}
    means = [_mean(name, steps[name], spreads, task.bounds) for name, own in curves.items() if len(own) >= FEW]
    each = [_each(name, list(own.values())) for name, own in curves.items() if 0 < len(own) < FEW]
    means, each = ([line for line in lines if len(line.x) > 1] for lines in (means, each))
    if not (means or each):
        return None
    caption = " ".join(
        [
            f"{task.measure_text[:1].upper()}{task.measure_text[1:]} of the seeds that ended ok, by updates of training, on "
            f"the reported episodes{_how(means, each)}.",
            *([UNCALIBRATED.strip()] if any(line.uncertain for line in means) else []),
        ]
    )
    axes = Axis("updates"), Axis(task.measure_text, least=task.bounds.minimum, most=task.bounds.maximum)
    shown = sorted([*means, *each], key=lambda line: line.name)
    return plot(f"learning-{task.name}", f"Learning: {task.title}", caption, shown, *axes)


def _how(means: Sequence[Series], each: Sequence[Series]) -> str:
    """What a line is."""
    if not each:
        return ": means with 95 % intervals as bands"
    who = "" if not means else f" ({', '.join(line.name for line in each)})"
    of_few = f"with fewer than {FEW} seeds{who} a line is one of them"
    return f"; {of_few}" if not means else f": means with 95 % intervals as bands; {of_few}"


def _shared(curves: Sequence[Curve]) -> list[int]:
    """Updates that not all seeds have are left out: a mean over others would jump."""
    return sorted(set.intersection(*(set(curve) for curve in curves))) if curves else []


def _spread(
    curves: Mapping[str, Mapping[int, Curve]],
    steps: Mapping[str, Sequence[int]],
    step: int,
    episodes: Mapping[str, int | None],
) -> Spread:
    """Of all contestants that were evaluated at an update."""
    at_step = {
        name: {seed: own[seed][step] for seed in sorted(own)} for name, own in curves.items() if step in steps[name]
    }
    return Spread({name: _sample(played, episodes[name]) for name, played in at_step.items()})


def _sample(played: Mapping[int, Played], episodes: int | None) -> Sample:
    return Sample(
        {seed: one.score for seed, one in played.items()},
        {seed: one.error for seed, one in played.items() if one.error is not None},
        episodes,
    )


def _episodes(runs: Sequence[Run]) -> int | None:
    """That each evaluation is a mean over."""
    told = {run.result.get("eval_episodes", run.settings.get("eval.episodes")) for run in runs}
    return min((int(count) for count in told if count is not None), default=None)


def _each(name: str, curves: Sequence[Curve]) -> Series:
    """A line a seed; no means, and so no band."""
    first, *others = [(list(steps), [curve[step].score for step in steps]) for curve in curves
                      if (steps := sorted(curve))]  # fmt: skip
    return Series(name, *first, beside=others)


def _mean(name: str, steps: Sequence[int], spreads: Mapping[int, Spread], bounds: Bounds) -> Series:
    means = [spreads[step].estimate(name, bounds) for step in steps]
    low, high = ([math.nan if end is None else end for end in ends]
                 for ends in ([one.low for one in means], [one.high for one in means]))  # fmt: skip
    uncertain = any(one.low is not None and not one.calibrated for one in means)
    return Series(name, steps, [one.mean for one in means], low, high, uncertain=uncertain)
