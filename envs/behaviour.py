"""Scripted policies put together: uniform actions, an expert that errs with a probability, and the recipes made of them.

Nearly all recipes are one form, ``noisy(expert, epsilon)``, where epsilon is the probability of a uniformly random action
at a timestep: constant, or of each episode its own (a mixture of qualities, as a replay buffer is).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dsbench.envs.spec import Behaviour, Recipe

if TYPE_CHECKING:
    import gymnasium as gym

Epsilon = Callable[[np.ndarray], np.ndarray]  # (rows,) draws of the episodes -> (rows,) probabilities


def uniform(n_actions: int) -> Behaviour:
    """Every allowed action with the same probability."""

    def behave(env: Any, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
        return uniform_actions(draws[:, 1], n_actions, env.action_mask)

    return behave


def uniform_torques(joints: int) -> Behaviour:
    """Every action in [-1, 1] to the power of `joints` alike; takes all draws but the first, which may choose who acts."""

    def behave(env: Any, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
        return (2 * draws[:, 1 : 1 + joints] - 1).astype(np.float32)

    return behave


def uniform_over(space: gym.Space[Any]) -> tuple[Behaviour, int]:
    """Every action of a Discrete or Box space alike, and the draws a timestep that it and `noisy` need.

    A side of a Box without an end is drawn as gymnasium draws it: from an exponential distribution beyond the other end, or,
    with no end at all, from a normal one.
    """
    if (n_actions := getattr(space, "n", None)) is not None:
        first, among = int(space.start), uniform(int(n_actions))  # type: ignore[attr-defined]
        return (lambda *given: first + among(*given)) if first else among, 2
    low, high = (np.asarray(end, np.float64).ravel() for end in (space.low, space.high))  # type: ignore[attr-defined]
    whole = np.dtype(space.dtype).kind in "iu"

    def behave(env: Any, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
        values = _within(low, high, draws[:, 1 : 1 + len(low)], whole).reshape(-1, *space.shape or ())
        return np.clip(values.astype(space.dtype), space.low, space.high)  # type: ignore[attr-defined]

    return behave, 1 + len(low)


def _within(low: np.ndarray, high: np.ndarray, draws: np.ndarray, whole: bool) -> np.ndarray:
    """(rows, n) numbers between these ends from uniform draws."""
    from scipy.special import ndtri

    has_low, has_high = np.isfinite(low), np.isfinite(high)
    least, most = np.where(has_low, low, 0), np.where(has_high, high, 0)
    between = least + (most - least + whole) * draws
    beyond = -np.log1p(-draws)
    one_sided = np.where(has_low, least + beyond, most - beyond)
    endless = ndtri(np.clip(draws, 1e-12, 1 - 1e-12))
    values = np.where(has_low & has_high, between, np.where(has_low | has_high, one_sided, endless))
    return np.floor(values) if whole else values


def noisy(expert: Behaviour, random: int | Behaviour, epsilon: float | Epsilon) -> Behaviour:
    """`expert`, but with probability epsilon a random action instead.

    The first draw of a timestep decides between the two, the further ones pick the random action; an expert that wants to act
    at random uses those as well.

    Args:
        random: who acts then, from the second draw on; a number stands for that many allowed actions alike.
    """
    among = uniform(random) if isinstance(random, int) else random

    def behave(env: Any, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
        rate = epsilon(episode_draw) if callable(epsilon) else epsilon
        chosen = np.asarray(expert(env, timestep, draws, episode_draw))
        errs = (draws[:, 0] < rate).reshape(-1, *[1] * (chosen.ndim - 1))
        return np.where(errs, among(env, timestep, draws, episode_draw), chosen)

    return behave


def levels(*rates: float, shares: Sequence[float] | None = None) -> Epsilon:
    """Each episode takes one of these rates, in equal shares or in those given (which sum to 1)."""
    bounds = np.cumsum(shares if shares is not None else np.full(len(rates), 1 / len(rates)))[:-1]
    values = np.asarray(rates, np.float64)

    def of_episode(episode_draw: np.ndarray) -> np.ndarray:
        return values[np.searchsorted(bounds, episode_draw, side="right")]

    return of_episode


def spread(episode_draw: np.ndarray) -> np.ndarray:
    """Rates spread evenly over [0, 1): every quality from expert to random, as in the replay of a learner."""
    return episode_draw


def noisy_recipes(
    expert: Behaviour, random: int | Behaviour, expert_does: str, *, medium: float, mixed: Sequence[float]
) -> dict[str, Recipe]:
    """The five recipes that every task offers, where they differ in nothing but the share of random actions.

    Args:
        random: as of `noisy`.
        expert_does: what the expert does, for people.
        medium: share of random actions of that recipe.
        mixed: shares of which each episode takes one, all equally often.
    """
    shares = ", ".join(f"{share:g}" for share in mixed)
    return {
        "random": Recipe("uniformly random actions", uniform(random) if isinstance(random, int) else random),
        "medium": Recipe(f"the expert, but {medium:.0%} of the actions are random", noisy(expert, random, medium)),
        "expert": Recipe(expert_does, expert),
        "mixed": Recipe(
            f"each episode has one of the shares {shares} of random actions", noisy(expert, random, levels(*mixed))
        ),
        "replay": Recipe(
            "each episode has its own share of random actions, evenly from none to all",
            noisy(expert, random, spread),
        ),
    }


def uniform_actions(draws: np.ndarray, n_actions: int, action_mask: np.ndarray | None) -> NDArray[np.int64]:
    """(rows,) uniform actions, among the allowed ones where there is a mask, from one draw a row."""
    if action_mask is None:
        return (draws * n_actions).astype(np.int64)
    ranks = np.cumsum(action_mask, 1)  # the k-th allowed action has rank k
    wanted = (draws * ranks[:, -1]).astype(np.int64) + 1
    return (ranks < wanted[:, None]).sum(1)
