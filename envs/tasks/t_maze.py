"""The T-maze: a hint at the start of a corridor says which way to turn at its end.

The passive T-maze of the literature (Bakker 2001; Ni et al. 2023, "When do transformers shine in RL?", arXiv:2307.03864), seen
and learned from as in RATE (Cherepanov et al. 2023, arXiv:2306.09459). The Markov decision process, with L cells of corridor:

- One begins on cell 0; the junction is L cells to the right, with a goal above or below it, either as often::

      . . . . . . +          + the goal, this time above
      s . . . . . j
      . . . . . . .

- Observation, float32 (4,): y (0 in the corridor and on the junction, 1 above, -1 below), hint (1 where the goal is above, -1
  below; at t = 0 alone, then 0), flag (1 on the junction, else 0), noise (-1, 0 or 1, drawn anew each time). Where in the
  corridor one is, is not shown.
- Action: 0 right, 1 up, 2 left, 3 down. Who moves into a wall stays.
- Reward: 1 for standing on the goal after the last action, else 0.
- End: after exactly L + 1 timesteps, which is what the way takes.

A corridor of 3 cells (the junction is cell 3)::

    t        0      1      2      3
    hint     -1     0      0      0
    flag     0      0      0      1
    action   right  right  right  down
    reward   0      0      0      1

The turn cannot be told from the junction: its flag and the time are the same whatever the hint was, and so is the last action,
always right. So who walks right and guesses has .5, which is what this task calls chance; who stops on the way has 0. The
measure ``reached`` tells these apart; of those who reached the junction ``success / reached`` turned the right way.

*Longer than learned.* With `trained` the data comes from corridors of 1 to `trained` cells, all lengths alike, and evaluation
is in a corridor of `corridor` cells, as RATE learns from up to 150 and acts in up to 9,600. The flag says when to turn, so
nothing but the hint is to be kept; a backbone that is told the time (``wrapper.time``) sees times there that it has not seen.

Recipes: the expert walks right, then turns where the hint said; who has lost a step walks on, which tells nothing of the hint.
Since one lost step loses, random actions at every timestep leave hardly an episode that arrives: `medium` and a third of
`mixed` walk right and turn either way.

Seeding: ``reset(seed=s)`` takes from ``RandomState(s mod 2**32)`` a uniform number for the goal, one for the length that an
episode of data has under `trained`, then the noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dsbench.envs.behaviour import noisy, spread, uniform
from dsbench.envs.drawing import BLUE, GREEN, INK, PALE, WHITE, Canvas
from dsbench.envs.draws import episode_seed, random_states
from dsbench.envs.options import check_integer
from dsbench.envs.spaces import Spaces
from dsbench.envs.spec import EnvSpec, Recipe
from dsbench.envs.targets import Fixed
from dsbench.episodes import Episodes, Observations

RIGHT, UP, LEFT, DOWN = range(4)
Y, HINT, FLAG, NOISE = range(4)  # of an observation
N_ACTIONS = 4
MAX_CORRIDOR = 9_600  # the longest of the literature
SPACES = Spaces(
    gym.spaces.Box(np.array([-1, -1, 0, -1], np.float32), np.ones(4, np.float32)), gym.spaces.Discrete(N_ACTIONS)
)


class TMazeEnv(gym.Env[np.ndarray, np.integer[Any]]):
    """One episode at a time; see the module for the rules."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 8}  # noqa: RUF012  gymnasium's own attribute

    def __init__(self, corridor: int = 30, render_mode: str | None = None) -> None:
        check_integer("corridor", corridor, 1, MAX_CORRIDOR)
        self.corridor, self.render_mode = corridor, render_mode
        self.observation_space, self.action_space = SPACES.observation, SPACES.action

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        goal, _, noise = draw([episode_seed(self, seed)], self.corridor + 2)
        self.goal, self._noise = int(goal[0]), noise[0]
        self.x = self.y = self.t = 0
        return self._observe(), {}

    def step(self, action: np.integer[Any]) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        if action == RIGHT:
            self.x = min(self.x + 1, self.corridor)
        elif action == LEFT:
            self.x = max(self.x - 1, 0)
        elif self.x == self.corridor:
            self.y = 1 if action == UP else -1
        self.t += 1
        ended = self.t > self.corridor
        return self._observe(), float(ended and self.y == self.goal), ended, False, {}

    def render(self) -> NDArray[np.uint8]:
        """(130, 320, 3) the maze from above, its corridor as long as the picture: the goal green, who walks blue."""
        canvas = Canvas(height=130)
        left, right, middle = 20, canvas.image.width - 30, 70
        hint = {1: "up", -1: "down", 0: "none"}[int(self._observe()[HINT])]
        canvas.text((10, 8), f"timestep {self.t} of {self.corridor + 1}, hint: {hint}")
        canvas.draw.rectangle((left - 10, middle - 10, right + 10, middle + 10), fill=PALE, outline=INK)
        for y in (1, -1):
            place = (right - 10, middle - 20 * y - 10, right + 10, middle - 20 * y + 10)
            canvas.draw.rectangle(place, fill=GREEN if y == self.goal else WHITE, outline=INK)
        canvas.disc((left + (right - left) * self.x / self.corridor, middle - 20 * self.y), 7, BLUE)
        return canvas.array()

    def _observe(self) -> np.ndarray:
        hint = self.goal if self.t == 0 else 0
        return np.array([self.y, hint, self.x == self.corridor and self.y == 0, self._noise[self.t]], np.float32)


class TMazeEpisodes:
    """Many episodes at once in numpy, equal to `TMazeEnv` draw for draw (a test holds it).

    Args:
        longest: cells of the longest corridor.
        mixed: corridors of 1 to `longest` cells, all lengths alike; without it all are the longest.

    Attributes:
        corridor: (rows,) int64 cells.
        goal: (rows,) int64, 1 above and -1 below.
        x, y: (rows,) int64 where each row stands.
        t: timesteps so far, of rows that have not ended.
    """

    action_mask: np.ndarray | None = None

    def __init__(self, seeds: Sequence[int], longest: int, mixed: bool = False) -> None:
        self.goal, share, self.noise = draw(seeds, longest + 2)
        self.corridor = 1 + (share * longest).astype(np.int64) if mixed else np.full(len(seeds), longest)
        self.x, self.y, self.t = np.zeros(len(seeds), np.int64), np.zeros(len(seeds), np.int64), 0
        self.observations: Observations = self._observe()

    def step(self, actions: np.ndarray) -> tuple[Observations, np.ndarray, np.ndarray, np.ndarray]:
        walking = self.t <= self.corridor
        turns = walking & self.on_junction & ((actions == UP) | (actions == DOWN))
        across = (actions == RIGHT).astype(np.int64) - (actions == LEFT)
        self.x = np.where(walking, np.clip(self.x + across, 0, self.corridor), self.x)
        self.y = np.where(turns, np.where(actions == UP, 1, -1), self.y)
        self.t += 1
        ended = self.t > self.corridor
        rewards = (walking & ended & (self.y == self.goal)).astype(np.float32)
        self.observations = self._observe()
        return self.observations, rewards, ended, np.zeros_like(ended)

    @property
    def on_junction(self) -> NDArray[np.bool_]:
        """(rows,) whether the way is to be chosen now."""
        return (self.x == self.corridor) & (self.y == 0)

    def _observe(self) -> NDArray[np.float32]:
        seen = np.empty((len(self.goal), 4), np.float32)
        seen[:, Y] = self.y
        seen[:, HINT] = self.goal if self.t == 0 else 0
        seen[:, FLAG] = self.on_junction
        seen[:, NOISE] = self.noise[np.arange(len(self.goal)), np.minimum(self.t, self.corridor + 1)]
        return seen


def draw(seeds: Sequence[int], count: int) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int8]]:
    """(rows,) goals, (rows,) numbers on [0, 1) that choose a length, (rows, count) noise."""
    goals, shares = np.empty(len(seeds), np.int64), np.empty(len(seeds))
    noise = np.empty((len(seeds), count), np.int8)
    for row, generator in enumerate(random_states(seeds)):
        goals[row] = 1 if generator.random_sample() < 0.5 else -1
        shares[row] = generator.random_sample()
        noise[row] = generator.randint(-1, 2, count, dtype=np.int8)
    return goals, shares, noise


def score(episodes: Episodes) -> dict[str, np.ndarray]:
    """Per-episode measures: return, whether the goal was reached, and whether the junction was, in time to turn."""
    observations = episodes.observations
    assert isinstance(observations, np.ndarray)
    returns, reached = episodes.returns(), observations[episodes.ends, FLAG]
    return {"return": returns, "success": (returns > 0).astype(np.float64), "reached": reached.astype(np.float64)}


def t_maze(corridor: int = 30, trained: int | None = None) -> EnvSpec:
    """The T-maze.

    Args:
        corridor: cells between the hint and the junction, of the episodes that are evaluated.
        trained: cells of the longest corridor in the data, which has all lengths from 1 to it; null: data of `corridor` cells.
    """
    check_integer("corridor", corridor, 1, MAX_CORRIDOR)
    if trained is not None:
        check_integer("trained", trained, 1, MAX_CORRIDOR)
    return EnvSpec(
        id="t-maze-v0",
        name="t-maze",
        summary="a hint at the start of a corridor says which way to turn at its end",
        options={"corridor": corridor, "trained": trained},
        make=lambda render_mode=None: TMazeEnv(corridor, render_mode),
        vector=lambda seeds: TMazeEpisodes(seeds, corridor),
        data_vector=None if trained is None else lambda seeds: TMazeEpisodes(seeds, trained, mixed=True),
        stated_spaces=SPACES,
        score=score,
        success_metric="success",
        minimum=0.0,
        maximum=1.0,
        chance=0.5,
        horizon=max(corridor, trained or 0) + 1,
        random_return=0.25 ** (corridor + 1),
        optimal_return=1.0,
        references="exact: one sequence of corridor + 1 actions, of four each, ends on the goal",
        tests=("memory",),
        needs_memory=True,
        ends_by_clock=True,
        random=uniform(N_ACTIONS),
        optimal=_expert,
        target=Fixed(1.0),
        recipes={
            "random": Recipe("uniformly random actions", uniform(N_ACTIONS)),
            "medium": Recipe("right along the corridor, then either way", either_way),
            "expert": Recipe("right along the corridor, then where the hint said", _expert),
            "mixed": Recipe("each episode is expert, medium or random, all alike", _mixed),
            "replay": Recipe(
                "each episode has its own share of random actions, evenly from none to all",
                noisy(_expert, N_ACTIONS, spread),
            ),
        },
    )


def _expert(env: TMazeEpisodes, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
    """Right, then to the goal."""
    return np.where(env.on_junction, np.where(env.goal > 0, UP, DOWN), RIGHT)


def either_way(env: TMazeEpisodes, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
    """Right, then up or down by a coin: what is known without the hint."""
    return np.where(env.on_junction, np.where(draws[:, 1] < 0.5, UP, DOWN), RIGHT)


_RANDOM = uniform(N_ACTIONS)


def _mixed(env: TMazeEpisodes, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
    kinds = [behave(env, timestep, draws, episode_draw) for behave in (_expert, either_way, _RANDOM)]
    return np.choose((3 * episode_draw).astype(np.int64), kinds)
