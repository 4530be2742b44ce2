"""From arrays that nobody vouches for to episodes that can be trusted: the one place where foreign data is judged.

Every fault is a `DatasetError` that names file, field, episode and index. A fault that lies in single episodes can be
answered by leaving those episodes out, whole, which is counted; never by leaving out timesteps or by changing a number
(actions within 1e-4 of a bound are put onto it, which is counted too).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dsbench.envs.casting import cast, not_finite, rows_where
from dsbench.envs.checked import ACTION_TOLERANCE, MEND
from dsbench.envs.data.faults import BadEpisode, fault
from dsbench.envs.data.report import Report, report_on
from dsbench.envs.spaces import Spaces, may_leave, outside, trailing_shape
from dsbench.envs.spec import EnvSpec
from dsbench.episodes import Episodes, Observations, observation_leaves

DROP = "leave such episodes out with dsbench data import --drop-bad-episodes"
OTHER_ENV = "name the environment that it was made in with --env and its options with --set"


@dataclass(frozen=True)
class RawData:
    """Arrays as a file has them, episodes one after another.

    Attributes:
        file: where they come from, for messages.
        observations, actions, rewards, terminated, truncated, action_mask: as in `Episodes`, of any dtype.
        starts: (E + 1,) int64.
        final_observations: (E, ...), or None where the file has none: then the last ones seen stand in, with a warning.
        names: name of our field -> name in the file.
        flat: whether the file numbers timesteps through (else from 0 in each episode).
        dropped_episodes, dropped_timesteps, warnings: what a reader has already left out or noticed.
        physics: what it was made in, see `dsbench.envs.data.physics`; None where that is no question.
        way_out: what to do about any fault, where that is not about a file.
        first_episode: number of the first one.
    """

    file: Path | str
    observations: Observations
    actions: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    starts: NDArray[np.int64]
    final_observations: Observations | None = None
    action_mask: np.ndarray | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    flat: bool = True
    dropped_episodes: int = 0
    dropped_timesteps: int = 0
    warnings: tuple[str, ...] = ()
    physics: str | None = None
    way_out: str | None = None
    first_episode: int = 0


def build_episodes(spec: EnvSpec, raw: RawData, drop_bad_episodes: bool = False) -> tuple[Episodes, Report]:
    """Episodes of `spec`'s spaces and dtypes from raw arrays, and what there is to know about them.

    Raises:
        DatasetError: the data cannot be trusted, or belongs to another environment.
    """
    judge = _Judge(raw, drop_bad_episodes)
    episodes = judge.without_bad(_episodes(spec, judge))
    dropped = raw.dropped_episodes + int(judge.bad.sum())
    return episodes, report_on(episodes, tuple(judge.warnings), dropped, raw.dropped_timesteps, judge.clipped)


def judged(
    spec: EnvSpec,
    episodes: Episodes,
    made_by: str,
    first: int = 0,
    on_warning: Callable[[str], object] = lambda text: None,
) -> Episodes:
    """Episodes that were played here, held to what is asked of data from elsewhere.

    Args:
        made_by: the environment and who acted in it, for messages.
        first: number of the first episode.

    Raises:
        DatasetError: as of `build_episodes`.
    """
    judge = _Judge(raw_of(episodes, made_by, way_out=MEND, first_episode=first, flat=False), drop=False)
    result = _episodes(spec, judge)
    for text in judge.warnings:
        on_warning(text)
    return result


def raw_of(episodes: Episodes, file: Path | str, **more: Any) -> RawData:
    """Episodes as what nobody vouches for."""
    return RawData(file=file, **{name: getattr(episodes, name) for name in Episodes.__dataclass_fields__}, **more)


def _episodes(spec: EnvSpec, judge: _Judge) -> Episodes:
    """All episodes, cast; those with a fault are noted by `judge`, or raised by it."""
    raw, spaces = judge.raw, spec.spaces
    observations = judge.observations(spaces, raw.observations, "", raw.starts[-1])
    final = raw.final_observations
    if final is None:
        judge.warnings.append("no final observations in the file: the last ones seen stand in for them")
        last = raw.starts[1:] - 1
        finals = {f"final_{name}": array[last] for name, array in observations.items()}
    else:
        finals = judge.observations(spaces, final, "final_", len(raw.starts) - 1)
    arrays = {
        **observations,
        **finals,
        "actions": judge.actions(spaces.action),
        "rewards": judge.numbers("rewards", judge.column("rewards", raw.rewards), np.dtype(np.float32)),
        "terminated": judge.flags("terminated", raw.terminated),
        "truncated": judge.flags("truncated", raw.truncated),
        "starts": raw.starts,
    }
    if spec.foreign.rewards is not None:
        judge.only("rewards", arrays["rewards"], spec.foreign.rewards)
    longest = max(spec.horizon, spec.foreign.longest or 0)
    judge.ends(arrays["terminated"] | arrays["truncated"], longest)
    if raw.action_mask is not None:
        arrays["action_mask"] = judge.mask(spaces.action, arrays["actions"])
    return Episodes.from_arrays(arrays)


class _Judge:
    """Checks arrays and remembers which episodes are bad."""

    def __init__(self, raw: RawData, drop: bool) -> None:
        self.raw, self.drop = raw, drop
        self.bad = np.zeros(len(raw.starts) - 1, bool)
        self.clipped = 0
        self.warnings = list(raw.warnings)

    def observations(self, spaces: Spaces, observations: Observations, prefix: str, rows: int) -> dict[str, np.ndarray]:
        """Every leaf, cast and checked, under its flat name."""
        leaves, wanted = dict(observation_leaves(observations)), spaces.leaves()
        if leaves.keys() != wanted.keys():
            raise self.fault(
                "observations", f"has the parts {sorted(leaves)} and the environment {sorted(wanted)}", OTHER_ENV
            )
        return {prefix + name: self.leaf(prefix + name, leaves[name], space, rows) for name, space in wanted.items()}

    def leaf(self, name: str, array: np.ndarray, space: gym.Space[Any], rows: int) -> np.ndarray:
        """One array of observations."""
        self.shape(name, array, (rows, *trailing_shape(space)))
        result = self.numbers(name, array, np.dtype(space.dtype))
        wrong = outside(space, result)
        if not may_leave(space):
            self.steps(name, wrong, f"is outside {space}", DROP)
        elif wrong.any():
            self.warnings.append(f"{name}: {int(wrong.sum())} rows outside the bounds of the space")
        return result

    def actions(self, space: gym.Space[Any]) -> np.ndarray:
        """Indices within a Discrete space, or floats within the bounds of a Box."""
        array = self.raw.actions
        if isinstance(space, gym.spaces.Discrete):
            result = self.numbers("actions", self.column("actions", array), np.dtype(np.int64))
            self.steps("actions", outside(space, result), f"is not an action of {space}", DROP)
            return result
        assert isinstance(space, gym.spaces.Box)
        self.shape("actions", array, (self.raw.starts[-1], *space.shape))
        result = self.numbers("actions", array, np.dtype(space.dtype))
        tolerance = ACTION_TOLERANCE if result.dtype.kind == "f" else 0
        wrong = outside(space, result, tolerance)
        self.steps("actions", wrong, f"is outside {space}", DROP)
        inside = np.clip(result, space.low, space.high)
        self.clipped = int(((inside != result).reshape(len(result), -1) & ~wrong[:, None]).sum())
        if self.clipped:
            self.warnings.append(f"{self.clipped} action entries clipped to the bounds, by at most {tolerance:g}")
        return inside.astype(result.dtype, copy=False)

    def numbers(self, name: str, array: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
        """Finite numbers as `dtype`, none of them changed but by rounding to float32."""
        if array.dtype.kind not in "biuf":
            raise self.fault(name, f"holds {array.dtype}, not numbers", "convert it to numbers")
        self.steps(name, not_finite(array), "is not a finite number", DROP)
        result, lost = cast(array, dtype)
        self.steps(name, lost, f"cannot be held by {dtype}", DROP)
        return result

    def flags(self, name: str, array: np.ndarray) -> NDArray[np.bool_]:
        """Truth values, also as the numbers 0 and 1."""
        array = self.column(name, array)
        if array.dtype.kind not in "biuf":
            raise self.fault(name, f"holds {array.dtype}, not truth values", "convert it to bool")
        with np.errstate(invalid="ignore"):
            self.steps(name, (array != 0) & (array != 1), "is neither 0 nor 1", DROP)
        return array == 1

    def only(self, name: str, array: np.ndarray, values: Sequence[float]) -> None:
        """Numbers of which there are but a few."""
        known = " or ".join(f"{value:g}" for value in values)
        self.steps(name, ~np.isin(array, np.asarray(values, array.dtype)), f"is not {known}", DROP)

    def mask(self, space: gym.Space[Any], actions: np.ndarray) -> NDArray[np.bool_]:
        """(N, A) bool; allows the action taken."""
        array = self.raw.action_mask
        assert array is not None
        if not isinstance(space, gym.spaces.Discrete):
            raise self.fault("action_mask", f"stands beside actions of {space}", OTHER_ENV)
        self.shape("action_mask", array, (len(actions), int(space.n)))
        if array.dtype.kind not in "biu":
            raise self.fault("action_mask", f"holds {array.dtype}, not truth values", "convert it to bool")
        self.steps("action_mask", rows_where((array != 0) & (array != 1)), "is neither 0 nor 1", DROP)
        taken = np.clip(actions - int(space.start), 0, int(space.n) - 1)
        forbidden = array[np.arange(len(actions)), taken] == 0
        self.steps("action_mask", forbidden, "forbids the action that was taken", DROP)
        return array == 1

    def ends(self, end: NDArray[np.bool_], horizon: int) -> None:
        """Each episode ends at its last timestep, there only, and is no longer than the environment allows."""
        starts = self.raw.starts
        last = np.zeros(len(end), bool)
        last[starts[1:] - 1] = True
        self.steps("terminated", last & ~end, "is the last of its episode and neither terminated nor truncated", DROP)
        self.steps("terminated", end & ~last, "ends the episode, which goes on", DROP)
        lengths = np.diff(starts)
        too_long = np.zeros(len(end), bool)
        too_long[starts[:-1]] = lengths > horizon
        what = f"begins an episode of {lengths.max()} timesteps; the environment ends after {horizon}"
        self.steps("terminated", too_long, what, f"{OTHER_ENV}, or {DROP}")

    def without_bad(self, episodes: Episodes) -> Episodes:
        good = np.flatnonzero(~self.bad)
        if not len(good):
            raise self.fault("", "no episode without a fault", "get the file again")
        return episodes if len(good) == len(episodes) else episodes.select(good)

    def column(self, name: str, array: np.ndarray) -> np.ndarray:
        """(N,) from (N,) or (N, 1)."""
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        self.shape(name, array, (self.raw.starts[-1],))
        return array

    def shape(self, name: str, array: np.ndarray, expected: tuple[Any, ...]) -> None:
        expected = tuple(int(size) for size in expected)
        if array.shape != expected:
            raise self.fault(name, f"has shape {array.shape} where {expected} is expected", OTHER_ENV)

    def steps(self, name: str, wrong: NDArray[np.bool_], what: str, way_out: str) -> None:
        """Rows, of timesteps or (final observations) of episodes, that are at fault."""
        if not wrong.any():
            return
        starts, rows = self.raw.starts, np.flatnonzero(wrong)
        by_episode = name.startswith("final_")
        episodes = rows if by_episode else np.searchsorted(starts, rows, side="right") - 1
        if self.drop:
            self.bad[episodes] = True
            return
        first, episode = int(rows[0]), int(episodes[0])
        index = int(starts[episode + 1] if by_episode else first) - (0 if self.raw.flat else int(starts[episode]))
        more = f" (and {len(rows) - 1} more)" if len(rows) > 1 else ""
        number = episode + self.raw.first_episode
        raise self.fault(name, f"the entry {what}{more}", way_out, episode=number, index=index, kind=BadEpisode)

    def fault(self, name: str, what: str, way_out: str, **place: Any) -> Exception:
        own = self.raw.names.get(name, name)
        return fault(self.raw.file, own, what, self.raw.way_out or way_out, **place)
