"""Key to apples: a key opens a room of ten apples, another key a third room, and nothing shows what has been picked up.

Tests credit assignment (the keys pay nothing). With the inventory hidden memory helps, but the task is not labelled so: a
policy without memory that sees its last action copies its way to about 7 of 11 (`copier`, mixed data). The task is the "Door
Key Environment" of the course report "Offline RL with S4", whose description leaves much open; settled here are: apples pay 1
each; the third room needs a key of its own and ends the episode; keys, doors and apples lie where the plans show, in every
episode alike, and only the start is drawn (so that they can be learnt, which a policy that cannot see them needs); an episode
has 100 moves.

The Markov decision process:

- Rooms of 5 x 5 cells: the first one, with its key in one corner, its door in the opposite one and the start anywhere; the
  second one, entered at +, with ten apples, a key and a door; the third one, in which the episode ends::

      k . . . .          + . a . a
      . . . . .          . a . a .
      . . . . .          a . a . a
      . . . . .          . a . a .
      . . . . d          a . k . d

- Action: 0 left, 1 right, 2 up, 3 down, 4 pick up what lies here, 5 go to the next room (in the door and with this room's
  key; there is no way back). What cannot be done does nothing.
- Observation, float32: x (5), y (5) and room (3), one-hot. With `reveal_inventory` also 12 numbers that are 1 while an item
  still lies in its place: the first room's key, the second room's key, the apples line by line.
- Reward: 1 for every apple, 1 for reaching the third room.
- End: terminated in the third room, truncated after 100 moves. At best 11, in 46 to 64 moves by the expert.

An episode that starts two cells right of the first key::

    t           0     1     2        3 ... 10         11
    action      left  left  pick up  to the door      next room
    reward      0     0     0        0                0         (then the apples: 1 each)

Hidden, the observation is the same before and after a key or an apple is taken, and the way to the key is the way back from
it: whoever forgets what was done here walks in circles, or to the door without the key. Neither the timestep (the start is
drawn) nor the return still to come (keys pay nothing) tells for sure. Tables of what the data does at each observation, with
or without timestep and return-to-go, reach at most 5.2 of 11 on the recipes medium, expert, mixed and replay, mostly 0 to
2.6; with the inventory revealed a table of observations reaches 11 on all but medium. What has been picked up follows from
the history of observations and actions (a test plays it), so a policy that remembers can act as the expert does, as long as
it sees its own actions (`previous_action`).

Seeding: ``reset(seed=s)`` draws the start from ``RandomState(s mod 2**32)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsbench.envs.behaviour import noisy_recipes, uniform, uniform_actions
from dsbench.envs.options import check_flag
from dsbench.envs.spec import EnvSpec
from dsbench.envs.targets import Fixed
from dsbench.envs.tasks import key_to_apples_rooms as rooms
from dsbench.envs.tasks.key_to_apples_env import KeyToApplesEnv, KeyToApplesEpisodes
from dsbench.envs.tasks.key_to_apples_rooms import N_ACTIONS
from dsbench.episodes import Episodes

OPTIMAL_RETURN = 11.0  # ten apples and the third room
MEDIUM = 0.7  # of the actions are random
MIXED = (0.0, 0.3, 0.6, 1.0)  # shares of random actions, an episode in four each


def expert(env: Any, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> NDArray[np.int64]:
    """The nearest thing left to pick up, then the door; it knows what is left. Uniformly random among equals."""
    first, second, ended = rooms.expert_actions()
    left, room = env.left, env.room
    good = np.where(
        (room == 0)[:, None],
        first[left & 1, env.cell],
        np.where((room == 1)[:, None], second[left >> 1, env.cell], ended[0, 0]),
    )
    return uniform_actions(draws[:, 1], N_ACTIONS, good)


def score(episodes: Episodes) -> dict[str, np.ndarray]:
    """Per-episode measures: return, apples picked up and whether the third room was reached (which alone terminates)."""
    returns = episodes.returns()
    third_room = episodes.terminated[episodes.ends].astype(np.float64)
    return {"return": returns, "apples": returns - third_room, "third_room": third_room}


def key_to_apples(reveal_inventory: bool = False) -> EnvSpec:
    """Key to apples.

    Args:
        reveal_inventory: whether the observation says which keys and apples have been picked up.
    """
    check_flag("reveal_inventory", reveal_inventory)
    return EnvSpec(
        id="key-to-apples-v0",
        name="key-to-apples",
        summary="a key opens a room of apples, another one a third room; nothing shows what one holds and what is left",
        options={"reveal_inventory": reveal_inventory},
        make=lambda render_mode=None: KeyToApplesEnv(reveal_inventory, render_mode),
        vector=lambda seeds: KeyToApplesEpisodes(seeds, reveal_inventory),
        score=score,
        success_metric="return",
        minimum=0.0,
        maximum=OPTIMAL_RETURN,
        horizon=rooms.MOVES,
        random_return=rooms.random_return(),
        optimal_return=OPTIMAL_RETURN,
        references="exact: dynamic programming at random; at best all ten apples and the third room",
        tests=("credit",),
        needs_memory=False,
        random=uniform(N_ACTIONS),
        optimal=expert,
        target=Fixed(OPTIMAL_RETURN),
        recipes=noisy_recipes(
            expert, N_ACTIONS, "the nearest thing left to pick up, then the door", medium=MEDIUM, mixed=MIXED
        ),
    )
