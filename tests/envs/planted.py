"""Environments with one fault each that plays on as if nothing were wrong, and the check that must find it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from dsbench.envs import EnvSpec
from dsbench.envs.spec import Recipe
from dsbench.envs.vector import LoopedEpisodes
from tests.envs import faulty as bad
from tests.envs.faulty import LENGTH, Make, Ring, like, replaced, spec_of, stepping, twin


@dataclass(frozen=True)
class Planted:
    """A faulty environment, the check that finds it and what that says."""

    check: str
    says: str
    make: Make = Ring
    changes: Mapping[str, Any] = field(default_factory=dict)
    also: tuple[str, ...] = ()  # further checks that see the same fault

    def spec(self) -> EnvSpec:
        return spec_of(self.make, **self.changes)


class Clocked(Ring):
    """Calls the end of its time an end of its own."""

    def step(self, action: Any) -> Any:
        seen, reward, _, over, info = super().step(action)
        return seen, reward, over, False, info


class Goal(Ring):
    """Ends where place 0 is reached, and says so; what that is worth comes with the step that does so, or with the next."""

    late = False

    def step(self, action: Any) -> Any:
        over = self.t > 0 and self.place == 0
        seen, _, _, _, info = super().step(action)
        paid = over if self.late else self.place == 0
        return seen, 5.0 if paid else 0.0, self.place == 0, self.t == LENGTH, info


class LateGoal(Goal):
    late = True


class KeptWind(Ring):
    """The wind grows from episode to episode."""

    strength = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        result = super().reset(seed=seed)
        self.strength = min(self.strength + 1, 3) if hasattr(self, "played") else 0
        return result

    def step(self, action: Any) -> Any:
        self.played = True
        result = super().step(action)
        self.place = (self.place + self.strength) % bad.SIDE
        return result


class KeptIfLeft(Ring):
    """An episode that is left before its end is gone on with."""

    t = LENGTH

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        before = getattr(self, "place", 0) if self.t < LENGTH else None
        result = super().reset(seed=seed)
        self.place = self.place if before is None else before
        return (self.seen(), result[1])


class Reused(Ring):
    """One buffer for all observations of one environment."""

    def seen(self) -> Any:
        if not hasattr(self, "buffer"):
            self.buffer = np.zeros(2, np.float32)
        self.buffer[:] = super().seen()
        return self.buffer


class OneBuffer(Ring):
    """One buffer for those of all environments."""

    buffer: ClassVar[np.ndarray] = np.zeros(2, np.float32)

    def seen(self) -> Any:
        self.buffer[:] = super().seen()
        return self.buffer


class LastIsNan(Ring):
    def seen(self) -> Any:
        return super().seen() if self.t < LENGTH else np.full(2, np.nan, np.float32)


class Forgetful(LoopedEpisodes):
    """A twin that pays rows that are over."""

    def step(self, actions: np.ndarray) -> Any:
        over = self._over.copy()
        seen, rewards, terminated, truncated = super().step(actions)
        return seen, np.where(over, 7, rewards).astype(np.float32), terminated, truncated


def later(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Any], Any]:
    """A twin whose rewards differ."""
    return twin(lambda given: (given[0], change(given[1]), *given[2:]))


def stay(env: Any, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
    return np.zeros(len(draws), int)


class Lasting(gym.Env[Any, Any]):
    """Goes on as long as the action is 0, at most 20 timesteps, which it calls an end of its own."""

    observation_space = gym.spaces.Discrete(2)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return 0, {}

    def step(self, action: Any) -> Any:
        self.t += 1
        return 0, 1.0, bool(action) or self.t == 20, False, {}


LASTING: dict[str, Any] = {
    "horizon": 20, "random": bad.fixed(1), "random_return": 1.0, "optimal_return": 20.0,
    "recipes": {"expert": Recipe("", stay)},
}  # fmt: skip

PLANTED: dict[str, Planted] = {
    # the ten of whom every one is told apart from sound environments
    "unseeded randomness": Planted("same_seed_same_episode", "two episodes of seed [0-9]+ differ", bad.Unseeded),
    "a reward after the end": Planted(
        "nothing_after_the_end", "pays 5 at the timestep after it was terminated", LateGoal, {"random_return": 0.0}
    ),
    "truncated called terminated": Planted(
        "ends_are_named", r"all \d+ episodes that last 6 timesteps are terminated there", Clocked
    ),
    "an observation outside its space": Planted(
        "observations_in_their_space", r"hold 6\.5 in entry 1, and their space reaches from 0 to 6",
        like(seen=lambda env: np.array([env.place, env.t + 0.5], np.float32)),
    ),
    "float64 in a float32 space": Planted(
        "types_of_observations", "observations are float64 and their space says float32",
        like(seen=lambda env: np.array([env.place, env.t], np.float64)),
    ),
    "a horizon that is too short": Planted(
        "horizon_is_long_enough", "horizon=4, and its episodes go on until timestep 6; set horizon=6", Ring,
        {"horizon": 4, "random_return": 0.8},
    ),
    "a mutable observation, reused": Planted(
        "arrays_of_its_own", "changed the observation that it", Reused, also=("autoreset",)
    ),
    "state kept over reset": Planted(
        "reset_leaves_nothing", "another episode of the same seed after one that was played to its end", KeptWind
    ),
    "NaN": Planted("same_seed_same_episode", "not finite at timestep 2", stepping(replaced(1, float("nan")))),
    "a twin that differs": Planted(
        "twin_equals_single", "vector and make give different episodes of seed", Ring, {"vector": later(lambda r: 1.01 * r)}
    ),
    # their neighbours
    "a global generator": Planted("same_seed_same_episode", "another is played beside it", bad.GlobalDraws),
    "NaN at the very end": Planted("same_seed_same_episode", "not finite at timestep 5", LastIsNan),
    "one buffer for all environments": Planted("arrays_of_its_own", "changed the observation", OneBuffer, also=("autoreset",)),
    "state kept over a reset half-way": Planted("reset_leaves_nothing", "left half-way", KeptIfLeft),
    "integers in a float32 space": Planted(
        "types_of_observations", "int8 and their space says float32",
        like(seen=lambda env: np.array([env.place, env.t], np.int8)),
    ),
    "a list in place of an array": Planted(
        "types_of_observations", "observations are list", like(seen=lambda env: [env.place, env.t])
    ),
    "below its space": Planted(
        "observations_in_their_space", "hold -1 in entry 0", like(seen=lambda env: np.array([-1, env.t], np.float32))
    ),
    "time called an end where only an expert gets there": Planted(
        "ends_are_named", "last 20 timesteps are terminated", Lasting, LASTING
    ),
    "a time limit beyond the horizon": Planted(
        "making_and_spaces", "goes on until max_episode_steps=9", lambda: gym.make("CartPole-v1", max_episode_steps=9),
        {"random": bad.uniform(2)},
    ),
    "a natural end beyond the horizon": Planted(
        "horizon_is_long_enough", "go on until timestep 6", Clocked, {"horizon": 3, "random_return": 0.6}
    ),
    "a twin that is off by a rounding": Planted(
        "twin_equals_single", "rewards at timestep", Ring, {"vector": later(lambda r: np.nextafter(r, np.float32(9)))}
    ),
    "a twin that names ends otherwise": Planted(
        "twin_equals_single", "at timestep 5", Ring, {"vector": twin(lambda g: (g[0], g[1], g[3], g[2])), "ends_by_clock": True}
    ),
    "a twin that pays who is over": Planted(
        "twin_equals_single", "pays 7 at timestep .* to an episode that is over", Goal,
        {"vector": lambda seeds: Forgetful(Goal, seeds), "random_return": 3.0},
    ),
    "a random return that nobody earns": Planted(
        "references_in_range", "says random_return=3, and 256 episodes of random play earn 1", Ring, {"random_return": 3.0}
    ),
    "a best return that random play beats": Planted(
        "references_in_range", "more than the best", Ring, {"optimal_return": 0.0}
    ),
    "a best policy that does not earn the best": Planted(
        "references_in_range", "of its best policy earn 1", Ring, {"optimal": bad.fixed(0)}
    ),
    "a measure beyond its maximum": Planted("references_in_range", "not between", Ring, {"maximum": 1.0}),
    "a chance beyond the maximum": Planted("references_in_range", "chance=2", Ring, {"chance": 2.0, "maximum": 1.0}),
}  # fmt: skip
