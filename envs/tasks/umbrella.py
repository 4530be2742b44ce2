"""bsuite's umbrella chain: does a policy find the one action that matters behind rewards that do not?

The Markov decision process (Osband et al. 2020; bsuite/environments/umbrella_chain.py):

- Observation, float32 (3 + n_distractor,): need (is an umbrella needed, fixed for the episode), have (is one carried),
  1 - t / chain_length, then fair coin flips redrawn at every timestep.
- Action: 0 leave or 1 take the umbrella. Only the one at t = 0 counts; ``have`` shows it from t = 1 on.
- Reward: +1 or -1 by a fair coin at every timestep but the last; there +1 if have == need, else -1.
- End: after exactly chain_length timesteps.

An episode of chain_length 4 without distractors, in which the umbrella was needed and taken::

    t            0      1      2      3
    need have    1 0    1 1    1 1    1 1
    action       1      0      1      1        (1 at t = 0 is right)
    reward      -1     +1     +1     +1        (the last one says so, the others are noise)

So a return R says of a random first action only P(right | R) = (1 + R / chain_length) / 2.

Seeding: ``reset(seed=s)`` builds a new bsuite environment from ``s mod 2**32``, so an episode depends on its seed alone.
bsuite draws ``need`` once in its constructor and again at reset; both draws are kept, so episodes equal bsuite's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dsbench.envs.behaviour import uniform
from dsbench.envs.draws import SEEDS, episode_seed, random_states
from dsbench.envs.options import check_integer
from dsbench.envs.spec import Behaviour, EnvSpec, Recipe
from dsbench.envs.tasks.bsuite_picture import picture
from dsbench.episodes import Episodes, Observations

MAX_CHAIN_LENGTH = 10_000
MAX_DISTRACTORS = 10_000
FIXED_FEATURES = 3  # need, have, time to live


class UmbrellaEnv(gym.Env[np.ndarray, np.integer[Any]]):
    """bsuite's environment behind gymnasium's interface; one fresh bsuite environment an episode."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012  gymnasium's own attribute

    def __init__(self, chain_length: int = 10, n_distractor: int = 20, render_mode: str | None = None) -> None:
        _check_options(chain_length, n_distractor)
        self.render_mode = render_mode
        self.chain_length, self.n_distractor = chain_length, n_distractor
        size = FIXED_FEATURES + n_distractor
        self.observation_space = gym.spaces.Box(0.0, 1.0, (size,), np.float32)
        self.action_space = gym.spaces.Discrete(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        from bsuite.environments.umbrella_chain import UmbrellaChain

        super().reset(seed=seed)
        bsuite_seed = episode_seed(self, seed) % SEEDS
        self._bsuite = UmbrellaChain(self.chain_length, self.n_distractor, seed=bsuite_seed)
        self._seen = self._bsuite.reset().observation[0]
        return self._seen, {}

    def step(self, action: np.integer[Any]) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        step = self._bsuite.step(int(action))
        self._seen = step.observation[0]
        return self._seen, float(step.reward), bool(step.last()), False, {}

    def render(self) -> NDArray[np.uint8]:
        """(H, W, 3) the observation: need, have and time left as bars, the distractors as cells."""
        need, have, left = (float(number) for number in self._seen[:FIXED_FEATURES])
        numbers = {"need": need, "have": have, "time left": left}
        return picture(numbers, f"{self.n_distractor} distractors", self._seen[FIXED_FEATURES:])


class UmbrellaEpisodes:
    """Many episodes at once in numpy, equal to bsuite's draw for draw (a test holds it).

    bsuite draws all its coins with ``binomial(1, 0.5)``, which takes one uniform number u and gives u > 0.5, and no draw
    depends on an action; so an episode's coins are drawn in one go.
    """

    action_mask: np.ndarray | None = None

    def __init__(self, seeds: Sequence[int], chain_length: int, n_distractor: int) -> None:
        self.length, self.t = chain_length, 0
        coins = _coins(seeds, 3 + n_distractor + chain_length * (1 + n_distractor) - 1)
        self.need, self.have = coins[:, 1], coins[:, 2].copy()  # coin 0 is the constructor's need, overwritten at reset
        first, rest = coins[:, 3 : 3 + n_distractor], coins[:, 3 + n_distractor :]
        # Each later timestep draws its reward, then its distractors; the last one has no reward to draw.
        between = rest[:, : (chain_length - 1) * (1 + n_distractor)].reshape(
            len(seeds), chain_length - 1, 1 + n_distractor
        )
        self.noise = between[:, :, 0]
        last = rest[:, (chain_length - 1) * (1 + n_distractor) :]
        self.distractors = np.concatenate([first[:, None], between[:, :, 1:], last[:, None]], 1)
        self.observations: Observations = self._observe()

    def step(self, actions: np.ndarray) -> tuple[Observations, np.ndarray, np.ndarray, np.ndarray]:
        if self.t == 0:
            self.have = actions.astype(bool)
        over = self.t >= self.length
        self.t = min(self.t + 1, self.length)
        last = self.t == self.length
        right = self.have == self.need if last else self.noise[:, self.t - 1]
        rewards = np.where(right, np.float32(1), np.float32(-1)) * np.float32(not over)
        self.observations = self._observe()
        ended = np.full(len(rewards), last)
        return self.observations, rewards, ended, np.zeros_like(ended)

    def _observe(self) -> np.ndarray:
        rows, _, n_distractor = self.distractors.shape
        observations = np.empty((rows, FIXED_FEATURES + n_distractor), np.float32)
        observations[:, 0] = self.need
        observations[:, 1] = self.have
        observations[:, 2] = 1 - self.t / self.length
        observations[:, FIXED_FEATURES:] = self.distractors[:, self.t]
        return observations


def _coins(seeds: Sequence[int], count: int) -> np.ndarray:
    """(rows, count) bool: the coins of bsuite's RandomState(seed), kept as such: as uniforms they take eight times as much."""
    coins = np.empty((len(seeds), count), bool)
    for row, generator in enumerate(random_states(seeds)):
        np.greater(generator.random_sample(count), 0.5, out=coins[row])
    return coins


def score(episodes: Episodes) -> dict[str, np.ndarray]:
    """Per-episode measures: return, bsuite's regret (2 for a wrong first action, else 0) and whether it was right."""
    observations = episodes.observations
    assert isinstance(observations, np.ndarray)
    starts = episodes.starts[:-1]
    right = observations[starts, 0] == episodes.actions[starts]
    return {
        "return": episodes.returns(),
        "regret": np.where(right, 0.0, 2.0),
        "first_action_accuracy": right.astype(np.float64),
    }


def umbrella(chain_length: int = 10, n_distractor: int = 20) -> EnvSpec:
    """The umbrella chain.

    Args:
        chain_length: timesteps of an episode, all but one of whose rewards are noise.
        n_distractor: coin flips in the observation that mean nothing.
    """
    _check_options(chain_length, n_distractor)
    return EnvSpec(
        id="umbrella-v0",
        name="umbrella",
        summary="only the first action counts, the rewards between are coin flips",
        options={"chain_length": chain_length, "n_distractor": n_distractor},
        make=lambda render_mode=None: UmbrellaEnv(chain_length, n_distractor, render_mode),
        vector=lambda seeds: UmbrellaEpisodes(seeds, chain_length, n_distractor),
        score=score,
        success_metric="first_action_accuracy",
        minimum=0.0,
        maximum=1.0,
        chance=0.5,
        horizon=chain_length,
        random_return=0.0,
        optimal_return=1.0,
        references="exact: the noise has mean 0, the last reward mean 0 at random and +1 at best",
        tests=("return noise", "credit"),
        needs_memory=False,
        ends_by_clock=True,
        random=uniform(2),
        optimal=_first_action_right_with(1.0),
        recipes={
            "random": Recipe("uniformly random actions", _first_action_right_with(0.5)),
            "medium": Recipe("the first action is right in three episodes of four", _first_action_right_with(0.75)),
            "expert": Recipe("the first action is always right", _first_action_right_with(1.0)),
            "mixed": Recipe("one episode in two is expert, the others random", _mixed),
            "replay": Recipe("every quality from random to expert, evenly", _spread),
        },
    )


def _first_action_right_with(probability: float | np.ndarray) -> Behaviour:
    """Right first action with this probability (one for all, or (rows,)); uniformly random afterwards, where the action
    does not matter."""

    def behave(env: Any, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
        if timestep > 0:
            return (draws[:, 0] < 0.5).astype(np.int64)
        need = env.observations[:, 0].astype(np.int64)
        return np.where(draws[:, 0] < probability, need, 1 - need)

    return behave


def _mixed(env: Any, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
    random, expert = (
        _first_action_right_with(probability)(env, timestep, draws, episode_draw) for probability in (0.5, 1.0)
    )
    return np.where(episode_draw < 0.5, expert, random)


def _spread(env: Any, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
    return _first_action_right_with(1 - episode_draw / 2)(env, timestep, draws, episode_draw)


def _check_options(chain_length: int, n_distractor: int) -> None:
    check_integer("chain_length", chain_length, 1, MAX_CHAIN_LENGTH)
    check_integer("n_distractor", n_distractor, 0, MAX_DISTRACTORS)
