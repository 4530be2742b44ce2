"""An `EnvSpec` from an environment of gymnasium and the little that cannot be read off it: `EnvSpec.from_gym`.

Nothing is stated twice: what an environment shows and takes is read off one that is made, what random play and an expert earn
is measured when it is first asked for (`dsbench.envs.measured`), and the recipes are mixtures of the two.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dsbench.envs.targets import Fixed, Quantile, TargetRule
from dsbench.episodes import Episodes
from dsbench.errors import EnvironmentFault, UsageError
from dsbench.text import slug

if TYPE_CHECKING:
    import gymnasium as gym

    from dsbench.envs.spec import Behaviour, EnvSpec, Recipe, Skill

Success = float | Callable[[Episodes], np.ndarray]
NEEDS_EXPERT = (
    "the others are mixtures with an expert: give one, EnvSpec.from_gym(..., expert=policy), where policy takes (rows, ...) "
    "observations and returns (rows, ...) actions"
)
MEDIUM, MIXED = 0.5, (0.0, 0.5, 1.0)  # shares of random actions


def spec_from_gym(
    make: str | Callable[..., gym.Env[Any, Any]],
    *,
    horizon: int | None = None,
    success: Success | None = None,
    best: float | None = None,
    expert: Callable[..., Any] | None = None,
    target: float | TargetRule | None = None,
    options: Mapping[str, Any] | None = None,
    name: str | None = None,
    summary: str = "",
    tests: tuple[Skill, ...] = ("control",),
    needs_memory: bool = False,
    ends_by_clock: bool = False,
) -> EnvSpec:
    """One environment of gymnasium as a task. What is not given is read off the environment, or measured.

    Args:
        make: an id (``CartPole-v1``), an id with the module that registers it (``my_package:Maze-v0``), or what makes one
            environment when it is called: its class, or a function.
        horizon: timesteps of the longest episode; None takes the environment's own time limit (``max_episode_steps``).
        success: what heads tables. None: the return. A number: the share of episodes with at least that return. A function of
            recorded episodes: the share of those that it calls true, (E,) bool.
        best: the return that is 100 on the normalised scale, where random play is 0. None takes what `expert` earns; with
            neither nothing is normalised.
        expert: a policy, (rows, ...) observations -> (rows, ...) actions, or a `Behaviour`. It brings the recipes medium,
            expert, mixed and replay, and is the control ``--policy optimal``.
        target: the return to ask for, or a rule; None asks for a quantile of the data's returns.
        options: keyword arguments of `make`, kept with the data.
        name: for messages and folders; None takes that of `make`.
        summary: one line, what the task is.
        tests, needs_memory, ends_by_clock: as of `EnvSpec`.

    Raises:
        UsageError: there is no such environment, it cannot be made, nothing says how long it lasts, or its spaces are not
            supported.
    """
    from dsbench.envs.behaviour import noisy_recipes, uniform_over
    from dsbench.envs.closing import close_quietly
    from dsbench.envs.gym_ids import Registered
    from dsbench.envs.spaces import Spaces, called
    from dsbench.envs.spec import EnvSpec, Recipe
    from dsbench.envs.vector import LoopedEpisodes

    if horizon is not None and (type(horizon) is not int or horizon < 1):
        raise UsageError(f"horizon is {horizon!r} for {make!r}; expected a whole number of at least 1")
    given = dict(options or {})
    make_one: Any = Registered.of(make, horizon, given) if isinstance(make, str) else _Callable(make, given)
    called_as = slug(name or make_one.name)
    one = called(make_one, f"env {called_as}", "when made")
    try:
        length = _horizon(horizon, one, called_as)
        spaces = Spaces.of_env(one, called_as)
    finally:
        close_quietly(one)
    random, draws = uniform_over(spaces.action)
    acts = None if expert is None else _acting(expert)
    recipes: dict[str, Recipe] = {"random": Recipe("uniformly random actions", random)}
    if acts is not None:
        recipes = noisy_recipes(acts, random, "the expert that was given", medium=MEDIUM, mixed=MIXED)
    earned = "" if acts is None or best is not None else ", and what the given expert earned"
    return EnvSpec(
        id=called_as,
        name=name or make_one.name,
        summary=summary or f"{make_one.name}, an environment of gymnasium",
        options=given,
        make=make_one,
        vector=partial(LoopedEpisodes, make_one),
        score=partial(_score, success=success),
        success_metric="return" if success is None else "success",
        minimum=None if success is None else 0.0,
        maximum=None if success is None else 1.0,
        horizon=length,
        random_return=None,
        optimal_return=best,
        references=f"random play as measured here{earned}" + ("" if best is None else "; the best as its author says"),
        tests=tests,
        needs_memory=needs_memory,
        ends_by_clock=ends_by_clock,
        random=random,
        optimal=acts,
        target=_target(target),
        recipes=recipes,
        more_recipes="" if acts is not None else NEEDS_EXPERT,
        draws_per_timestep=draws,
        stated_spaces=spaces,
    )


class _Callable:
    """What a class or a function makes; drawn where it can be told to."""

    def __init__(self, make: Callable[..., gym.Env[Any, Any]], options: Mapping[str, Any]) -> None:
        if not callable(make):
            raise UsageError(
                f"make is {make!r}; expected an id of gymnasium, or a class or function that makes one environment"
            )
        self.make, self.options = make, options
        plain = make.func if isinstance(make, partial) else make
        self.name = str(getattr(plain, "__name__", "task")).replace("<lambda>", "task")

    def __call__(self, render_mode: str | None = None) -> gym.Env[Any, Any]:
        drawn = {} if render_mode is None or not self._takes("render_mode") else {"render_mode": render_mode}
        return self.make(**self.options, **drawn)

    def _takes(self, word: str) -> bool:
        known = inspect.signature(self.make).parameters
        return word in known or any(one.kind is one.VAR_KEYWORD for one in known.values())


def _horizon(given: int | None, env: gym.Env[Any, Any], name: str) -> int:
    length = getattr(getattr(env, "spec", None), "max_episode_steps", None) if given is None else given
    if length is None:
        raise UsageError(
            f"env {name} sets no time limit of its own (max_episode_steps), so nothing says how long an episode may last; give "
            "one: horizon=200 in EnvSpec.from_gym, or with gym:ID on the command line --set env.horizon=200"
        )
    return int(length)


def _score(episodes: Episodes, success: Success | None) -> dict[str, np.ndarray]:
    returns = episodes.returns()
    if success is None:
        return {"return": returns}
    if not callable(success):
        return {"return": returns, "success": (returns >= success).astype(np.float64)}
    found = np.asarray(success(episodes))
    if found.shape != returns.shape or found.dtype.kind not in "biuf" or not np.isin(found, (0, 1)).all():
        raise EnvironmentFault(
            f"success gave {found.dtype} of shape {found.shape} for {len(returns)} episodes; expected true or false for each"
        )
    return {"return": returns, "success": found.astype(np.float64)}


def _target(given: float | TargetRule | None) -> TargetRule:
    if given is None:
        return Quantile()
    return Fixed(float(given)) if isinstance(given, (int, float)) else given


def _acting(expert: Callable[..., Any]) -> Behaviour:
    """A policy as a `Behaviour`; one that takes the four arguments of a behaviour already is one."""
    try:
        needed = [one for one in inspect.signature(expert).parameters.values() if one.default is one.empty]
    except (TypeError, ValueError):  # of what is written in C nothing is known
        needed = []
    if len(needed) == 4:
        return expert

    def behave(env: Any, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
        return np.asarray(expert(env.observations))

    return behave
