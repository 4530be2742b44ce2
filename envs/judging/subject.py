"""What the checks look at: an environment, episodes of it that were played once for all of them, and ways to play it again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np

from dsbench import seeds
from dsbench.envs import forms
from dsbench.envs.behaviour import uniform_over
from dsbench.envs.checked import Vector
from dsbench.envs.spaces import Spaces
from dsbench.envs.spec import Behaviour, EnvSpec
from dsbench.envs.trial import Part, play_all, seeds_tried
from dsbench.envs.vector import LoopedEpisodes
from dsbench.episodes import Episodes
from dsbench.stopping import raise_if_asked


@dataclass
class Subject:
    """One environment under judgement.

    Attributes:
        played: name of a part (random play, a recipe) -> its episodes, once they have been played.
        doubts: what is odd and no fault, in sentences.
    """

    spec: EnvSpec
    played: dict[str, Episodes] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"env {self.spec.id}"

    @cached_property
    def spaces(self) -> Spaces:
        return self.spec.spaces

    @cached_property
    def _uniform(self) -> tuple[Behaviour, int]:
        return uniform_over(self.spaces.action)

    def tried(self, most: int) -> tuple[int, ...]:
        """Seeds, at most so many."""
        return seeds_tried(self.spec)[:most]

    def play(self, vector: Vector, env_seeds: Sequence[int], who: str = "tried at random") -> Episodes:
        """Episodes of these seeds under uniformly random actions, the same ones whatever `vector` is."""
        random, draws = self._uniform
        spec = replace(self.spec, draws_per_timestep=draws, stated_spaces=self.spaces)
        return play_all(spec, Part(who, random, vector), env_seeds)

    def play_single(self, env_seeds: Sequence[int], wrapped: Callable[[Any], Any] = lambda env: env) -> Episodes:
        """The same of environments that are stepped one by one, each wrapped."""
        return self.play(lambda own: LoopedEpisodes(lambda: wrapped(self.spec.make()), own), env_seeds)

    def random_actions(self, env: Any, timestep: int, generator: np.random.Generator, rows: int) -> np.ndarray:
        """(rows, ...) of those that ``env.action_mask`` allows."""
        random, draws = self._uniform
        return random(env, timestep, generator.random((rows, draws)), np.zeros(rows))

    def walk(self, env: gym.Env[Any, Any], seed: int, most: int) -> Iterator[tuple[float, bool, bool]]:
        """(reward, terminated, truncated) of random steps of one environment, after its end too, as it gives them."""
        generator = seeds.stream(seed, "walk", self.spec.id)
        _, info = forms.reset_result(env.reset(seed=seed))
        for timestep in range(most):
            raise_if_asked()
            mask = forms.action_mask(info, self.spaces.action)
            seen: Any = SimpleNamespace(action_mask=None if mask is None or not mask.any() else mask[None])
            action = self.random_actions(seen, timestep, generator, 1)[0]
            _, reward, terminated, truncated, info = forms.step_result(env.step(action))
            yield float(reward), terminated, truncated


class Proxy:
    """An environment that is looked at, or disturbed, on the way."""

    def __init__(self, env: Any) -> None:
        self.env = env
        self.unwrapped = getattr(env, "unwrapped", env)

    @property
    def observation_space(self) -> Any:
        return self.env.observation_space

    @property
    def action_space(self) -> Any:
        return self.env.action_space

    def reset(self, *, seed: int) -> Any:
        return self.looked_at(self.env.reset(seed=seed))

    def step(self, action: Any) -> Any:
        return self.looked_at(self.env.step(action))

    def looked_at(self, result: Any) -> Any:
        """What is passed on of a result of reset or step; the observation is its first value."""
        return result

    def close(self) -> None:
        self.env.close()
