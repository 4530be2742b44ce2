"""What runs of one task came to, failures included: the one place that says what a failed run counts as."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeGuard

from dsbench.config.varying import moved_roles

FAILURES = ("diverged", "failed", "timeout", "out_of_memory")  # every other status but ok is of an unfinished run
RETURN, NORMALISED = "return_mean", "score_normalised"
FIRST_MEASURE = "first_action_accuracy"  # of runs that do not name theirs: of the time when umbrella was the only task
_PARTS = ("env.", "data.", "eval.")
_OF_CONTESTANT = {"data.top_percent", "eval.acting", "eval.window"}  # who takes part in what way, not in what
RESULT_VERSION = "result_version"  # told by a run's provenance, where a page holds several
_OF_TASK = {"train.objective", "env source", "vary", RESULT_VERSION}
RULE = (
    "A run that failed, diverged, or ran out of time or memory counts: in the score and in all that is pooled it stands at "
    "the floor of its task, which is the declared minimum of the measure, or, where there is none, the score of random play "
    "or the lowest finished score on the page, whichever is lower."
)


class Outcome(NamedTuple):
    """How one run ended: its seed, status, policy (learned or scripted) and final row."""

    seed: int
    status: str
    policy: str
    result: Mapping[str, Any]


class Bounds(NamedTuple):
    """Between which values a measure can lie; None where it has no end."""

    minimum: float | None = None
    maximum: float | None = None


UNBOUNDED = Bounds()


@dataclass(frozen=True)
class Sample:
    """Scores of one contestant on one task, failed seeds at the floor.

    Attributes:
        scores: seed -> score, seeds ascending.
        errors: seed -> standard error of that score over its evaluation episodes, where it is known.
        episodes: that each score is a mean of, where it is known.
        failed: seeds that failed.
    """

    scores: Mapping[int, float]
    errors: Mapping[int, float] = field(default_factory=dict)
    episodes: int | None = None
    failed: frozenset[int] = frozenset()


def task_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of all settings those that make the task: environment, data, evaluation and objective."""
    return {
        name: value
        for name, value in settings.items()
        if name in _OF_TASK or (name.startswith(_PARTS) and name not in _OF_CONTESTANT)
    }


class Design(NamedTuple):
    """What a mean over seeds is over: the version of results, and what the seeds move. Means of others never pool.

    Attributes:
        version: of results; None where nothing tells it, as on a page with one version alone.
        varied: of initial weights, batches, data and evaluation episodes.
    """

    version: Any
    varied: tuple[str, ...]


def design_of(settings: Mapping[str, Any]) -> Design:
    """Of the settings of a task, as tables have them: a list is JSON text, what is not given is absent."""
    told = settings.get("vary")
    roles = json.loads(told) if isinstance(told, str) else [] if told is None else list(told)
    dealt = settings.get("data.permute_returns") is True or settings.get("data.top_percent") is not None
    recipe = str(settings.get("data.recipe", ""))
    moved = moved_roles(roles, settings.get("data.seed"), settings.get("eval.seed"), recipe, dealt=dealt)
    return Design(settings.get(RESULT_VERSION), moved)


def finite(value: Any) -> TypeGuard[float]:
    """Whether it is a number that can be averaged."""
    if type(value) is float:  # nearly always
        return math.isfinite(value)
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def measure_in(result: Mapping[str, Any]) -> str:
    """The column of the measure that counts on the run's task."""
    return str(result.get("success_metric", FIRST_MEASURE))


def ended(status: str, reason: str | None, result: Mapping[str, Any]) -> tuple[str, str | None]:
    """Status and reason of a run as everything that counts runs has them: one whose score is no finite number has failed."""
    if status != "ok" or "success_metric" not in result or finite(result.get(measure_in(result))):
        return status, reason
    return "failed", f"its score, {measure_in(result)}, is no finite number"


def measure_among(outcomes: Sequence[Outcome]) -> str:
    """The measure of most finished runs; of others where none has finished."""
    finished = [one for one in outcomes if one.status == "ok"]
    naming = finished or [one for one in outcomes if "success_metric" in one.result]
    measures = Counter(measure_in(one.result) for one in naming)
    return min(measures, key=lambda name: (-measures[name], name)) if measures else RETURN


def floor_of(outcomes: Iterable[Outcome], column: str) -> float | None:
    """What a failed run counts as in `column`; None where nothing tells it.

    The declared minimum of the measure, in any row of the task, failed ones too; without one the score of random play (its
    reference, or scripted runs of it) or the lowest finished score, whichever is lower. Never above a finished score.

    Args:
        outcomes: of all runs of the task on the page.
        column: of the final row: the success measure, the return or the normalised score.
    """
    known = list(outcomes)
    finished = [value for one in known if one.status == "ok" and finite(value := one.result.get(column))]
    declared = [value for one in known if (value := _declared(one.result, column)) is not None]
    played = [float(value) for one in known if column == RETURN and finite(value := one.result.get("reference_random"))]
    if column == NORMALISED and finished:
        played.append(0.0)  # random play, by what the word means
    scripted = [
        value
        for one in known
        if one.policy == "random" and one.status == "ok" and finite(value := one.result.get(column))
    ]
    if scripted:
        played.append(math.fsum(scripted) / len(scripted))
    return min([*finished, *(declared or played)], default=None)


def told_of(outcomes: Iterable[Outcome], column: str) -> float | None:
    """What the rows of a task say of the task itself; None where they do not, or not the same."""
    told = {float(value) for one in outcomes if finite(value := one.result.get(column))}
    return told.pop() if len(told) == 1 else None


def bounds_of(outcomes: Sequence[Outcome]) -> Bounds:
    """Between which values the measure lies, as the catalogue said when the runs were made."""
    return Bounds(*(told_of(outcomes, f"measure_{end}") for end in ("minimum", "maximum")))


def error_of(column: str, measure: str) -> str:
    """The column with the standard error of a column over episodes; empty where there is none."""
    return {measure: "score_error", NORMALISED: f"{NORMALISED}_error"}.get(column, "")


def _declared(result: Mapping[str, Any], column: str) -> float | None:
    least = result.get("measure_minimum")
    if not finite(least):
        return None
    measure = measure_in(result)
    if column == measure:
        return float(least)
    worst, best = result.get("reference_random"), result.get("reference_optimal")
    if column == NORMALISED and measure == RETURN and finite(worst) and finite(best) and best != worst:
        return 100 * (least - worst) / (best - worst)
    return None


def sample_of(
    outcomes: Sequence[Outcome], column: str, error: str, floor: float | None, episodes: Any = None
) -> Sample | None:
    """The scores of one contestant; None with nothing to average.

    Several runs of a seed (from other sources) are averaged: they are no new seeds, and a seed has failed when all of them
    did. A score that is no finite number is a failure.

    Args:
        outcomes: of the contestant's runs; unfinished ones are left out.
        column, error: of the final row, the score and its standard error over episodes.
        floor: see `floor_of`.
        episodes: what the settings say, for rows that do not tell.
    """
    by_seed: dict[int, list[Outcome]] = {}
    for one in outcomes:
        if one.status == "ok" or one.status in FAILURES:
            by_seed.setdefault(one.seed, []).append(one)
    scores, errors, failed, played = {}, {}, set(), set()
    for seed, own in sorted(by_seed.items()):
        done = [one.result for one in own if one.status == "ok" and finite(one.result.get(column))]
        if not done:
            failed.add(seed)
            if floor is not None:
                scores[seed] = floor
            continue
        scores[seed] = math.fsum(row[column] for row in done) / len(done) if len(done) > 1 else float(done[0][column])
        of_episodes = [value for row in done if finite(value := row.get(error))]
        if len(of_episodes) == len(done):
            errors[seed] = math.hypot(*of_episodes) / len(done)
        played |= {row.get("eval_episodes", episodes) for row in done}
    known = [int(count) for count in played if finite(count) and count >= 1]
    return Sample(scores, errors, min(known, default=None), frozenset(failed)) if scores else None
