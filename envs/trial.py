"""A try-out of an environment from elsewhere before anything is learned in it: episodes of two seeds, alone and together.

What is asked of an environment, and found here rather than as a riddle after hours:

- spaces that are supported and the same whenever it is made, an environment of its own for every row;
- results formed as gymnasium has them, numbers that its spaces and float32 hold (`dsbench.envs.forms`, `checked`);
- episodes that depend on their seed alone: not on what was played before, nor on what is played beside. One that draws
  elsewhere could not be played again by another contestant, and one that shares something between rows gives other
  episodes to data, evaluation and acting; so both are refused, not warned about;
- seeds up to 2**31 - 1, the largest that is asked for;
- a horizon that its own time limit does not outlast;
- a played episode that its ``score`` makes finite numbers of, ``return`` and the success measure among them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from dsbench import seeds
from dsbench.envs.catalogue import ENVS
from dsbench.envs.checked import Checked, Vector
from dsbench.envs.closing import close_quietly
from dsbench.envs.data.contract import judged
from dsbench.envs.data.generate import SEEDS
from dsbench.envs.rolling import Scripted, roll, rows_together
from dsbench.envs.scoring import joined, scores
from dsbench.envs.spaces import Spaces, made
from dsbench.envs.spec import Behaviour, EnvSpec
from dsbench.episodes import Episodes, concatenate
from dsbench.errors import EnvironmentFault, UsageError

TRIED = (SEEDS - 1, 0)  # 0 is what an environment that asks `if seed:` takes for none
MOST_TRIED, STEPS_TRIED = 16, 1_000  # seeds, and timesteps that as many of them take
REPLAYED = 8  # times an episode is played again before others are blamed for a difference
LONGEST = 10_000  # timesteps of an episode that is tried to its end and scored
OWN_DRAWS = (
    "draw from self.np_random after super().reset(seed=seed), or from another generator that reset(seed=...) seeds, keep "
    "nothing from one episode to the next, and let behaviours draw nothing but what they are handed"
)


@dataclass(frozen=True)
class Part:
    """Who acts in which episodes, and how that is called in messages."""

    name: str
    behaviour: Behaviour
    vector: Vector


def check_env(spec: EnvSpec, recipe: str | None = None) -> tuple[str, ...]:
    """Play a few episodes and refuse what cannot be compared, or would be learned wrongly.

    Args:
        recipe: one of the spec's, to be tried too; anything else is no matter here.

    Returns:
        warnings, one line each.

    Raises:
        UsageError: the environment, its time and what is wrong with it, in one sentence.
    """
    check_settings(spec)
    check_making(spec)
    warnings: dict[str, None] = {}  # in order
    parts = [Part("tried at random", spec.random, spec.vector)]
    if recipe is not None and recipe in spec.recipes:
        parts.append(part_of(spec, recipe))
    elif spec.data_vector is not None:
        parts.append(Part("tried at random for data", spec.random, spec.data_vector))
    for part in parts:
        played = check_repeats(spec, part, warnings)
        if part is parts[0] and spec.horizon <= LONGEST:
            check_scores(spec, played)
    return tuple(warnings)


def part_of(spec: EnvSpec, recipe: str) -> Part:
    """The episodes that data of a recipe is made of."""
    return Part(f"recipe {recipe!r}", spec.recipes[recipe].behaviour, spec.data_vector or spec.vector)


def try_out(spec: EnvSpec, recipe: str | None = None) -> tuple[str, ...]:
    """`check_env` before a run, of all but dsbench's own tasks, whose tests hold them to more; its warnings."""
    return () if ENVS.is_own(spec.origin.reference) else check_env(spec, recipe)


def check_repeats(spec: EnvSpec, part: Part, warnings: dict[str, None]) -> list[Episodes]:
    """Episodes of the same seeds are the same, again and alone; one of a single episode, one of all together."""
    try:
        return _repeated(spec, part, warnings)
    except EnvironmentFault as error:
        raise UsageError(f"{error}{_hint(spec, part.vector)}") from error


def _repeated(spec: EnvSpec, part: Part, warnings: dict[str, None]) -> list[Episodes]:
    tried = seeds_tried(spec)
    beside = play_all(spec, part, tried, lambda text: warnings.setdefault(text))
    again = play_all(spec, part, tried)
    alone = [_play(spec, part, [seed], place, len(tried)) for place, seed in enumerate(TRIED)]
    who = f"env {spec.id}, {part.name}"
    for place, seed in enumerate(tried):
        check_equal(
            beside.select([place]), again.select([place]), f"{who}: two episodes of seed {seed} differ", OWN_DRAWS
        )
    for place, seed in enumerate(TRIED):
        try:
            check_equal(
                alone[place], beside.select([place]),
                f"{who}: an episode of seed {seed} differs when another is played beside it",
                "every environment must have a state of its own and show no other's",
            )  # fmt: skip
        except UsageError:  # or it draws what no seed decides, and was the same by luck when it was played again
            for _ in range(REPLAYED):
                anew = _play(spec, part, [seed], place, len(tried))
                check_equal(alone[place], anew, f"{who}: two episodes of seed {seed} differ", OWN_DRAWS)
            raise
    return [alone[0], beside]


def seeds_tried(spec: EnvSpec) -> tuple[int, ...]:
    """`TRIED`, and more of short episodes: what an unseeded one draws may be a single coin."""
    return *TRIED, *range(1, min(MOST_TRIED, STEPS_TRIED // spec.horizon, rows_together(spec)) - 1)


def check_settings(spec: EnvSpec) -> None:
    """What the spec says of the environment."""
    for name in ("horizon", "draws_per_timestep", "most_rows"):
        value = getattr(spec, name)
        if name == "most_rows" and value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise UsageError(f"env {spec.id} has {name}={value!r}; expected a whole number of at least 1")
    references = (spec.random_return, spec.optimal_return)
    for name, value in zip(("random_return", "optimal_return"), references, strict=True):
        if value is None:
            continue
        if isinstance(value, (str, complex)) or not _is_finite(value):
            raise UsageError(f"env {spec.id} has {name}={value!r}; expected a finite number")
    if references[0] is not None and references[0] == references[1]:
        raise UsageError(
            f"env {spec.id} has random_return={references[0]!r} and the same optimal_return; scores are normalised between "
            "the two, so they must differ"
        )
    if not isinstance(spec.success_metric, str):
        raise UsageError(f"env {spec.id} has success_metric={spec.success_metric!r}; expected the name of a measure")


def check_making(spec: EnvSpec) -> None:
    """Two calls make two environments of the same spaces, which end by themselves no later than at the horizon."""
    stated = spec.spaces
    with ExitStack() as opened:
        one = made(spec)
        opened.callback(close_quietly, one)
        first = Spaces.of_env(one, spec.id)
        limit = getattr(getattr(one, "spec", None), "max_episode_steps", None)
        if rows_together(spec) == 1:  # there may be but one at a time
            opened.close()
        other = made(spec)
        opened.callback(close_quietly, other)
        if getattr(one, "unwrapped", one) is getattr(other, "unwrapped", other):
            raise UsageError(
                f"env {spec.id} made the same environment twice; every call of make must make one of its own"
            )
        if first != (second := Spaces.of_env(other, spec.id)):
            raise UsageError(
                f"env {spec.id} made environments of different spaces, {first} and {second}; they must be the same"
            )
        if stated != first:
            raise UsageError(f"env {spec.id} states {stated} and makes environments of {first}; they must be the same")
    if isinstance(limit, int) and limit > spec.horizon:
        raise UsageError(
            f"env {spec.id} has horizon={spec.horizon}, and its environment goes on until max_episode_steps={limit}; set "
            f"horizon={limit}, or make it with max_episode_steps={spec.horizon}"
        )


def play_all(
    spec: EnvSpec, part: Part, tried: Sequence[int], on_warning: Callable[[str], object] = lambda text: None
) -> Episodes:
    """Episodes of all these seeds, as many beside each other as the environment says it can stand."""
    rows = rows_together(spec)
    return concatenate(
        [
            _play(spec, part, tried[place : place + rows], place, len(tried), on_warning)
            for place in range(0, len(tried), rows)
        ]
    )


def _play(
    spec: EnvSpec,
    part: Part,
    env_seeds: Sequence[int],
    place: int,
    places: int,
    on_warning: Callable[[str], object] = lambda text: None,
) -> Episodes:
    """Episodes of these seeds; the draws of who acts are those of the rows from `place` on, of so many places."""
    rows = len(env_seeds)
    generator = seeds.stream(0, "trial", spec.id)
    episode_draw = generator.random(places)[place : place + rows]
    player = Scripted(part.behaviour, generator, episode_draw, places, spec.draws_per_timestep, place)
    who = f"env {spec.id}, {part.name}"
    with Checked(spec, part.vector, list(env_seeds), who) as env:
        recorded = roll(spec, env, player, lambda: None)
    return judged(spec, recorded, who, on_warning=on_warning)


def check_equal(one: Episodes, other: Episodes, what: str, way_out: str) -> None:
    """`UsageError` with the first timestep and the field in which they differ."""
    arrays, others = one.arrays(), other.arrays()
    shared = min(one.n_timesteps, other.n_timesteps)
    first: tuple[int, str] | None = None
    for name, array in arrays.items():
        if name == "starts" or name.startswith("final_"):
            continue
        theirs = others.get(name)
        if theirs is None:
            first = min(first or (0, name), (0, name))
            continue
        differ = np.flatnonzero((array[:shared] != theirs[:shared]).reshape(shared, -1).any(1))
        if len(differ):
            first = min(first or (int(differ[0]), name), (int(differ[0]), name))
    if first is None and one.n_timesteps != other.n_timesteps:
        first = (shared, "length")
    if first is None and any((arrays[name] != others[name]).any() for name in arrays if name.startswith("final_")):
        first = (shared, "the last observations")
    if first is not None:
        raise UsageError(f"{what} ({first[1]} at timestep {first[0]}); {way_out}")


def check_scores(spec: EnvSpec, recorded: Sequence[Episodes]) -> None:
    """Several recordings, one of a single episode, have finite measures of the same names."""
    try:
        joined(spec, [scores(spec, episodes) for episodes in recorded])
    except EnvironmentFault as error:
        raise UsageError(str(error)) from error


def _hint(spec: EnvSpec, vector: Vector) -> str:
    """What to say if small seeds would do."""
    try:
        with Checked(spec, vector, [TRIED[0]]):
            return ""
    except EnvironmentFault:
        pass
    try:
        with Checked(spec, vector, [1]):
            return f"; it takes the seed 1 and not {TRIED[0]}: seeds below 2**31 are asked for"
    except EnvironmentFault:
        return ""


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except TypeError:
        return False
