"""D4RL's HDF5 files, read directly (the d4rl package needs a Python and a simulator of long ago).

A file holds flat arrays ``observations``, ``actions``, ``rewards``, ``terminals`` and, from v1 on, ``timeouts`` and
``next_observations``; an episode ends where either flag is set, and a terminal wins where both are. What stands under
``metadata/`` and ``infos/`` (the behaviour policy's weights, simulator states, AntMaze's goals) is not looked at.

AntMaze's files come in several forms. As published they have the two flags, with timeouts one timestep later than the
limit says; as saved from D4RL's own functions they have ``next_observations`` and the timestep of a timeout left out, so
that an episode ends where the next row is not what followed. `read_d4rl` cuts at both.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dsbench.envs.data.contract import RawData
from dsbench.envs.data.faults import DEFAULT_MAX_BYTES, fault
from dsbench.envs.data.hdf5 import NO_CHECKSUMS, SafeFile, open_hdf5

NAMES = {"terminated": "terminals", "truncated": "timeouts", "final_observations": "next_observations"}
REQUIRED = ("observations", "actions", "rewards", "terminals")
IGNORED = ("infos", "metadata")
JUMP = 1e-6  # largest difference that rounding explains
OPTIONAL = ("timeouts", "next_observations")
# Published sums of known files, to notice one that was changed on its way.
KNOWN_SHA256 = {
    "hopper_medium_replay-v2.hdf5": "e121c5f7c9857a307baa9edc6a2c3b48e85fedb9ac316ecddd0f48ca7ef4e39b",
    "walker2d_medium_replay-v2.hdf5": "e75de96a4f77acf7d4e0d6fdf0d7ccb177c26c44bb4388e4fd99f543ccfa18db",
}


@dataclass(frozen=True)
class _Flags:
    """Where episodes end: `kept` timesteps belong to whole episodes."""

    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    starts: NDArray[np.int64]
    kept: int


def read_d4rl(
    path: Path,
    max_episode_steps: int | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
    cut_at_jumps: bool = False,
) -> RawData:
    """The arrays of a file, cut into episodes; the unfinished one at the end is left out and counted.

    Args:
        max_episode_steps: where a file has no ``timeouts``, an episode also ends after so many timesteps.
        cut_at_jumps: an episode also ends where the next row of observations is not what ``next_observations`` says.

    Raises:
        DatasetError: not such a file, or not to be trusted.
        MissingExtra: h5py is not installed.
    """
    with open_hdf5(path, max_bytes) as file:
        arrays = _arrays(file)
        checksummed = file.checksummed
    n = len(arrays["rewards"])
    jumps = _cut_here(path, arrays) if cut_at_jumps else None
    flags = _episodes(path, arrays, max_episode_steps, jumps)
    warnings = [] if checksummed else [NO_CHECKSUMS]
    if jumps is not None and jumps.any():
        warnings.append(f"{int(jumps.sum())} episodes end where next_observations are not what follows")
    final = None
    if "next_observations" in arrays:
        final = arrays["next_observations"][flags.starts[1:] - 1]
        if differ := _differ(arrays["observations"], arrays["next_observations"], flags.starts):
            warnings.append(f"next_observations differ from the next row of observations at {differ} timesteps")
    return RawData(
        file=path,
        observations=arrays["observations"][: flags.kept],
        actions=arrays["actions"][: flags.kept],
        rewards=arrays["rewards"][: flags.kept],
        terminated=flags.terminated[: flags.kept],
        truncated=flags.truncated[: flags.kept],
        starts=flags.starts,
        final_observations=final,
        names=NAMES,
        dropped_timesteps=n - flags.kept,
        warnings=tuple(warnings),
    )


def known_file_warning(path: Path, sha256: str) -> str | None:
    """A warning if the file is named like a published one and is not that one."""
    expected = KNOWN_SHA256.get(path.name)
    if expected in (None, sha256):
        return None
    return f"{path.name} is not the published file of that name (sha256 {sha256[:12]}..., published {expected[:12]}...)"


def _arrays(file: SafeFile) -> dict[str, np.ndarray]:
    present = set(file.names())
    if missing := [name for name in REQUIRED if name not in present]:
        raise fault(file.path, missing[0], "is missing", f"a D4RL file holds {', '.join(REQUIRED)}")
    if unknown := sorted(present - {*REQUIRED, *OPTIONAL, *IGNORED}):  # it may be a known name with a flipped bit
        raise fault(file.path, unknown[0], "is nothing that a D4RL file holds", "take it out of the file")
    arrays = {name: file.read(name) for name in (*REQUIRED, *OPTIONAL) if name in present}
    file.finish()
    n = len(arrays["rewards"])
    if n == 0:
        raise fault(file.path, "rewards", "holds no timesteps", "get the file again")
    for name, array in arrays.items():
        if len(array) != n:
            raise fault(file.path, name, f"has {len(array)} timesteps and rewards has {n}", "get the file again")
    return arrays


def _episodes(
    path: Path, arrays: dict[str, np.ndarray], max_episode_steps: int | None, jumps: NDArray[np.bool_] | None
) -> _Flags:
    terminated = _flag(path, "terminals", arrays["terminals"])
    if max_episode_steps is not None and ("timeouts" in arrays or jumps is not None):
        says = "timeouts" if "timeouts" in arrays else "next_observations"
        raise fault(
            path, says, f"says where episodes were cut, so a limit of {max_episode_steps} timesteps would not act",
            "leave out --max-episode-steps",
        )  # fmt: skip
    if "timeouts" in arrays:
        truncated = _flag(path, "timeouts", arrays["timeouts"]) & ~terminated
    elif jumps is not None:
        truncated = np.zeros(len(terminated), bool)
    elif max_episode_steps is None:
        raise fault(
            path, "timeouts", "is missing, so where episodes were cut is not known",
            "say how long an episode may be with dsbench data import --max-episode-steps",
        )  # fmt: skip
    else:
        truncated = _cuts(terminated, max_episode_steps)
    if jumps is not None:
        truncated = truncated | (jumps & ~terminated)
    ends = np.flatnonzero(terminated | truncated) + 1
    if not len(ends):
        raise fault(path, "terminals", "no episode ends anywhere in the file", "get the file again")
    return _Flags(terminated, truncated, np.concatenate([[0], ends]).astype(np.int64), int(ends[-1]))


def _flag(path: Path, name: str, array: np.ndarray) -> NDArray[np.bool_]:
    """(N,) truth values from (N,) or (N, 1) zeros and ones; ends of episodes cannot be dropped, so each must be right."""
    column = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if column.ndim != 1:
        raise fault(path, name, f"has shape {array.shape} where ({len(array)},) is expected", "get the file again")
    wrong = np.flatnonzero((column != 0) & (column != 1))
    if len(wrong):
        index = int(wrong[0])
        raise fault(path, name, f"is {column[index]}, neither 0 nor 1", "get the file again", index=index)
    return column == 1


def _cuts(terminated: NDArray[np.bool_], limit: int) -> NDArray[np.bool_]:
    """Cut each run of timesteps between terminals after every `limit` timesteps."""
    starts = np.concatenate([[0], np.flatnonzero(terminated) + 1])
    begin = starts[np.searchsorted(starts, np.arange(len(terminated)), side="right") - 1]
    return ((np.arange(len(terminated)) - begin + 1) % limit == 0) & ~terminated


def _cut_here(path: Path, arrays: dict[str, np.ndarray]) -> NDArray[np.bool_] | None:
    """(N,) timesteps whose ``next_observations`` are not the next row, or None where a file has none."""
    following = arrays.get("next_observations")
    if following is None or following.shape != arrays["observations"].shape:
        return None
    rows = len(following)
    jumps = np.zeros(rows, bool)
    with np.errstate(invalid="ignore"):  # what is not finite is judged by the contract
        apart = np.abs(arrays["observations"][1:].astype(np.float64) - following[:-1])
    jumps[:-1] = (apart.reshape(rows - 1, -1) > JUMP).any(1)
    if 2 * int(jumps.sum()) > rows:
        what = f"are not what follows at {int(jumps.sum())} of {rows} timesteps"
        raise fault(path, "next_observations", what, "take them out of the file, or get it again")
    return jumps


def _differ(observations: np.ndarray, following: np.ndarray, starts: NDArray[np.int64]) -> int:
    """Timesteps within episodes at which the observation said to follow is not the one that does."""
    if observations.shape != following.shape:
        return 0  # judged by the contract
    kept = int(starts[-1])
    inside = np.ones(kept, bool)
    inside[starts[1:] - 1] = False
    rows = np.flatnonzero(inside)
    differ = observations[rows + 1] != following[rows]
    return int(differ.reshape(len(rows), -1).any(1).sum()) if len(rows) else 0
