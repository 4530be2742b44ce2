"""What a run's seed moves, and the seeds of what it moves.

A run draws at random in four roles. Each has a root seed: the run's own, or `HELD` where ``vary`` leaves the role out, or
what the user gave as ``data.seed`` or ``eval.seed``. Streams are named by task and role, never by the contestant, so that all
contestants begin from the same numbers, learn from the same data and play the same episodes under one seed: pairs stay pairs.
"""

from __future__ import annotations

from collections.abc import Iterable

from dsbench import seeds
from dsbench.config.settings import LEARNED, Role, RunConfig

HELD = 0  # root of a role that the run's seed does not move


def root(config: RunConfig, role: Role) -> int:
    """The seed from which everything in this role is drawn."""
    given = {"data": config.data.seed, "eval": config.eval.seed}.get(role)
    if given is not None:
        return given
    return config.seed if role in config.vary else HELD


def seed_of(config: RunConfig, role: Role, task: str) -> int:
    """A 63-bit seed for a role on a task.

    Args:
        task: `EnvSpec.task`.
    """
    return seeds.seed_for(root(config, role), task, role)


def init_seed(config: RunConfig, task: str, result_version: int) -> int:
    """The seed of the initial weights; under the first version of results it did not know the task."""
    return seeds.seed_for(config.seed, "init") if result_version == 1 else seed_of(config, "init", task)


def varied(config: RunConfig) -> tuple[Role, ...]:
    """The roles in which runs that differ in their seed alone differ; scripted policies have no weights and no data."""
    data = config.data
    dealt = data.permute_returns or data.top_percent is not None
    moved = moved_roles(config.vary, data.seed, config.eval.seed, data.recipe, dealt=dealt)
    return moved if config.policy == LEARNED else tuple(role for role in moved if role == "eval")


def moved_roles(
    vary: Iterable[Role], data_seed: int | None, eval_seed: int | None, recipe: str, *, dealt: bool
) -> tuple[Role, ...]:
    """The roles of ``vary`` that nothing holds still: a seed that was given, or data from a file, which is what it is.

    Args:
        dealt: something is drawn from the data, whatever they are: returns dealt out anew, ties among the best episodes.
    """
    held = {
        "data": data_seed is not None or (":" in recipe and not dealt),
        "eval": eval_seed is not None,
    }
    return tuple(role for role in vary if not held.get(role, False))
