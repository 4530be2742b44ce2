"""Small data sets in every format that is read, and tools to damage them; for the tests beside this file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import h5py
import numpy as np

from dsbench.envs.behaviour import uniform
from dsbench.envs.spec import EnvSpec
from dsbench.episodes import Episodes
from dsbench.errors import UsageError

N, LENGTH, FEATURES = 60, 10, 3


class Toy(gym.Env[Any, Any]):
    """Spaces without an environment behind them."""

    def __init__(self, observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> None:
        self.observation_space, self.action_space = observation_space, action_space


def toy(
    observation: gym.Space[Any] | None = None, action: gym.Space[Any] | None = None, horizon: int = LENGTH
) -> EnvSpec:
    """An environment to load data for: by default float observations and actions in [-1, 1]."""
    seen = observation or gym.spaces.Box(-np.inf, np.inf, (FEATURES,), np.float32)
    taken = action or gym.spaces.Box(-1, 1, (2,), np.float32)
    return EnvSpec(
        id="toy-v0", name="toy", summary="spaces", options={"horizon": horizon},
        make=lambda render_mode=None: Toy(seen, taken), vector=lambda seeds: None,  # type: ignore[arg-type, return-value]
        score=lambda episodes: {"return": episodes.returns()}, success_metric="return", horizon=horizon,
        random_return=0.0, optimal_return=1.0, references="none", tests=(), needs_memory=False,
        random=uniform(2), optimal=uniform(2),
    )  # fmt: skip


def flat_arrays(seed: int = 0, n: int = N) -> dict[str, np.ndarray]:
    """D4RL's arrays: episodes of `LENGTH` timesteps, every second one ends by a timeout; D4RL's names."""
    rng = np.random.default_rng(seed)
    observations = rng.normal(size=(n + 1, FEATURES)).astype(np.float32)
    ends = np.arange(1, n + 1) % LENGTH == 0
    timeout = ends & (np.arange(n) // LENGTH % 2 == 1)
    return {
        "observations": observations[:-1].copy(),
        "next_observations": observations[1:].copy(),
        "actions": rng.uniform(-1, 1, size=(n, 2)).astype(np.float32),
        "rewards": rng.normal(size=n).astype(np.float32),
        "terminals": ends & ~timeout,
        "timeouts": timeout,
    }


def write_d4rl(path: Path, arrays: Mapping[str, Any], **how: Any) -> Path:
    """An HDF5 file of these arrays, compressed by gzip unless `how` says otherwise."""
    how = how or {"compression": "gzip", "chunks": True}
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, **how)
    return path


def toy_episodes(spec: EnvSpec, seed: int = 0, count: int = 5) -> Episodes:
    """Random episodes of different lengths in the spaces of `spec`, with an action mask where actions are discrete."""
    rng = np.random.default_rng(seed)
    env = spec.make()
    lengths = rng.integers(1, spec.horizon + 1, size=count)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    total, ends = int(starts[-1]), np.zeros(int(starts[-1]), bool)
    ends[starts[1:] - 1] = True
    early = rng.random(total) < 0.5
    actions, mask = _sample(rng, env.action_space, total), None
    if isinstance(env.action_space, gym.spaces.Discrete):
        mask = rng.random((total, int(env.action_space.n))) < 0.5
        mask[np.arange(total), actions] = True
    return Episodes(
        observations=_sample(rng, env.observation_space, total),
        actions=actions,
        rewards=rng.normal(size=total).astype(np.float32),
        terminated=ends & early,
        truncated=ends & ~early,
        starts=starts,
        final_observations=_sample(rng, env.observation_space, count),
        action_mask=mask,
    )


def _sample(rng: np.random.Generator, space: gym.Space[Any], rows: int) -> Any:
    if isinstance(space, gym.spaces.Dict):
        return {name: _sample(rng, part, rows) for name, part in space.spaces.items()}
    if isinstance(space, gym.spaces.Discrete):
        return rng.integers(space.n, size=rows)
    assert isinstance(space, gym.spaces.Box)
    if space.dtype == np.uint8:
        return rng.integers(256, size=(rows, *space.shape)).astype(np.uint8)
    return rng.uniform(-1, 1, size=(rows, *space.shape)).astype(np.float32)


def fingerprint(episodes: Episodes) -> str:
    """sha256 over names, dtypes, shapes and bytes of all arrays."""
    digest = hashlib.sha256()
    for name, array in sorted(episodes.arrays().items()):
        digest.update(f"{name}{array.dtype.str}{array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


def outcome(load: Callable[[], Episodes], original: str) -> str:
    """``refused``, ``reader died``, ``same`` or ``different``; any other error is let through."""
    try:
        episodes = load()
    except UsageError as error:
        if "\n" in str(error):
            return "refused in several lines"
        return "reader died" if "the process reading it ended" in str(error) else "refused"
    return "same" if fingerprint(episodes) == original else "different"


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """These bytes cut off, with bits flipped, bytes overwritten, or a piece left out, put in or moved."""
    changed = bytearray(data)
    place, size = int(rng.integers(len(data))), int(rng.integers(1, 64))
    kind = rng.choice(["bits", "bits", "bits", "cut", "overwrite", "remove", "insert", "move", "zeros"])
    if kind == "bits":
        for _ in range(int(rng.integers(1, 4))):
            changed[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    elif kind == "cut":
        del changed[place:]
    elif kind == "overwrite":
        changed[place : place + size] = rng.bytes(len(changed[place : place + size]))
    elif kind == "remove":
        del changed[place : place + size]
    elif kind == "insert":
        changed[place:place] = rng.bytes(size)
    elif kind == "zeros":
        changed[place : place + size] = bytes(len(changed[place : place + size]))
    else:
        other = int(rng.integers(len(data)))
        changed[place : place + size] = data[other : other + len(changed[place : place + size])]
    return bytes(changed)
