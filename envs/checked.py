"""Environments played without trusting them: what they raise, and what they show or pay that is no number, gets a name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from dsbench.envs.spec import EnvSpec, VectorEpisodes
from dsbench.episodes import Observations, observation_leaves
from dsbench.errors import DsbenchError, EnvironmentFault


def begin(spec: EnvSpec, vector: Callable[[Sequence[int]], VectorEpisodes], seeds: Sequence[int]) -> VectorEpisodes:
    """The episodes of these seeds at their first observation.

    Raises:
        EnvironmentFault: the environment raised, or showed something that is not finite.
    """
    try:
        env = vector(seeds)
    except EnvironmentFault as error:
        raise EnvironmentFault(f"env {spec.id} when reset: {error}") from error
    except (DsbenchError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        raise _raised(spec, error, "when reset") from error
    _check_observations(spec, env.observations, "when reset", np.ones(len(seeds), bool))
    _check_mask(spec, env.action_mask, "when reset", np.ones(len(seeds), bool))
    return env


def step(
    spec: EnvSpec, env: VectorEpisodes, actions: np.ndarray, timestep: int, alive: np.ndarray
) -> tuple[Observations, np.ndarray, np.ndarray, np.ndarray]:
    """What `env.step` gives; only rows that are `alive` before it are looked at.

    Raises:
        EnvironmentFault: the environment raised, paid or showed something that is not finite, or forbids every action to
            an episode that goes on.
    """
    when = f"at timestep {timestep}"
    try:
        observation, reward, terminated, truncated = env.step(actions)
    except EnvironmentFault as error:
        raise EnvironmentFault(f"env {spec.id} {when}: {error}") from error
    except (DsbenchError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        raise _raised(spec, error, when) from error
    if not np.isfinite(reward[alive]).all():
        raise EnvironmentFault(f"env {spec.id} returned a reward that is not finite {when}")
    _check_observations(spec, observation, when, alive)
    _check_mask(spec, env.action_mask, when, alive & ~(terminated | truncated))
    return observation, reward, terminated, truncated


def _raised(spec: EnvSpec, error: BaseException, when: str) -> EnvironmentFault:
    return EnvironmentFault(f"env {spec.id} raised {type(error).__name__} {when}: {' '.join(str(error).split())}")


def _check_observations(spec: EnvSpec, observation: Observations, when: str, rows: np.ndarray) -> None:
    for name, array in observation_leaves(observation):
        if array.dtype.kind not in "fiub":
            raise EnvironmentFault(f"env {spec.id} returned {name} that are no numbers {when}")
        if array.dtype.kind == "f" and not np.isfinite(array).all() and not np.isfinite(array[rows]).all():
            raise EnvironmentFault(f"env {spec.id} returned {name} that are not finite {when}")


def _check_mask(spec: EnvSpec, mask: np.ndarray | None, when: str, rows: np.ndarray) -> None:
    if mask is not None and not mask[rows].any(-1).all():
        raise EnvironmentFault(f"env {spec.id} forbids every action {when} of an episode that goes on")
