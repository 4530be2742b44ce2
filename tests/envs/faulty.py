"""A sound environment, its spec, and what people get wrong in theirs: one small class or change for each fault."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from dsbench.envs import EnvSpec
from dsbench.envs.behaviour import uniform
from dsbench.envs.spec import Recipe
from dsbench.envs.targets import Fixed
from dsbench.envs.vector import LoopedEpisodes

LENGTH, SIDE, ACTIONS = 6, 5, 3
PLACES = gym.spaces.Discrete(SIDE)
Make = Callable[[], gym.Env[Any, Any]]


class Ring(gym.Env[Any, Any]):
    """Six timesteps on a ring of five places: actions stay, go on, go back; the wind, drawn, sometimes blows one on.

    The observation is the place and the timestep; place 0 pays.
    """

    observation_space: gym.Space[Any] = gym.spaces.Box(0, LENGTH, (2,), np.float32)
    action_space: gym.Space[Any] = gym.spaces.Discrete(ACTIONS)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.place, self.t = int(self.np_random.integers(SIDE)), 0
        return self.seen(), self.info()

    def step(self, action: Any) -> Any:
        self.place = (self.place + (0, 1, -1)[int(action)] + int(self.np_random.integers(2))) % SIDE
        self.t += 1
        return self.seen(), self.pay(), False, self.t == LENGTH, self.info()

    def seen(self) -> Any:
        return np.array([self.place, self.t], np.float32)

    def pay(self) -> Any:
        return float(self.place == 0)

    def info(self) -> Any:
        return {}


def spec_of(make: Make = Ring, **changes: Any) -> EnvSpec:
    """A spec of these environments as a user would write it."""
    random = changes.pop("random", None) or uniform(ACTIONS)
    given: dict[str, Any] = {
        "id": "mine-v0", "name": "mine", "summary": "a ring", "options": {}, "make": lambda render_mode=None: make(),
        "vector": lambda seeds: LoopedEpisodes(make, seeds), "score": lambda episodes: {"return": episodes.returns()},
        "success_metric": "return", "horizon": LENGTH, "random_return": 1.2, "optimal_return": 6.0,
        "references": "none", "tests": ("control",), "needs_memory": False, "random": random, "optimal": None,
        "target": Fixed(6.0), "recipes": {"random": Recipe("uniformly random", random)},
    }  # fmt: skip
    return EnvSpec(**(given | changes))


@dataclass(frozen=True)
class Fault:
    """A faulty environment and what must be said of it."""

    says: str
    make: Make = Ring
    changes: Mapping[str, Any] = field(default_factory=dict)

    def spec(self) -> EnvSpec:
        return spec_of(self.make, **self.changes)


def like(base: type[Ring] = Ring, **members: Any) -> type[Ring]:
    """A ring with other members."""
    return type("Other", (base,), members)


def stepping(change: Callable[[tuple[Any, ...]], Any], at: int = 3) -> type[Ring]:
    """A ring whose step gives something else at one timestep."""

    class Other(Ring):
        def step(self, action: Any) -> Any:
            result = super().step(action)
            return change(result) if self.t == at else result

    return Other


def resetting(change: Callable[[tuple[Any, ...]], Any]) -> type[Ring]:
    """A ring whose reset gives something else."""

    class Other(Ring):
        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            return change(super().reset(seed=seed))

    return Other


def seeing(space: gym.Space[Any], seen: Callable[[Ring], Any]) -> type[Ring]:
    return like(observation_space=space, seen=seen)


def with_info(info: Callable[[Ring], Any]) -> type[Ring]:
    return like(info=info)


def mask_of(env: Ring) -> np.ndarray:
    """Going back is forbidden at place 0."""
    return np.array([True, True, env.place != 0])


def replaced(index: int, value: Any) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    return lambda result: (*result[:index], value, *result[index + 1 :])


ONE = Ring()


class SharedPlace(Ring):
    """All environments walk on one ring."""

    shared: ClassVar[dict[str, int]] = {"place": 0}

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        result = super().reset(seed=seed)
        self.shared["place"] = self.place
        return result

    def step(self, action: Any) -> Any:
        self.place = self.shared["place"]
        result = super().step(action)
        self.shared["place"] = self.place
        return result


class GlobalDraws(Ring):
    """Seeds numpy's global generator, which all environments then draw from."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        np.random.seed(seed)
        self.place, self.t = int(np.random.randint(SIDE)), 0
        return self.seen(), {}

    def step(self, action: Any) -> Any:
        self.place = int(np.random.randint(SIDE))
        self.t += 1
        return self.seen(), self.pay(), False, self.t == LENGTH, {}


class Coin(Ring):
    """The only thing that is drawn is one coin an episode, and the seed does not decide it."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=None)
        self.place = int(self.np_random.integers(2))
        return self.seen(), {}

    def step(self, action: Any) -> Any:
        self.t += 1
        return self.seen(), 0.0, False, self.t == LENGTH, {}


class Unseeded(Ring):
    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return super().reset(seed=None)


class ZeroIsNone(Ring):
    """Takes the seed 0 for none."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return super().reset(seed=seed if seed else None)


class Numbered(Ring):
    """Every environment made is another one."""

    made: ClassVar[list[int]] = [0]

    def __init__(self) -> None:
        self.made[0] += 1
        self.number = self.made[0]

    def seen(self) -> Any:
        return np.array([self.place, min(self.number % 7, LENGTH)], np.float32)


class SmallSeeds(Ring):
    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        if seed is not None and seed >= 2**16:
            raise ValueError("seed too large")
        return super().reset(seed=seed)


class OldReset(Ring):
    def reset(self) -> Any:  # type: ignore[override]
        return super().reset()[0]


class Growing(Ring):
    """Other spaces by seed."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        result = super().reset(seed=seed)
        self.observation_space = gym.spaces.Box(0, LENGTH, (2 + (seed or 0) % 2,), np.float32)
        return result


class Draining(Ring):
    """Other actions half-way."""

    def step(self, action: Any) -> Any:
        result = super().step(action)
        if self.t == 3:
            self.action_space = gym.spaces.Discrete(2)
        return result


class Alternating(Ring):
    """Each environment made has other actions than the one before."""

    made: ClassVar[list[int]] = [0]

    def __init__(self) -> None:
        self.made[0] += 1
        self.action_space = gym.spaces.Discrete(2 + self.made[0] % 2)


def twin(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Batched episodes whose step gives something else."""

    class Twin(LoopedEpisodes):
        def step(self, actions: np.ndarray) -> Any:
            return change(super().step(actions))

    return lambda seeds: Twin(Ring, seeds)


class OneStream:
    """A batched twin that draws for all rows from the first one's seed."""

    action_mask = None

    def __init__(self, seeds: Any) -> None:
        self.generator, self.rows, self.t = np.random.default_rng(seeds[0]), len(seeds), 0
        self.observations = self._seen()

    def step(self, actions: np.ndarray) -> Any:
        self.t += 1
        self.observations = self._seen()
        return self.observations, np.zeros(self.rows), np.zeros(self.rows, bool), np.full(self.rows, self.t == LENGTH)

    def _seen(self) -> np.ndarray:
        return self.generator.random((self.rows, 2)).astype(np.float32)


def score_with(**more: Any) -> dict[str, Any]:
    """Changes to a spec whose score has other measures, functions of the episodes."""
    return {"score": lambda episodes: {name: value(episodes) for name, value in more.items()}}


def returns(episodes: Any) -> np.ndarray:
    return episodes.returns()  # type: ignore[no-any-return]


def fixed(value: Any) -> Callable[..., np.ndarray]:
    """A behaviour that always does the same."""
    return lambda env, timestep, draws, episode_draw: np.full(len(draws), value)


_CALLS = [0]


def drawing(env: Any, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
    """A behaviour that acts otherwise each time that it is asked, whatever it is handed."""
    _CALLS[0] += 1
    return np.full(len(draws), _CALLS[0] // LENGTH % ACTIONS)


class Torque(Ring):
    """Actions in [-1, 1]."""

    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def step(self, action: Any) -> Any:
        return super().step(int(action[0] > 0))
