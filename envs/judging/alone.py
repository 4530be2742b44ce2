"""Checks of a single environment: what it hands out, what it keeps, and how its episodes end."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium as gym
import numpy as np

from dsbench.envs.closing import close_quietly
from dsbench.envs.judging.subject import Proxy, Subject
from dsbench.envs.spaces import Spaces, outside
from dsbench.envs.trial import LONGEST, check_equal
from dsbench.envs.vector import LoopedEpisodes
from dsbench.episodes import observation_leaves
from dsbench.errors import EnvironmentFault, UsageError

FEW = 4  # seeds of checks that need no more
WALKED = 12_345  # seed of an episode that came before
COUNTED = 8  # different rewards, at most, of a task that pays for events and measures nothing
BEYOND = 1_000  # timesteps that an environment is followed beyond its horizon, at least


def types_of_observations(subject: Subject) -> str:
    """What is shown of a Box is an array of the dtype that the Box says."""
    spaces = subject.spaces

    class Typed(Proxy):
        def looked_at(self, result: Any) -> Any:
            for name, value in _leaves(spaces, result[0]):
                space = spaces.leaves()[name]
                if isinstance(space, gym.spaces.Box) and getattr(value, "dtype", None) != space.dtype:
                    kind = getattr(value, "dtype", type(value).__name__)
                    raise EnvironmentFault(
                        f"its {name} are {kind} and their space says {space.dtype}; return "
                        f"numpy.asarray(observation, numpy.{space.dtype}), or declare the space with dtype=numpy.{kind}"
                    )
            return result

    subject.play_single(subject.tried(FEW), Typed)
    return ", ".join(sorted({str(space.dtype) for space in spaces.leaves().values()}))


def observations_in_their_space(subject: Subject) -> str:
    """No observation lies outside the space that the environment declares."""
    for part, episodes in subject.played.items():
        for kind in ("observations", "final_observations"):
            shown = dict(observation_leaves(getattr(episodes, kind)))
            for name, space in subject.spaces.leaves().items():
                array = shown[name]
                wrong = np.flatnonzero(outside(space, array))
                if len(wrong):
                    raise UsageError(f"{subject.name}, {part}: {_place(array[wrong[0]], space, name)}")
    return f"{sum(episodes.n_timesteps for episodes in subject.played.values()):,} timesteps"


def arrays_of_its_own(subject: Subject) -> str:
    """What was handed out stays as it was; where writing to it changes the episode, that is worth a word."""
    name, way_out = subject.name, "return a copy: observation.copy()"

    class Kept(Proxy):
        shown: Any = None

        def step(self, action: Any) -> Any:
            kept = [(one, np.array(one)) for one in _arrays(self.shown)]
            result = super().step(action)
            if any(not np.array_equal(one, before, equal_nan=one.dtype.kind == "f") for one, before in kept):
                raise EnvironmentFault(
                    f"it changed the observation that it had handed out a timestep before; {way_out}"
                )
            return result

        def looked_at(self, result: Any) -> Any:
            self.shown = result[0]
            return result

    class Scribbled(Kept):
        def step(self, action: Any) -> Any:
            for one in _arrays(self.shown):
                if one.flags.writeable:
                    one[...] = np.where(one == 0, 1, 0)
            return Proxy.step(self, action)

    tried = subject.tried(FEW)
    subject.play_single(tried, Kept)
    try:
        check_equal(
            subject.play_single(tried), subject.play_single(tried, Scribbled),
            f"{name} goes on using the arrays that it hands out: an episode changes when they are written to", way_out,
        )  # fmt: skip
    except UsageError as error:  # dsbench copies what it is shown; others may scale it in place
        subject.doubts.append(str(error))
    return ""


def reset_leaves_nothing(subject: Subject) -> str:
    """An episode is the same in a new environment and in one that was played before, to its end or half-way."""
    tried, make, horizon = subject.tried(FEW), subject.spec.make, subject.spec.horizon
    fresh = subject.play_single(tried)
    for what, most in (
        ("played to its end", min(horizon, LONGEST)),
        ("left half-way", max(1, min(horizon, LONGEST) // 2)),
    ):

        def used(env: Any, most: int = most) -> Any:
            for _, terminated, truncated in subject.walk(env, WALKED, most):
                if terminated or truncated:
                    break
            return env

        again = subject.play(lambda own, used=used: LoopedEpisodes(lambda: used(make()), own), tried)  # type: ignore[misc]
        check_equal(
            fresh, again, f"{subject.name} gives another episode of the same seed after one that was {what}",
            "let reset set everything anew that step changes",
        )  # fmt: skip
    return ""


def ends_are_named(subject: Subject) -> str:
    """An episode that a clock cuts is truncated; terminated is one that came to an end of its own."""
    spec = subject.spec
    lengths = np.concatenate([episodes.lengths for episodes in subject.played.values()])
    terminated = np.concatenate([episodes.terminated[episodes.starts[1:] - 1] for episodes in subject.played.values()])
    longest = int(lengths.max())
    reached = lengths == longest
    by_clock = longest == spec.horizon or bool(reached.all())
    if by_clock and longest > 1 and reached.sum() > 1 and terminated[reached].all() and not spec.ends_by_clock:
        raise UsageError(
            f"{subject.name}: all {int(reached.sum())} episodes that last {longest} timesteps are terminated there, whatever "
            "happened in them; where time is up, return terminated=False and truncated=True, or, if that is the task's own "
            "end, give the spec ends_by_clock=True"
        )
    return f"{len(lengths)} episodes, {int(terminated.sum())} terminated"


def nothing_after_the_end(subject: Subject) -> str:
    """What an episode earns is paid by its last timestep: a step beyond the end pays nothing that is not paid before."""
    paid = np.unique(np.concatenate([episodes.rewards for episodes in subject.played.values()]))
    if len(paid) > COUNTED:
        return "not told apart: rewards are measured, not counted"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gymnasium's own say that nobody does this
        late = [reward for seed in subject.tried(FEW * FEW) if (reward := _after_the_end(subject, seed)) is not None]
    for reward in late:
        if reward != 0 and np.float32(reward) not in paid:
            raise UsageError(
                f"{subject.name} pays {reward:g} at the timestep after it was terminated, which nobody is there to get, and "
                f"before that only {', '.join(f'{one:g}' for one in paid)}; pay it by the step that returns terminated=True"
            )
    return f"{len(late)} ends"


def horizon_is_long_enough(subject: Subject) -> str:
    """No episode goes on beyond the horizon to an end that the environment's own clock sets."""
    horizon = subject.spec.horizon
    ends = [_end_beyond(subject, seed, horizon) for seed in subject.tried(2)]
    known = [end for end in ends if end is not None]
    cut = [timestep for timestep, truncated in known if truncated]
    if (
        not cut
        and len(known) == len(ends)
        and len({timestep for timestep, _ in known}) == 1
        and not _ends_before(subject)
    ):
        cut = [known[0][0]]
    if cut:
        raise UsageError(
            f"{subject.name} has horizon={horizon}, and its episodes go on until timestep {max(cut)}; set horizon={max(cut)}, "
            "or make an environment that is shorter"
        )
    if known and not _ends_before(subject):
        subject.doubts.append(
            f"no episode that was played comes to its end within horizon={horizon}, but at timestep "
            f"{' and '.join(str(timestep) for timestep, _ in known)}: is it long enough?"
        )
    return ""


def _leaves(spaces: Spaces, shown: Any) -> list[tuple[str, Any]]:
    if isinstance(spaces.observation, gym.spaces.Dict):
        return [(f"observations.{key}", shown[key]) for key in sorted(spaces.observation.spaces)]
    return [("observations", shown)]


def _arrays(shown: Any) -> list[np.ndarray]:
    values = shown.values() if isinstance(shown, dict) else [shown]
    return [value for value in values if isinstance(value, np.ndarray)]


def _place(value: Any, space: Any, name: str) -> str:
    """Which number lies beyond which bound."""
    if not isinstance(space, gym.spaces.Box):
        return f"{name} hold {value}, which is outside {space}; widen the space, or mend what is shown"
    flat, low, high = np.ravel(value), np.ravel(space.low), np.ravel(space.high)
    entry = int(np.flatnonzero((flat < low) | (flat > high))[0])
    return (
        f"{name} hold {flat[entry]:.6g} in entry {entry}, and their space reaches from {low[entry]:.6g} to "
        f"{high[entry]:.6g}; widen the space, or clip what is shown"
    )


def _after_the_end(subject: Subject, seed: int) -> float | None:
    """The reward of the step after an episode was terminated; None where it was not, or takes no further step."""
    env, over = subject.spec.make(), False
    try:
        for reward, terminated, truncated in subject.walk(env, seed, subject.spec.horizon + 1):
            if over:
                return reward
            if truncated and not terminated:
                return None
            over = terminated
    except Exception:  # one that takes no step after its end is right
        if not over:
            raise
    finally:
        close_quietly(env)
    return None


def _end_beyond(subject: Subject, seed: int, horizon: int) -> tuple[int, bool] | None:
    """(timestep, whether it was truncated) of an end after the horizon."""
    env = subject.spec.make()
    try:
        most = horizon + max(BEYOND, min(4 * horizon, LONGEST))
        for timestep, (_, terminated, truncated) in enumerate(subject.walk(env, seed, most), 1):
            if terminated or truncated:
                return (timestep, truncated and not terminated) if timestep > horizon else None
    finally:
        close_quietly(env)
    return None


def _ends_before(subject: Subject) -> bool:
    """Whether any episode that was played was terminated."""
    return any(episodes.terminated.any() for episodes in subject.played.values())
