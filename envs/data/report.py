"""What is worth knowing about a data set that came from elsewhere, beside the data itself."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from dsbench.episodes import Episodes, observation_leaves

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
STD_FLOOR = 1e-6  # features that vary less are constant


@dataclass(frozen=True)
class Report:
    """What a loader found.

    Attributes:
        dropped_episodes: whole episodes left out because of a fault in them.
        dropped_timesteps: of the unfinished episode at the end of the file.
        clipped: action entries moved onto the bounds, by rounding only.
        duplicates: episodes that occur earlier in the data, a leak between training and validation.
        return_quantiles: quantile -> return.
        largest_return_to_go: in absolute value.
        constant_features: features of the observation with a standard deviation under `STD_FLOOR`.
    """

    episodes: int
    timesteps: int
    dropped_episodes: int
    dropped_timesteps: int
    clipped: int
    duplicates: int
    warnings: tuple[str, ...]
    return_quantiles: dict[str, float]
    mean_return: float
    largest_return_to_go: float
    constant_features: tuple[str, ...]


def report_on(
    episodes: Episodes, warnings: tuple[str, ...], dropped_episodes: int, dropped_timesteps: int, clipped: int
) -> Report:
    """Count and describe; adds warnings of its own."""
    returns, duplicates = episodes.returns(), count_duplicates(episodes)
    notes = list(warnings)
    if len(episodes) == 1:
        notes.append("a single episode: nothing is left for validation")
    elif returns.min() == returns.max():
        notes.append(f"all returns are {returns[0]:g}: the return to ask for carries no information")
    if duplicates:
        notes.append(f"{duplicates} episodes occur more than once")
    return Report(
        episodes=len(episodes),
        timesteps=episodes.n_timesteps,
        dropped_episodes=dropped_episodes,
        dropped_timesteps=dropped_timesteps,
        clipped=clipped,
        duplicates=duplicates,
        warnings=tuple(notes),
        return_quantiles=return_quantiles(episodes),
        mean_return=float(returns.mean()),
        largest_return_to_go=float(np.abs(episodes.returns_to_go()).max()),
        constant_features=constant_features(episodes),
    )


def return_quantiles(episodes: Episodes) -> dict[str, float]:
    """Quantile, as text, -> return."""
    returns = episodes.returns()
    return {f"{q:g}": float(np.quantile(returns, q)) for q in QUANTILES}


def count_duplicates(episodes: Episodes) -> int:
    """Episodes whose observations, actions and rewards all equal those of an earlier one."""
    leaves = [array for _, array in observation_leaves(episodes.observations)]
    arrays = [np.ascontiguousarray(array) for array in (*leaves, episodes.actions, episodes.rewards)]
    seen = set()
    for begin, end in zip(episodes.starts[:-1].tolist(), episodes.starts[1:].tolist(), strict=True):
        digest = hashlib.blake2b(digest_size=16)
        for array in arrays:
            digest.update(array[begin:end].data)
        seen.add((end - begin, digest.digest()))
    return len(episodes) - len(seen)


def constant_features(episodes: Episodes) -> tuple[str, ...]:
    """Names of the entries of flat float observations that never change."""
    constant: list[str] = []
    for name, array in observation_leaves(episodes.observations):
        if array.ndim == 2 and array.dtype.kind == "f":
            spread = array.std(0, dtype=np.float64)
            constant += [f"{name}[{index}]" for index in np.flatnonzero(spread < STD_FLOOR)]
    return tuple(constant)
