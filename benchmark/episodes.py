"""Episodes in memory: the one format that environments write, loaders produce and training reads.

All episodes lie one after another in flat arrays; ``starts`` says where each begins. Nothing is padded here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dsbench.errors import DatasetError

Observations: TypeAlias = "np.ndarray | Mapping[str, np.ndarray]"


def map_observations(function, observations: Observations) -> Observations:  # type: ignore[no-untyped-def]
    """Apply `function` to the array, or to each array of a dictionary observation (sorted by key)."""
    if isinstance(observations, Mapping):
        return {key: function(observations[key]) for key in sorted(observations)}
    return function(observations)


def observation_leaves(observations: Observations) -> list[tuple[str, np.ndarray]]:
    """(name, array) of every leaf; the name of a plain array is ``observations``."""
    if isinstance(observations, Mapping):
        return [(f"observations.{key}", observations[key]) for key in sorted(observations)]
    return [("observations", observations)]


@dataclass(frozen=True)
class Episodes:
    """`E` episodes of `N` timesteps in all.

    Attributes:
        observations: (N, ...) array, or a dictionary of such arrays; what was seen before each action.
        actions: (N,) integers or (N, A) floats.
        rewards: (N,) float32, received after each action.
        terminated: (N,) bool, the episode ended by its own rules at this timestep.
        truncated: (N,) bool, it was cut (time limit).
        starts: (E + 1,) int64, first timestep of each episode; the last entry is N.
        final_observations: (E, ...), what was seen after the last action of each episode.
        action_mask: (N, A) bool, True = allowed, or None where all actions always are.
    """

    observations: Observations
    actions: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    starts: NDArray[np.int64]
    final_observations: Observations
    action_mask: np.ndarray | None = None

    def __post_init__(self) -> None:
        _check_shapes(self)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def n_timesteps(self) -> int:
        return int(self.starts[-1])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(E,) timesteps of each episode."""
        return np.diff(self.starts)

    @property
    def ends(self) -> NDArray[np.int64]:
        """(E,) last timestep of each episode."""
        return self.starts[1:] - 1

    def timesteps(self) -> NDArray[np.int64]:
        """(N,) position of each timestep in its episode, from 0."""
        return np.arange(self.n_timesteps) - np.repeat(self.starts[:-1], self.lengths)

    def returns(self) -> NDArray[np.float64]:
        """(E,) undiscounted return of each episode, summed in float64."""
        return np.add.reduceat(self.rewards.astype(np.float64), self.starts[:-1])

    def returns_to_go(self) -> NDArray[np.float64]:
        """(N,) sum of the rewards from each timestep to the end of its episode, in float64.

        Summed from the end, episode by episode: as a difference of sums, a small rest would lose its digits to large rewards
        before it.
        """
        sums = self.rewards.astype(np.float64)
        for begin, end in pairwise(self.starts.tolist()):
            sums[begin:end] = np.cumsum(sums[begin:end][::-1])[::-1]
        return sums

    def select(self, episodes: Sequence[int] | NDArray[np.int64]) -> Episodes:
        """The episodes with these indices, in this order."""
        chosen = np.asarray(episodes, dtype=np.int64)
        lengths = self.lengths[chosen]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        rows = np.repeat(self.starts[chosen] - starts[:-1], lengths) + np.arange(starts[-1])
        return Episodes(
            observations=map_observations(lambda array: array[rows], self.observations),
            actions=self.actions[rows],
            rewards=self.rewards[rows],
            terminated=self.terminated[rows],
            truncated=self.truncated[rows],
            starts=starts,
            final_observations=map_observations(lambda array: array[chosen], self.final_observations),
            action_mask=None if self.action_mask is None else self.action_mask[rows],
        )

    def heads(self, timesteps: int) -> Episodes:
        """The first `timesteps` of each episode; one that goes on is marked as truncated there."""
        within, lengths = self.timesteps() < timesteps, np.minimum(self.lengths, timesteps)
        starts, cut = np.concatenate([[0], np.cumsum(lengths)]), self.lengths > timesteps
        ends, next_ones = starts[1:][cut] - 1, self.starts[:-1][cut] + timesteps
        truncated = self.truncated[within]
        truncated[ends] = True
        named = dict(observation_leaves(self.observations))
        final = {name: array.copy() for name, array in observation_leaves(self.final_observations)}
        for name, array in final.items():
            array[cut] = named[name][next_ones]
        arrays = {
            name: array[within]
            for name, array in self.arrays().items()
            if name not in ("starts", *(f"final_{leaf}" for leaf in final))
        }
        arrays |= {f"final_{name}": array for name, array in final.items()}
        return Episodes.from_arrays(arrays | {"starts": starts, "truncated": truncated})

    def arrays(self) -> dict[str, np.ndarray]:
        """Every array under a flat name (``observations.key`` for dictionaries), for saving and hashing."""
        named = dict(observation_leaves(self.observations))
        named |= {"final_" + name: array for name, array in observation_leaves(self.final_observations)}
        named |= {name: getattr(self, name) for name in ("actions", "rewards", "terminated", "truncated", "starts")}
        if self.action_mask is not None:
            named["action_mask"] = self.action_mask
        return named

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Episodes:
        """Inverse of `arrays`."""
        return cls(
            observations=_gather("observations", arrays),
            actions=arrays["actions"],
            rewards=arrays["rewards"],
            terminated=arrays["terminated"],
            truncated=arrays["truncated"],
            starts=arrays["starts"],
            final_observations=_gather("final_observations", arrays),
            action_mask=arrays.get("action_mask"),
        )


@dataclass(frozen=True)
class Timestep:
    """One timestep of several episodes that are stepped together; arrays have one row an episode.

    `alive` (rows,) bool tells which rows were still in their episode before this timestep.
    """

    observation: Observations
    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    alive: np.ndarray
    next_observation: Observations
    action_mask: np.ndarray | None = None


def collect(steps: Sequence[Timestep]) -> Episodes:
    """Timesteps recorded in turn as episodes, each cut where it ended."""
    alive = np.stack([step.alive for step in steps], 1)  # (rows, T)
    lengths = alive.sum(1)

    def flat(arrays: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack(arrays, 1)[alive]

    def last(arrays: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack(arrays, 1)[np.arange(len(lengths)), lengths - 1]

    masks = _masks([(step.action_mask, len(step.alive)) for step in steps])
    return Episodes(
        observations=_join(flat, [step.observation for step in steps]),
        actions=flat([step.action for step in steps]),
        rewards=flat([step.reward for step in steps]).astype(np.float32),
        terminated=flat([step.terminated for step in steps]),
        truncated=flat([step.truncated for step in steps]),
        starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        final_observations=_join(last, [step.next_observation for step in steps]),
        action_mask=None if masks is None else flat(masks),
    )


def concatenate(parts: Sequence[Episodes]) -> Episodes:
    """The episodes of all parts, in order."""
    masks = _masks([(part.action_mask, part.n_timesteps) for part in parts])
    named = [part.arrays() | ({} if masks is None else {"action_mask": masks[i]}) for i, part in enumerate(parts)]
    joined = {name: np.concatenate([arrays[name] for arrays in named]) for name in named[0] if name != "starts"}
    lengths = np.concatenate([part.lengths for part in parts])
    joined["starts"] = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Episodes.from_arrays(joined)


def _masks(given: Sequence[tuple[np.ndarray | None, int]]) -> list[np.ndarray] | None:
    """(mask or None, its rows) of several parts: all actions where a part has none; None where no part has any."""
    known = next((mask for mask, _ in given if mask is not None), None)
    if known is None:
        return None
    return [np.ones((rows, known.shape[1]), bool) if mask is None else mask for mask, rows in given]


def _join(function: Callable[[Sequence[np.ndarray]], np.ndarray], observations: Sequence[Observations]) -> Observations:
    first = observations[0]
    if isinstance(first, Mapping):
        return {key: function([part[key] for part in observations]) for key in sorted(first)}
    return function(observations)  # type: ignore[arg-type]


def _gather(prefix: str, arrays: Mapping[str, np.ndarray]) -> Observations:
    if prefix in arrays:
        return arrays[prefix]
    return {name[len(prefix) + 1 :]: arrays[name] for name in sorted(arrays) if name.startswith(prefix + ".")}


def _check_shapes(episodes: Episodes) -> None:
    starts = episodes.starts
    if starts.ndim != 1 or len(starts) < 2 or starts[0] != 0:
        raise DatasetError(f"episodes: starts has shape {starts.shape} and must be (E + 1,) with E >= 1, from 0")
    if not (np.diff(starts) > 0).all():
        empty = int(np.flatnonzero(np.diff(starts) <= 0)[0])
        raise DatasetError(f"episodes: episode {empty} has no timesteps; every episode needs at least one")
    total = int(starts[-1])
    per_step = [*observation_leaves(episodes.observations), ("actions", episodes.actions)]
    per_step += [("terminated", episodes.terminated), ("truncated", episodes.truncated)]
    per_step += [("action_mask", episodes.action_mask)] if episodes.action_mask is not None else []
    for name, array in per_step:
        if len(array) != total:
            raise DatasetError(f"episodes: {name} has {len(array)} timesteps and starts says {total}")
    if episodes.rewards.shape != (total,):
        raise DatasetError(f"episodes: rewards has shape {episodes.rewards.shape} and must be ({total},)")
    for name, array in observation_leaves(episodes.final_observations):
        if len(array) != len(starts) - 1:
            raise DatasetError(f"episodes: final_{name} has {len(array)} rows for {len(starts) - 1} episodes")
