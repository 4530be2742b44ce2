"""The exact shortest way to the goal of a DoorKey grid from every state, the odd ones too (key dropped, door shut again)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dsbench.envs.behaviour import uniform_actions
from dsbench.envs.tasks.door_key_states import N_ACTIONS, tables

if TYPE_CHECKING:
    from dsbench.envs.tasks.door_key_episodes import DoorKeyEpisodes

FAR = np.iinfo(np.int16).max  # of a state from which no actions lead to the goal; an episode meets none


@cache
def distances(size: int) -> NDArray[np.int16]:
    """(S,) fewest actions from each state to the goal, FAR where there is no way.

    Breadth first, all states of one distance at a time: a state has distance d if it has none below and some action leads
    to distance d - 1.
    """
    made = tables(size)
    distance = np.where(made.at_goal, 0, FAR).astype(np.int16)
    open_states = np.flatnonzero(~made.at_goal)
    for steps in range(1, FAR):
        reached = (distance[made.after[open_states]] == steps - 1).any(1)
        if not reached.any():
            return distance
        distance[open_states[reached]] = steps
        open_states = open_states[~reached]
    raise AssertionError("a shortest way is shorter than the number of states")


@cache
def best_actions(size: int) -> NDArray[np.bool_]:
    """(S, 7) which actions begin a shortest way; all of them at the goal and where there is no way."""
    distance, after = distances(size), tables(size).after
    nearer = distance[after] < distance[:, None]
    return nearer | ~nearer.any(1, keepdims=True)


def expert(env: DoorKeyEpisodes, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
    """The first action of a shortest way, uniformly among those that are equally good."""
    return uniform_actions(draws[:, 1], N_ACTIONS, best_actions(env.size)[env.states])
