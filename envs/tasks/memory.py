"""bsuite's memory chain: is what was shown at the start still known when it is asked for at the end?

The Markov decision process (Osband et al. 2020; bsuite/environments/memory_chain.py), with M = memory_length:

- Observation, float32 (2 + num_bits,): time 1 - s / M, query (which bit is asked for; shown at s = M - 1, else 0), context
  (each bit as -1 or +1; shown at s = 0, else 0). bsuite's clock s stands still once: s = 0, 0, 1, ..., M - 1 before the
  M + 1 actions, so the context is seen twice.
- Action: 0 or 1, a bit. Only the last one counts.
- Reward: after the last action +1 if it equals the context's bit at query, else -1; 0 before.
- End: after exactly M + 1 timesteps.

An episode of memory_length 3 with one bit::

    t          0     1     2     3
    time       1     1     2/3   1/3
    context    -1    -1    .     .
    action     1     0     1     0        (only the last one counts: 0 is right, the context showed -1)
    reward     0     0     0     +1

With memory_length 1 context and query are seen together, so no memory is needed. ``memory-len`` and ``memory-size`` are one
environment, as in bsuite: one asks how long something is kept, the other how much.

Seeding: ``reset(seed=s)`` builds a new bsuite environment from ``s mod 2**32``, so an episode depends on its seed alone.
bsuite draws context and query once in its constructor and again at reset; both draws are kept, so episodes equal bsuite's
own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dsbench.envs.behaviour import noisy_recipes, uniform, uniform_actions
from dsbench.envs.draws import SEEDS, episode_seed, random_states
from dsbench.envs.options import check_integer
from dsbench.envs.spec import EnvSpec
from dsbench.envs.targets import Fixed
from dsbench.envs.tasks.bsuite_picture import picture
from dsbench.episodes import Episodes, Observations

MAX_MEMORY_LENGTH = 10_000
MAX_BITS = 10_000
FIXED_FEATURES = 2  # time, query


class MemoryEnv(gym.Env[np.ndarray, np.integer[Any]]):
    """bsuite's environment behind gymnasium's interface; one fresh bsuite environment an episode."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012  gymnasium's own attribute

    def __init__(self, memory_length: int = 20, num_bits: int = 1, render_mode: str | None = None) -> None:
        _check_options(memory_length, num_bits)
        self.render_mode = render_mode
        self.memory_length, self.num_bits = memory_length, num_bits
        low, high = np.full(FIXED_FEATURES + num_bits, -1.0, np.float32), np.ones(FIXED_FEATURES + num_bits, np.float32)
        low[:FIXED_FEATURES], high[1] = 0, max(num_bits - 1, 1)
        self.observation_space = gym.spaces.Box(low, high)
        self.action_space = gym.spaces.Discrete(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        from bsuite.environments.memory_chain import MemoryChain

        super().reset(seed=seed)
        bsuite_seed = episode_seed(self, seed) % SEEDS
        self._bsuite = MemoryChain(self.memory_length, self.num_bits, seed=bsuite_seed)
        self._seen, self._words = self._bsuite.reset().observation[0], "to be remembered:"
        return self._seen, {}

    def step(self, action: np.integer[Any]) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        step = self._bsuite.step(int(action))
        self._seen = step.observation[0]
        if step.last():
            self._words = f"answered {int(action)}: {'right' if step.reward > 0 else 'wrong'}"
        elif self._seen[0] * self.memory_length < 1.5:  # the clock's last timestep
            self._words = f"bit {int(self._seen[1])} is asked for"
        elif self._seen[0] < 1:
            self._words = "nothing to see"
        return self._seen, float(step.reward), bool(step.last()), False, {}

    def render(self) -> NDArray[np.uint8]:
        """(H, W, 3) the observation: the time left, what is asked for, and the context while it is shown."""
        return picture({"time left": float(self._seen[0])}, self._words, self._seen[FIXED_FEATURES:])


class MemoryEpisodes:
    """Many episodes at once in numpy, equal to bsuite's draw for draw (a test holds it).

    Attributes:
        context: (rows, num_bits) bool.
        query: (rows,) int64, the bit that is asked for.
        answer: (rows,) int64, the right last action.
        t: timesteps so far, of all rows.
    """

    action_mask: np.ndarray | None = None

    def __init__(self, seeds: Sequence[int], memory_length: int, num_bits: int) -> None:
        self.length, self.t = memory_length, 0
        self.context, self.query = _draw(seeds, num_bits)
        self.answer = self.context[np.arange(len(seeds)), self.query].astype(np.int64)
        self.observations: Observations = self._observe(0)

    def step(self, actions: np.ndarray) -> tuple[Observations, np.ndarray, np.ndarray, np.ndarray]:
        last = self.t == self.length
        right = np.where(actions == self.answer, np.float32(1), np.float32(-1))
        rewards = right if last else np.zeros_like(right)
        self.observations = self._observe(min(self.t, self.length))  # what follows action t shows the clock at t
        self.t += 1
        ended = np.full(len(rewards), self.t > self.length)
        return self.observations, rewards, ended, np.zeros_like(ended)

    def _observe(self, clock: int) -> np.ndarray:
        rows, num_bits = self.context.shape
        observations = np.zeros((rows, FIXED_FEATURES + num_bits), np.float32)
        observations[:, 0] = 1 - clock / self.length
        if clock == self.length - 1:
            observations[:, 1] = self.query
        if clock == 0:
            observations[:, FIXED_FEATURES:] = np.where(self.context, np.float32(1), np.float32(-1))
        return observations


def _draw(seeds: Sequence[int], num_bits: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows, num_bits) contexts and (rows,) queries from bsuite's RandomState(seed).

    bsuite takes its bits from ``binomial(1, 0.5)``, which takes one uniform number u and gives u > 0.5. The first context and
    query are those of its constructor, overwritten at reset.
    """
    uniforms, queries = np.empty((len(seeds), num_bits)), np.zeros(len(seeds), np.int64)
    for row, generator in enumerate(random_states(seeds)):
        generator.random_sample(num_bits)
        if num_bits == 1:  # nothing to choose from takes no draw
            uniforms[row] = generator.random_sample()
            continue
        generator.randint(num_bits)
        uniforms[row] = generator.random_sample(num_bits)
        queries[row] = generator.randint(num_bits)
    return uniforms > 0.5, queries


def score(episodes: Episodes) -> dict[str, np.ndarray]:
    """Per-episode measures: return, whether the answer was right, and bsuite's regret (2 for a wrong one, else 0)."""
    observations = episodes.observations
    assert isinstance(observations, np.ndarray)
    first, last = episodes.starts[:-1], episodes.ends
    asked = FIXED_FEATURES + observations[last, 1].astype(np.int64)
    right = (observations[first, asked] > 0) == episodes.actions[last]
    right &= episodes.terminated[last]  # an episode cut before the question has no answer
    return {"return": episodes.returns(), "correct": right.astype(np.float64), "regret": np.where(right, 0.0, 2.0)}


def memory_len(memory_length: int = 20, num_bits: int = 1) -> EnvSpec:
    """How long a bit is kept.

    Args:
        memory_length: timesteps from the start to the question; an episode has one more.
        num_bits: bits shown at the start, one of which is asked for.
    """
    return _spec("memory-len", "one bit, shown at the start, is asked for at the end", memory_length, num_bits)


def memory_size(num_bits: int = 5, memory_length: int = 2) -> EnvSpec:
    """How many bits are kept.

    Args:
        num_bits: bits shown at the start, one of which is asked for.
        memory_length: timesteps from the start to the question; an episode has one more.
    """
    return _spec("memory-size", "of many bits, shown at the start, one is asked for", memory_length, num_bits)


def _spec(name: str, summary: str, memory_length: int, num_bits: int) -> EnvSpec:
    _check_options(memory_length, num_bits)
    return EnvSpec(
        id=f"{name}-v0",
        name=name,
        summary=summary,
        options={"memory_length": memory_length, "num_bits": num_bits},
        make=lambda render_mode=None: MemoryEnv(memory_length, num_bits, render_mode),
        vector=lambda seeds: MemoryEpisodes(seeds, memory_length, num_bits),
        score=score,
        success_metric="correct",
        minimum=0.0,
        maximum=1.0,
        chance=0.5,
        horizon=memory_length + 1,
        random_return=0.0,
        optimal_return=1.0,
        references="exact: the one reward is +1 or -1, with equal chances at random",
        tests=("memory",),
        needs_memory=memory_length > 1,
        ends_by_clock=True,
        random=uniform(2),
        optimal=_expert,
        target=Fixed(1.0),
        recipes=noisy_recipes(_expert, 2, "the answer is always right", medium=0.5, mixed=(1, 0.5, 0)),
    )


def _expert(env: MemoryEpisodes, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
    """The right answer; before it is asked for uniformly random, so that no earlier action gives it away."""
    return env.answer if timestep == env.length else uniform_actions(draws[:, 1], 2, None)


def _check_options(memory_length: int, num_bits: int) -> None:
    check_integer("memory_length", memory_length, 1, MAX_MEMORY_LENGTH)
    check_integer("num_bits", num_bits, 1, MAX_BITS)
