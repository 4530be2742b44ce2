"""Episodes out of a Minari HDF5 file, one group each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dsbench.envs.data.contract import DROP, OTHER_ENV, RawData
from dsbench.envs.data.faults import BadEpisode, fault
from dsbench.envs.data.hdf5 import SafeFile
from dsbench.envs.foreign import GoalObservation
from dsbench.envs.spaces import Spaces, trailing_shape
from dsbench.episodes import Observations

NAMES = {"terminated": "terminations", "truncated": "truncations", "action_mask": "infos/action_mask"}


@dataclass(frozen=True)
class _Episode:
    """Arrays of one episode, named as in `RawData` with the parts of an observation apart."""

    steps: dict[str, np.ndarray]
    observations: dict[str, np.ndarray]  # (T + 1, ...) by leaf


class EpisodeReader:
    """Reads episodes one by one and joins them."""

    def __init__(self, file: SafeFile, spaces: Spaces, drop: bool, joined: GoalObservation | None = None) -> None:
        self.file, self.spaces, self.drop, self.join = file, spaces, drop, joined
        self.leaves = {name: trailing_shape(space) for name, space in spaces.leaves().items()}
        self.episodes: list[_Episode] = []
        self.dropped = 0

    def add(self, index: int, group: str) -> None:
        """Read an episode; one that does not fit is left out if that was asked for."""
        try:
            episode = self._read(index, group)
            if self.episodes:
                self._same_kind(index, group, episode)
        except BadEpisode:
            if not self.drop:
                raise
            self.dropped += 1
        else:
            self.episodes.append(episode)

    def joined(self, warnings: list[str], physics: str | None = None) -> RawData:
        if not self.episodes:
            raise fault(self.file.path, "", "no episode without a fault", "get the file again")
        lengths = [len(episode.steps["rewards"]) for episode in self.episodes]
        steps = {name: np.concatenate([e.steps[name] for e in self.episodes]) for name in self.episodes[0].steps}
        before = {name: np.concatenate([e.observations[name][:-1] for e in self.episodes]) for name in self.leaves}
        final = {name: np.stack([e.observations[name][-1] for e in self.episodes]) for name in self.leaves}
        return RawData(
            file=self.file.path,
            observations=unflattened(before),
            final_observations=unflattened(final),
            starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            names=NAMES,
            actions=steps["actions"],
            rewards=steps["rewards"],
            terminated=steps["terminated"],
            truncated=steps["truncated"],
            action_mask=steps.get("action_mask"),
            flat=False,
            dropped_episodes=self.dropped,
            warnings=tuple(warnings),
            physics=physics,
        )

    def _read(self, index: int, group: str) -> _Episode:
        names = self.file.names(group)
        for name in ("observations", "actions", "rewards", "terminations", "truncations"):
            if name not in names:
                raise fault(self.file.path, f"{group}/{name}", "is missing", DROP, episode=index, kind=BadEpisode)
        steps = {
            "rewards": self.file.read(f"{group}/rewards"),
            "actions": self.file.read(f"{group}/actions"),
            "terminated": self.file.read(f"{group}/terminations"),
            "truncated": self.file.read(f"{group}/truncations"),
        }
        length = len(steps["rewards"])
        if "infos" in names and "action_mask" in self.file.names(f"{group}/infos"):
            steps["action_mask"] = self.file.read(f"{group}/infos/action_mask")[: max(length, 1)]
        for name, array in steps.items():
            shape = array.shape[1:] if array.shape[1:] != (1,) else ()  # a column of numbers is numbers
            wanted = {"actions": self._action_shape(array), "action_mask": array.shape[1:]}.get(name, ())
            if len(array) != length or shape != wanted or length == 0:
                what = f"has shape {array.shape} in an episode of {length} timesteps"
                raise fault(
                    self.file.path, f"{group}/{NAMES.get(name, name)}", what, DROP, episode=index, kind=BadEpisode
                )
            if name != "actions" and name != "action_mask":
                steps[name] = array.reshape(length)
        return _Episode(steps, self._observations(index, group, length))

    def _action_shape(self, array: np.ndarray) -> tuple[int, ...]:
        shape = trailing_shape(self.spaces.action)
        return () if shape == (1,) and array.shape[1:] == (1,) else shape

    def _observations(self, index: int, group: str, length: int) -> dict[str, np.ndarray]:
        name = f"{group}/observations"
        if self.file.is_group(name):
            found = {f"observations.{part}": self.file.read(f"{name}/{part}") for part in self.file.names(name)}
        else:
            found = {"observations": self.file.read(name)}
        if self.join is not None and "observations" not in found:
            found = {"observations": self._flat(index, name, length, self.join, found)}
        if found.keys() != self.leaves.keys():
            what = f"has the parts {sorted(found)} and the environment {sorted(self.leaves)}"
            raise fault(self.file.path, name, what, OTHER_ENV)
        for leaf, array in found.items():
            expected = (length + 1, *self.leaves[leaf])
            if array.shape != expected:
                what = f"has shape {array.shape} where {expected} is expected"
                raise fault(self.file.path, name, what, f"{OTHER_ENV}, or {DROP}", episode=index, kind=BadEpisode)
        return found

    def _flat(
        self, index: int, name: str, length: int, join: GoalObservation, found: dict[str, np.ndarray]
    ) -> np.ndarray:
        """The parts of a dictionary observation side by side; too few columns show in the shape of the result."""
        columns = []
        for part, width, offset in join.parts:
            array = found.get(f"observations.{part}")
            if array is None:
                raise fault(self.file.path, f"{name}/{part}", "is missing", OTHER_ENV)
            if array.ndim != 2 or len(array) != length + 1:
                what = f"has shape {array.shape} in an episode of {length} timesteps"
                raise fault(self.file.path, f"{name}/{part}", what, DROP, episode=index, kind=BadEpisode)
            columns.append(array[:, :width] + offset)
        return np.concatenate(columns, 1)

    def _same_kind(self, index: int, group: str, episode: _Episode) -> None:
        """Arrays that are joined have one dtype, or numbers would change."""
        first = self.episodes[0]
        mine, theirs = episode.steps | episode.observations, first.steps | first.observations
        kinds = {name: (array.dtype, array.shape[1:]) for name, array in mine.items()}
        expected = {name: (array.dtype, array.shape[1:]) for name, array in theirs.items()}
        if kinds != expected:
            wrong = min(name for name in kinds.keys() | expected.keys() if kinds.get(name) != expected.get(name))
            what = "has another type or shape than in the first episode"
            raise fault(
                self.file.path, f"{group}/{NAMES.get(wrong, wrong)}", what, DROP, episode=index, kind=BadEpisode
            )


def unflattened(leaves: dict[str, np.ndarray]) -> Observations:
    """Inverse of `observation_leaves`, from a dictionary."""
    if "observations" in leaves:
        return leaves["observations"]
    return {name.removeprefix("observations."): array for name, array in leaves.items()}
