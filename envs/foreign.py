"""What is special about a task's data from elsewhere: which physics it was made in, how it is cut, what it may hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class GoalObservation:
    """Dictionary observations of Minari's data, joined into the flat ones of the task.

    Attributes:
        parts: (name, columns, offset) in the order of the flat observation: the first columns of the part, each plus the
            offset. Parts that are not named are left out.
    """

    parts: tuple[tuple[str, int, float], ...]


@dataclass(frozen=True)
class Foreign:
    """How data that dsbench did not make is read for one task; the defaults fit most.

    Attributes:
        offered: where data comes from, as a sentence for who asks for a recipe that there is not.
        d4rl_physics: what D4RL's files were made in, where that is no environment of gymnasium; None: version 4 of the
            environment that ``EnvSpec.simulator`` names, where it names one of MuJoCo's.
        same: other names of the environment in Minari's data, without their version.
        kwargs: what the environment of Minari's data must have been made with to be this one; absent keys count as
            `defaults`.
        defaults: values of `kwargs` where a data set names none.
        joined: dictionary observations to be joined, or None where they are taken as they are.
        cut_at_jumps: whether an episode of a D4RL file also ends where ``next_observations`` are not what follows.
        rewards: the only rewards that the task pays, or None for any.
        d4rl_targets: returns that policies learned from D4RL's files are asked for in place of those of the task's rule,
            the first one as the headline.
        longest: timesteps of the longest episode that files hold, where they outlast those of the task.
    """

    offered: str = ""
    d4rl_physics: str | None = None
    same: tuple[str, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    joined: GoalObservation | None = None
    cut_at_jumps: bool = False
    rewards: tuple[float, ...] | None = None
    d4rl_targets: tuple[float, ...] = ()
    longest: int | None = None
