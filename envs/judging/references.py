"""Checks of what the spec says of returns and measures, against episodes that are played."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from dsbench.envs.judging.subject import Subject
from dsbench.envs.scoring import scores
from dsbench.envs.spec import EXPERT
from dsbench.envs.trial import Part, part_of, play_all
from dsbench.errors import UsageError

TIMESTEPS, FEWEST, MOST = 20_000, 16, 256  # of all episodes that are played for a mean; episodes
ERRORS, SLACK = 6.0, 0.05  # standard errors, and a share of the scale, by which a mean may lie off what is stated


def references_in_range(subject: Subject) -> str:
    """Stated returns are what random play and the best policy earn, and measures lie between their stated ends."""
    spec = subject.spec
    _check_ends(subject)
    count = min(MOST, max(FEWEST, TIMESTEPS // spec.horizon))
    random = _returns(subject, Part("random play", spec.random, spec.vector), count)
    stated = spec.random_return if spec.random_play is None else spec.random_play
    scale = abs((spec.optimal_return or 0.0) - (stated or 0.0))
    if stated is not None and abs(random.mean() - stated) > _tolerance(random, scale):
        field = "random_return" if spec.random_play is None else "random_play"
        raise UsageError(
            f"{subject.name} says {field}={stated:g}, and {count} episodes of random play earn {_mean(random)}; "
            f"state {random.mean():.4g}, or None to have it measured"
        )
    if spec.optimal_return is None or spec.random_play is not None:
        return f"random play earns {_mean(random)}"
    played: Mapping[str, np.ndarray] = {"random play": random}
    if spec.optimal is not None:
        played = {
            **played,
            "the best policy": _returns(subject, Part("the best policy", spec.optimal, spec.vector), count),
        }
    elif EXPERT in spec.recipes:
        played = {**played, "the expert": _returns(subject, part_of(spec, EXPERT), count)}
    for who, returns in played.items():
        if returns.mean() > spec.optimal_return + _tolerance(returns, scale):
            raise UsageError(
                f"{subject.name} says optimal_return={spec.optimal_return:g}, and {count} episodes of {who} earn "
                f"{_mean(returns)}, more than the best; state at least {returns.mean():.4g}"
            )
    best = played.get("the best policy")
    if best is not None and best.mean() < spec.optimal_return - _tolerance(best, scale):
        raise UsageError(
            f"{subject.name} says optimal_return={spec.optimal_return:g}, and {count} episodes of its best policy earn "
            f"{_mean(best)}; mend one of the two"
        )
    return "; ".join(f"{who} earns {_mean(returns)}" for who, returns in played.items())


def _check_ends(subject: Subject) -> None:
    """The success measure of every episode lies between ``minimum`` and ``maximum``, and so does ``chance``."""
    spec = subject.spec
    low = -math.inf if spec.minimum is None else spec.minimum
    high = math.inf if spec.maximum is None else spec.maximum
    if spec.chance is not None and not low <= spec.chance <= high:
        raise UsageError(f"{subject.name} says chance={spec.chance:g}, which is not between {low:g} and {high:g}")
    for part, episodes in subject.played.items():
        measure = np.asarray(scores(spec, episodes)[spec.success_metric], np.float64)
        wrong = measure[(measure < low) | (measure > high)]
        if len(wrong):
            raise UsageError(
                f"{subject.name}, {part}: an episode has {spec.success_metric}={wrong[0]:g}, which is not between "
                f"minimum={low:g} and maximum={high:g}; mend the score or its ends"
            )


def _returns(subject: Subject, part: Part, count: int) -> np.ndarray:
    episodes = play_all(subject.spec, part, range(1, count + 1))
    return np.asarray(scores(subject.spec, episodes)["return"], np.float64)


def _tolerance(returns: np.ndarray, scale: float) -> float:
    return ERRORS * _error(returns) + SLACK * scale + 1e-6 * abs(float(returns.mean()))


def _error(returns: np.ndarray) -> float:
    return float(returns.std(ddof=1)) / math.sqrt(len(returns))


def _mean(returns: np.ndarray) -> str:
    return f"{returns.mean():.4g} (standard error {_error(returns):.2g})"
