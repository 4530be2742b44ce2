"""minigrid's DoorKey: fetch the key, open the door with it, walk to the goal; only the goal pays, and early pays more.

The Markov decision process (Chevalier-Boisvert et al. 2023, arXiv:2306.13831; minigrid/envs/doorkey.py): a square of
``size`` cells with walls around it and a wall across it, in which there is a locked door. Agent and key start at random
on the left, the goal is in the lower right corner. The wall's column, the door's row, agent and key are drawn anew for
every episode.

- Observation, uint8 (347,) of zeros and ones: for each of the 7x7 cells before the agent (seen from it, column by column,
  the last cell of the middle column being its own, which shows the key while it is carried) one of seven kinds, empty,
  wall, door open, closed or locked, key, goal, or all zeros for a cell behind a wall or a shut door; then the direction
  in four. That is minigrid's picture without its colours, which say nothing here (key and door are always yellow), and
  without its mission, which never changes. uint8 because recorded data would take four times as much in float32.
- Action: 0 turn left, 1 turn right, 2 forward, 3 pick up, 4 drop, 5 toggle the door, 6 done (does nothing).
- Reward: 1 - 0.9 * n / (10 * size**2) on reaching the goal with the n-th action, else 0.
- End: at the goal (terminated), or after 10 * size**2 actions (truncated).

A shortest episode of size 5 (seed 1; the agent as > v < ^, K key, L locked door, / open door, G goal)::

    #####    #####    #####    #####    #####    #####    #####    #####
    # # #    # # #    # # #    # # #    # # #    # # #    # # #    # # #
    #vL #    #vL #    #>L #    #>/ #    # > #    # />#    # /v#    # / #
    #K#G#    # #G#    # #G#    # #G#    # #G#    # #G#    # #G#    # #v#
    #####    #####    #####    #####    #####    #####    #####    #####
      pick up   left     toggle   forward  forward  right    forward      reward 1 - 0.9 * 7 / 250 = 0.9748

The task is mildly partial: walls hide what is behind them and a door out of view may be open or shut, but the key in
the hand is always seen, so a policy without memory can get by. What is hard is credit: picking up the key and opening
the door pay nothing, and their worth shows at the end.

Seeding: ``reset(seed=s)`` resets minigrid's environment with s, so the episodes equal those of MiniGrid-DoorKey-5x5-v0
and so on; ``reset()`` draws s from the environment's own generator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dsbench.envs.behaviour import noisy_recipes, uniform
from dsbench.envs.draws import episode_seed
from dsbench.envs.options import check_choice
from dsbench.envs.spec import EnvSpec
from dsbench.envs.targets import Fixed
from dsbench.envs.tasks.door_key_episodes import DoorKeyEpisodes
from dsbench.envs.tasks.door_key_planner import expert
from dsbench.envs.tasks.door_key_states import EMPTY, FEATURES, GOAL, KEY, N_ACTIONS, OPEN, UNSEEN, WALL, one_hot
from dsbench.episodes import Episodes

PICTURE = 320  # pixels, about
MINIGRID_DOOR = 4  # minigrid's number of a door, whose state is 0 open, 1 closed, 2 locked
KIND_OF = {0: UNSEEN, 1: EMPTY, 2: WALL, MINIGRID_DOOR: OPEN, 5: KEY, 8: GOAL}  # minigrid's number of an object -> ours
KINDS_OF = np.array([KIND_OF.get(number, UNSEEN) for number in range(max(KIND_OF) + 1)], np.uint8)


@dataclass(frozen=True)
class Returns:
    """Exact returns of a size: mean of the uniform policy, mean of the shortest way, the shortest way of the best start.

    A test computes them again from the tables of states: the mean over all starts, weighted by their probability.
    """

    random: float
    optimal: float
    best: float


RETURNS = {
    5: Returns(random=0.033844, optimal=0.9646, best=0.9748),
    6: Returns(random=0.019337, optimal=0.969306, best=0.9825),
    8: Returns(random=0.009109, optimal=0.976423, best=0.990156),
}


class DoorKeyEnv(gym.Env[NDArray[np.uint8], np.integer[Any]]):
    """minigrid's environment with its observation as one vector."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012  gymnasium's own attribute

    def __init__(self, size: int = 5, render_mode: str | None = None) -> None:
        from minigrid.envs.doorkey import DoorKeyEnv as MinigridEnv

        check_choice("size", size, RETURNS)
        self.render_mode = render_mode
        self._minigrid = MinigridEnv(size, render_mode=render_mode, tile_size=PICTURE // size)
        self.observation_space = gym.spaces.Box(0, 1, (FEATURES,), np.uint8)
        self.action_space = gym.spaces.Discrete(N_ACTIONS)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        super().reset(seed=seed)
        raw, _ = self._minigrid.reset(seed=episode_seed(self, seed))
        return encode(raw), {}

    def step(self, action: np.integer[Any]) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        raw, reward, terminated, truncated, _ = self._minigrid.step(int(action))
        return encode(raw), float(reward), terminated, truncated, {}

    def render(self) -> NDArray[np.uint8]:
        """(H, W, 3) minigrid's own picture from above; the cells in view are lighter."""
        return self._minigrid.render()

    def close(self) -> None:
        self._minigrid.close()


def encode(raw: dict[str, Any]) -> NDArray[np.uint8]:
    """(FEATURES,) vector of an observation of minigrid's, of which it drops the colours and the mission."""
    objects, state = raw["image"][..., 0], raw["image"][..., 2]
    kinds = KINDS_OF[objects] + np.where(objects == MINIGRID_DOOR, state, 0).astype(np.uint8)
    return one_hot(kinds[None], np.array([raw["direction"]]))[0]


def score(episodes: Episodes) -> dict[str, np.ndarray]:
    """Per-episode measures: return, and whether the goal was reached, which alone pays."""
    returns = episodes.returns()
    return {"return": returns, "success": (returns > 0).astype(np.float64)}


def door_key(size: int = 5) -> EnvSpec:
    """minigrid's DoorKey.

    Args:
        size: cells along a side, outer walls included: 5, 6 or 8.
    """
    check_choice("size", size, RETURNS)
    returns = RETURNS[size]
    return EnvSpec(
        id="door-key-v0",
        name="door-key",
        summary="fetch the key, open the door, walk to the goal; only the goal pays",
        options={"size": size},
        make=lambda render_mode=None: DoorKeyEnv(size, render_mode),
        vector=lambda seeds: DoorKeyEpisodes(seeds, size),
        score=score,
        success_metric="return",
        minimum=0.0,
        maximum=1.0,
        horizon=10 * size**2,
        random_return=returns.random,
        optimal_return=returns.optimal,
        references="exact: dynamic programming over all states, averaged over all starts by their probability",
        tests=("credit",),
        needs_memory=False,
        random=uniform(N_ACTIONS),
        optimal=expert,
        # No start allows more, so that none is asked for less than its best; what a start misses of it (0.01 on average)
        # is little beside the spread of returns in the data.
        target=Fixed(returns.best),
        recipes=noisy_recipes(
            expert, N_ACTIONS, "a shortest way, any of them", medium=0.6, mixed=(0.0, 0.3, 0.6, 0.8, 0.9, 1.0)
        ),
    )
