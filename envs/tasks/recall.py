"""Associative recall: pairs of a key and a value go by, then one of the keys is shown and its value is to be named.

The question behind it is old (Ba et al. 2016, "Using fast weights to attend to the recent past"; Arora et al. 2023, "Zoology",
arXiv:2312.04927): can a state of fixed size hold what is looked up by content, and how much of it? Here as a Markov decision
process, with n pairs:

- Observation: key (one of 64) and value (one of 4, or 4 where it is asked for). Pairs are shown at t = 0 .. n - 1, the question
  at t = n. The spaces are the same whatever n is.
- Action: a value. Only the last one counts.
- Reward: after the last action +1 if it is the value that was shown with the key asked for, else -1/3; 0 before.
- End: after exactly n + 1 timesteps.

An episode of three pairs::

    t        0     1     2     3
    key      17    4     52    4
    value    2     0     2     ?
    action   any   any   any   0         (0 was shown with 4)
    reward   0     0     0     +1

Keys of an episode differ from each other, each value is drawn for itself, and each pair is asked for equally often, wherever it
stood. So neither the key, nor the time, nor any earlier action tells the value: whoever has not kept the pairs is right in one
of four.

Seeding: ``reset(seed=s)`` takes 65 + n uniform numbers of ``RandomState(s mod 2**32)``: the order of the first 64 of them is
that of the keys, of which n are shown; then come the values and the pair that is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dsbench.envs.behaviour import noisy_recipes, uniform, uniform_actions
from dsbench.envs.drawing import BLUE, Canvas
from dsbench.envs.draws import episode_seed, uniforms
from dsbench.envs.options import check_integer
from dsbench.envs.spaces import Spaces
from dsbench.envs.spec import EnvSpec
from dsbench.envs.targets import Fixed
from dsbench.envs.tasks.answers import score, stakes
from dsbench.episodes import Observations

KEYS, VALUES = 64, 4
ASKED = VALUES  # what stands in the place of the value that is asked for
RIGHT, WRONG = stakes(VALUES)
SPACES = Spaces(
    gym.spaces.Dict({"key": gym.spaces.Discrete(KEYS), "value": gym.spaces.Discrete(VALUES + 1)}),
    gym.spaces.Discrete(VALUES),
)


class RecallEnv(gym.Env[dict[str, np.int64], np.int64]):
    """One episode at a time; see the module for the rules."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 2}  # noqa: RUF012  gymnasium's own attribute

    def __init__(self, pairs: int = 8, render_mode: str | None = None) -> None:
        _check_options(pairs)
        self.pairs, self.render_mode = pairs, render_mode
        self.observation_space, self.action_space = SPACES.observation, SPACES.action

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.int64], dict[str, Any]]:
        super().reset(seed=seed)
        keys, values, asked = draw([episode_seed(self, seed)], self.pairs)
        self._shown = list(zip(keys[0].tolist(), values[0].tolist(), strict=True))
        self._question, self._answer = self._shown[asked[0]]
        self.t, self._words = 0, ""
        return self._seen(), {}

    def step(self, action: np.int64) -> tuple[dict[str, np.int64], float, bool, bool, dict[str, Any]]:
        reward, last = 0.0, self.t == self.pairs
        if last:
            right = int(action) == self._answer
            reward = float(RIGHT if right else WRONG)
            self._words = f"answered {int(action)}: {'right' if right else 'wrong'}"
        else:
            self.t += 1
        return self._seen(), reward, last, False, {}

    def render(self) -> NDArray[np.uint8]:
        """(120, 320, 3) the pair that is shown, or the key that is asked for; the answer, once there is one."""
        canvas, seen = Canvas(height=120), self._seen()
        asked = self.t == self.pairs
        canvas.text((10, 8), "which value?" if asked else f"pair {self.t + 1} of {self.pairs}")
        canvas.text((80, 60), f"key {seen['key']}", size=28, anchor="mm")
        canvas.arrow((150, 60), (200, 60), width=2)
        canvas.text((250, 60), "?" if asked else str(seen["value"]), size=36, colour=BLUE, anchor="mm")
        canvas.text((10, 98), self._words)
        return canvas.array()

    def _seen(self) -> dict[str, np.int64]:
        key, value = self._shown[self.t] if self.t < self.pairs else (self._question, ASKED)
        return {"key": np.int64(key), "value": np.int64(value)}


class RecallEpisodes:
    """Many episodes at once in numpy, equal to `RecallEnv` draw for draw (a test holds it).

    Attributes:
        keys, values: (n + 1, rows) int64 what is seen at each timestep.
        answer: (rows,) int64, the right last action.
        t: timesteps so far, of all rows.
    """

    action_mask: np.ndarray | None = None

    def __init__(self, seeds: Sequence[int], pairs: int) -> None:
        self.pairs, self.t, self.over = pairs, 0, False
        keys, values, asked = draw(seeds, pairs)
        rows = np.arange(len(seeds))
        self.answer = values[rows, asked]
        self.keys = np.vstack([keys.T, keys[rows, asked]])
        self.values = np.vstack([values.T, np.full(len(seeds), ASKED)])
        self.observations: Observations = self._observe()

    def step(self, actions: np.ndarray) -> tuple[Observations, np.ndarray, np.ndarray, np.ndarray]:
        rewards = np.zeros(len(actions), np.float32)
        if self.t == self.pairs and not self.over:
            rewards, self.over = np.where(actions == self.answer, RIGHT, WRONG), True
        self.t = min(self.t + 1, self.pairs)
        self.observations = self._observe()
        ended = np.full(len(actions), self.over)
        return self.observations, rewards, ended, np.zeros_like(ended)

    def _observe(self) -> dict[str, NDArray[np.int64]]:
        return {"key": self.keys[self.t], "value": self.values[self.t]}


def draw(seeds: Sequence[int], pairs: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(rows, n) keys, (rows, n) values and (rows,) the pair that is asked for."""
    order, values, asked = np.split(uniforms(seeds, KEYS + pairs + 1), [KEYS, KEYS + pairs], 1)
    return (
        np.argsort(order, 1)[:, :pairs],
        (values * VALUES).astype(np.int64),
        (asked[:, 0] * pairs).astype(np.int64),
    )


def recall(pairs: int = 8) -> EnvSpec:
    """How many pairs of a key and a value are kept.

    Args:
        pairs: shown before one of them is asked for; an episode has one more timestep.
    """
    _check_options(pairs)
    return EnvSpec(
        id="recall-v0",
        name="recall",
        summary="pairs of a key and a value go by, then the value of one key is to be named",
        options={"pairs": pairs},
        make=lambda render_mode=None: RecallEnv(pairs, render_mode),
        vector=lambda seeds: RecallEpisodes(seeds, pairs),
        stated_spaces=SPACES,
        score=lambda episodes: score(episodes, 1),
        success_metric="correct",
        minimum=0.0,
        maximum=1.0,
        chance=1 / VALUES,
        horizon=pairs + 1,
        random_return=0.0,
        optimal_return=1.0,
        references="exact: the one reward is +1 in one of four cases at random, else -1/3",
        tests=("memory",),
        needs_memory=True,
        ends_by_clock=True,
        random=uniform(VALUES),
        optimal=_expert,
        target=Fixed(1.0),
        recipes=noisy_recipes(_expert, VALUES, "the answer is always right", medium=0.5, mixed=(1, 0.5, 0)),
    )


def _expert(env: RecallEpisodes, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
    """The right answer; before it is asked for uniformly random, so that no earlier action gives it away."""
    return env.answer if timestep == env.pairs else uniform_actions(draws[:, 1], VALUES, None)


def _check_options(pairs: int) -> None:
    check_integer("pairs", pairs, 2, KEYS)
