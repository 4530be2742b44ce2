"""What the harness knows about an environment: how to make it, what its returns mean, which data it offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from dsbench.episodes import Episodes, Observations
from dsbench.errors import UnknownName

if TYPE_CHECKING:
    import gymnasium as gym


class VectorEpisodes(Protocol):
    """Several episodes stepped together, one a row; a row that has ended ignores its actions.

    Attributes:
        observations: (rows, ...) what each row sees now.
        action_mask: (rows, A) bool, True = allowed, or None.
    """

    observations: Observations
    action_mask: np.ndarray | None

    def step(self, actions: np.ndarray) -> tuple[Observations, np.ndarray, np.ndarray, np.ndarray]:
        """(observations, rewards float32, terminated bool, truncated bool), one row an episode."""


class Behaviour(Protocol):
    """A behaviour policy, a pure function of what it sees and of uniform draws handed to it."""

    def __call__(
        self, observations: Observations, timestep: int, draws: np.ndarray, episode_draw: np.ndarray
    ) -> np.ndarray:
        """(rows,) actions from (rows, 2) fresh draws of this timestep and (rows,) draws that last the episode."""


@dataclass(frozen=True)
class Recipe:
    """A way to make offline data."""

    summary: str
    behaviour: Behaviour


@dataclass(frozen=True)
class EnvSpec:
    """One environment under fixed options.

    Attributes:
        id: stable id with a version, raised when results may change.
        name: catalogue name.
        options: the options it was made with, defaults included.
        make: makes one gymnasium environment.
        vector: makes several episodes from their seeds, stepped together.
        score: per-episode measures of recorded episodes: name -> (E,) array; ``return`` is always among them.
        success_metric: the measure that selects checkpoints and heads tables, larger is better.
        horizon: timesteps of the longest episode.
        random_return, optimal_return: mean return of the uniform and of the best policy.
        references: where those two come from.
        tests: what the task tests.
        needs_memory: whether a memoryless policy fails on every recipe.
        recipes: offline data on offer, by name.
    """

    id: str
    name: str
    summary: str
    options: Mapping[str, Any]
    make: Callable[[], gym.Env[Any, Any]]
    vector: Callable[[Sequence[int]], VectorEpisodes]
    score: Callable[[Episodes], dict[str, np.ndarray]]
    success_metric: str
    horizon: int
    random_return: float
    optimal_return: float
    references: str
    tests: str
    needs_memory: bool
    recipes: Mapping[str, Recipe] = field(default_factory=dict)

    def recipe(self, name: str) -> Recipe:
        """The recipe called `name`; `UnknownName` with the closest match otherwise."""
        if name not in self.recipes:
            raise UnknownName("data recipe", name, self.recipes, where=f"dsbench list recipes --env {self.name}")
        return self.recipes[name]
