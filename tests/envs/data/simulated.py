"""Tasks that a simulator stands behind, without the simulator, and data sets in the forms in which others give theirs."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from dsbench.envs.spec import EnvSpec
from dsbench.envs.tasks.antmaze import FOREIGN, MAZE
from tests.envs.data.formats import LENGTH, toy

ANT_KWARGS = {"maze_map": MAZE, "continuing_task": False}


def hopper_like(physics: str = "v5", horizon: int = LENGTH) -> EnvSpec:
    """Hopper's spaces in a version of its physics."""
    spec = toy(gym.spaces.Box(-np.inf, np.inf, (11,), np.float32), gym.spaces.Box(-1, 1, (3,), np.float32), horizon)
    return replace(
        spec, id=f"toy-{physics}", options={**spec.options, "physics": physics},
        simulator={"gymnasium": f"Hopper-{physics}", "mujoco": "3.11.0"},
    )  # fmt: skip


def ant_like(physics: str = "v4", horizon: int = LENGTH) -> EnvSpec:
    """AntMaze's spaces, and how its files are read."""
    spec = toy(gym.spaces.Box(-np.inf, np.inf, (29,), np.float32), gym.spaces.Box(-1, 1, (8,), np.float32), horizon)
    simulator = {"gymnasium-robotics": f"AntMaze_UMaze-{physics}"}
    return replace(spec, options={**spec.options, "physics": physics}, simulator=simulator, foreign=FOREIGN)


def d4rl_arrays(features: int, actions: int, n: int = 60, length: int = LENGTH, seed: int = 0) -> dict[str, np.ndarray]:
    """D4RL's published form: episodes of `length` timesteps, every second one ends at the goal with reward 1."""
    rng = np.random.default_rng(seed)
    ends = np.arange(1, n + 1) % length == 0
    timeout = ends & (np.arange(n) // length % 2 == 1)
    return {
        "observations": rng.normal(size=(n, features)).astype(np.float32),
        "actions": rng.uniform(-1, 1, size=(n, actions)).astype(np.float32),
        "rewards": (ends & ~timeout).astype(np.float32),
        "terminals": ends & ~timeout,
        "timeouts": timeout,
        "infos/goal": rng.normal(size=(n, 2)).astype(np.float32),
        "infos/qpos": rng.normal(size=(n, 15)).astype(np.float32),
    }


class _Named(gym.Env[Any, Any]):
    """What Minari asks of an environment: spaces and a spec."""

    def __init__(
        self, spec: gym.envs.registration.EnvSpec, observation: gym.Space[Any], action: gym.Space[Any]
    ) -> None:
        self.spec, self.observation_space, self.action_space = spec, observation, action


def write_minari(
    name: str,
    env_id: str,
    observation: gym.Space[Any],
    actions: int,
    kwargs: Mapping[str, Any] | None = None,
    lengths: tuple[int, ...] = (6, LENGTH, 3),
    seed: int = 0,
) -> list[dict[str, Any]]:
    """A set that Minari itself writes, as if made in `env_id`, which is neither registered nor made; its episodes."""
    import minari
    from minari.data_collector import EpisodeBuffer

    rng = np.random.default_rng(seed)
    space = gym.spaces.Box(-1, 1, (actions,), np.float32)
    episodes = [_episode(rng, observation, actions, length) for length in lengths]
    spec = gym.envs.registration.EnvSpec(id=env_id, entry_point="nowhere:Env", kwargs=dict(kwargs or {}))
    buffers = [EpisodeBuffer(**one) for one in episodes]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # authors, addresses and links that it would like to have
        minari.create_dataset_from_buffers(
            name, buffers, env=_Named(spec, observation, space), algorithm_name="none", jpeg_encoding=False
        )
    return episodes


def _episode(rng: np.random.Generator, observation: gym.Space[Any], actions: int, length: int) -> dict[str, Any]:
    def drawn(space: gym.Space[Any]) -> np.ndarray:
        assert space.shape is not None
        return rng.normal(size=(length + 1, *space.shape)).astype(space.dtype)

    goes_on = np.arange(1, length + 1) < length
    parts = isinstance(observation, gym.spaces.Dict)
    return {
        "observations": {key: drawn(part) for key, part in observation.items()} if parts else drawn(observation),  # type: ignore[attr-defined]
        "actions": rng.uniform(-1, 1, size=(length, actions)).astype(np.float32),
        "rewards": (~goes_on).astype(np.float64),
        "terminations": ~goes_on,
        "truncations": np.zeros(length, bool),
    }


def edit_metadata(folder: Path, **changed: Any) -> None:
    """Change entries of a Minari set's metadata; None takes one out."""
    file = folder / "metadata.json"
    metadata = json.loads(file.read_text()) | changed
    file.write_text(json.dumps({key: value for key, value in metadata.items() if value is not None}))
