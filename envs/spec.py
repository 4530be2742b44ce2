"""What the harness knows about an environment: how to make it, what its returns mean, which data it offers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from dsbench.envs.foreign import Foreign
from dsbench.envs.from_gym import spec_from_gym
from dsbench.envs.origin import Origin
from dsbench.envs.targets import Quantile, TargetRule
from dsbench.episodes import Episodes, Observations
from dsbench.errors import UnknownName, UsageError

if TYPE_CHECKING:
    import gymnasium as gym

    from dsbench.envs.spaces import Spaces

RANDOM, EXPERT = "random", "expert"  # recipes
FOOT = 0.1  # of the way from chance to the best: what a control may have by luck and by the present alone
Skill = Literal["return noise", "credit", "memory", "stitching", "control"]


class VectorEpisodes(Protocol):
    """Several episodes stepped together, one a row; a row that has ended ignores its actions.

    Attributes:
        observations: (rows, ...) what each row sees now.
        action_mask: (rows, A) bool, True = allowed, or None where every action is.

    What has a ``close`` without arguments is closed when its episodes are over or given up.
    """

    observations: Observations
    action_mask: np.ndarray | None

    def step(self, actions: np.ndarray) -> tuple[Observations, np.ndarray, np.ndarray, np.ndarray]:
        """(observations, rewards float32, terminated bool, truncated bool), one row an episode."""


class Behaviour(Protocol):
    """A scripted policy: a pure function of the episodes as they stand and of uniform draws handed to it.

    It may look at what a learner may not (the hidden parts of `env`), so that an exact expert can be written for a task
    that hides something.
    """

    def __call__(self, env: Any, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
        """(rows,) actions.

        Args:
            env: the `VectorEpisodes` of this task.
            timestep: of all rows.
            draws: (rows, `EnvSpec.draws_per_timestep`) uniform on [0, 1), fresh at every timestep.
            episode_draw: (rows,) uniform on [0, 1), the same all episode long.
        """


class MakeEnv(Protocol):
    """Makes one gymnasium environment; ``render_mode="rgb_array"`` for pictures."""

    def __call__(self, render_mode: str | None = None) -> gym.Env[Any, Any]: ...


@dataclass(frozen=True)
class Recipe:
    """A way to make offline data."""

    summary: str
    behaviour: Behaviour


@dataclass(frozen=True)
class Probe:
    """A question about the end of an episode, asked in its middle, that only memory can answer.

    Attributes:
        question: what is asked, for people.
        timestep: when it is asked, the history up to and with this timestep being known.
        label: (E,) bool, the answer, from recorded episodes.
        bayes: (E,) probability that the answer is yes for one who knows the hidden state at that timestep and the
            behaviour called by that recipe.
    """

    question: str
    timestep: int
    label: Callable[[Episodes], np.ndarray]
    bayes: Callable[[Episodes, str], np.ndarray]


@dataclass(frozen=True)
class EnvSpec:
    """One environment under fixed options.

    Attributes:
        id: stable id with a version, raised when results may change; ``gymnasium.make("dsbench/<id>")`` makes it too.
        name: catalogue name.
        options: the options it was made with, defaults included.
        make: makes one gymnasium environment.
        vector: makes several episodes from their seeds, stepped together.
        score: per-episode measures of recorded episodes: name -> (E,) array; ``return`` is always among them.
        success_metric: the measure that selects checkpoints and heads tables, larger is better.
        horizon: timesteps of the longest episode.
        random_return, optimal_return: the returns that are 0 and 100 on the normalised scale: the mean ones of the uniform and
            of the best policy, or what others normalise by. None is measured when it is first asked for
            (`reference_random`, `reference_optimal`).
        references: where those two come from.
        random_play: mean return of the uniform policy, measured, where `random_return` is not that; None where it is.
        tests: the skills that it takes.
        needs_memory: whether neither of the controls without memory, `mlp` and `copier`, gets past `foot` on any recipe.
        minimum, maximum: between which the success measure lies; None where it has no such end. A failed run counts as the
            minimum.
        chance: the success measure of one who guesses, where that has a value.
        memoryless: that of the best policy of the present timestep alone, where that is known to be more than chance.
        random, optimal: the uniform policy and the best one, which may look at hidden state; None where none is known.
        target: the rule for the return to ask for.
        recipes: offline data on offer, by name.
        stored: what defines this instance beyond its options (a drawn graph), as JSON values; kept with the data.
        probe: a question to be answered from memory, where the task has one.
        yardsticks: shares of success that a table could learn from this data, by name; they stand beside every result.
        data_vector: in place of `vector` where data is generated, for a task whose data leaves out what is evaluated.
        foreign: how data that dsbench did not make is read.
        draws_per_timestep: uniform draws that a `Behaviour` gets; one more than the dimensions of continuous actions.
        simulator: name and version of each library that defines the physics, the environment's id for a version of it;
            kept with the data.
        stated_spaces: what the environment shows and takes, where that is known without making one.
        ends_by_clock: whether an episode ends (``terminated``) at its last timestep because that is the task's own end,
            whatever happened; where it is merely cut there, it must say ``truncated``.
        more_recipes: how to come by the recipes that there are not, as a sentence for who asks for one.
        most_rows: episodes that `vector` steps together at most; None: as `dsbench.envs.rolling.rows_together` says.
        origin: who made it and how it was asked for, set by `get_spec`; data sets are kept under it.
    """

    id: str
    name: str
    summary: str
    options: Mapping[str, Any]
    make: MakeEnv
    vector: Callable[[Sequence[int]], VectorEpisodes]
    score: Callable[[Episodes], dict[str, np.ndarray]]
    success_metric: str
    horizon: int
    random_return: float | None
    optimal_return: float | None
    references: str
    tests: tuple[Skill, ...]
    needs_memory: bool
    random: Behaviour
    optimal: Behaviour | None
    minimum: float | None = None
    maximum: float | None = None
    chance: float | None = None
    memoryless: float | None = None
    random_play: float | None = None
    target: TargetRule = Quantile()  # noqa: RUF009  frozen, without state
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    stored: Mapping[str, Any] = field(default_factory=dict)
    probe: Probe | None = None
    yardsticks: Callable[[Episodes], Mapping[str, float]] = lambda episodes: {}
    data_vector: Callable[[Sequence[int]], VectorEpisodes] | None = None
    foreign: Foreign = Foreign()  # noqa: RUF009  frozen, without state
    draws_per_timestep: int = 2
    simulator: Mapping[str, str] = field(default_factory=dict)
    stated_spaces: Spaces | None = None
    ends_by_clock: bool = False
    more_recipes: str = ""
    most_rows: int | None = None
    origin: Origin = Origin()  # noqa: RUF009  frozen, without state

    from_gym = staticmethod(spec_from_gym)

    @cached_property
    def spaces(self) -> Spaces:
        """What the environment shows and takes; `UsageError` if it cannot be made or its spaces are not supported."""
        from dsbench.envs.spaces import Spaces

        return self.stated_spaces or Spaces.of(self)

    @property
    def task(self) -> str:
        """The name under which random streams of this task are drawn: tasks that differ in an option share none."""
        return f"{self.id} {json.dumps(dict(self.options), sort_keys=True, default=str)}"

    @property
    def best(self) -> float | None:
        """The success measure of the best policy; None where it is unbounded and not the return."""
        return self.reference_optimal if self.success_metric == "return" else self.maximum

    @property
    def foot(self) -> float | None:
        """The success measure up to which a control without memory has found nothing.

        A tenth of the way from chance to the best, where chance has a value, else half of the way from random play; None
        where neither is known. Where it is stated what the present alone gives, the tenth is counted from that.
        """
        if self.best is None:
            return None
        if self.chance is not None:
            least = self.chance if self.memoryless is None else self.memoryless
            return least + FOOT * (self.best - least)
        return (self.uniform_return + self.best) / 2 if self.success_metric == "return" else None

    @cached_property
    def reference_random(self) -> float:
        """The return that is 0 on the normalised scale: as stated, or what random play earns."""
        from dsbench.envs.measured import measured_return

        return measured_return(self, RANDOM) if self.random_return is None else self.random_return

    @cached_property
    def reference_optimal(self) -> float | None:
        """The return that is 100 there: as stated, or what the recipe of the expert earns; None where nobody knows."""
        from dsbench.envs.measured import measured_return

        if self.optimal_return is not None or EXPERT not in self.recipes:
            return self.optimal_return
        return measured_return(self, EXPERT)

    @property
    def uniform_return(self) -> float:
        """Mean return of the uniform policy."""
        return self.reference_random if self.random_play is None else self.random_play

    def recipe(self, name: str) -> Recipe:
        """The recipe called `name`; `UsageError` with the closest match, or with where data comes from, otherwise."""
        if name not in self.recipes and self.foreign.offered:
            offered = ", ".join(self.recipes)
            raise UsageError(f"{self.name} has no data recipe {name!r}, only {offered}: {self.foreign.offered}")
        if name not in self.recipes and self.more_recipes:
            offered = ", ".join(self.recipes)
            raise UsageError(f"{self.name} has no data recipe {name!r}, only {offered}: {self.more_recipes}")
        if name not in self.recipes:
            raise UnknownName("data recipe", name, self.recipes, where=f"dsbench list recipes --env {self.name}")
        return self.recipes[name]

    def normalised(self, mean_return: Any) -> Any:
        """A return, or an array of them, on the scale on which `reference_random` is 0 and `reference_optimal` 100; None
        where there is no such scale."""
        zero, hundred = self.reference_random, self.reference_optimal
        return None if hundred is None or hundred == zero else 100 * (mean_return - zero) / (hundred - zero)
