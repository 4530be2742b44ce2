"""What a recipe of an environment earns on average, measured once and kept beside its data sets.

Episodes are those that data of this recipe would have under a seed of their own; their number follows from the horizon, so that
the same environment has the same number everywhere.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from dsbench.envs.data.cache import data_folder, key_of, lock_of
from dsbench.envs.data.generate import parts_of
from dsbench.envs.scoring import scores
from dsbench.envs.spec import EXPERT, RANDOM, EnvSpec
from dsbench.files import locked, to_json, write_atomic
from dsbench.reading import read_regular

SEED = 20_060_101  # of episodes that are measured, and of no data that anybody asks for
TIMESTEPS, FEWEST, MOST = 50_000, 30, 1_000  # of all episodes at most; episodes
_LARGEST = 1 << 10  # bytes of a file that holds one number


def measured_return(spec: EnvSpec, recipe: str, on_step: Callable[[], None] = lambda: None) -> float:
    """Mean return of `episodes_measured` episodes; from the cache where the same was measured before.

    What was made by nobody in particular (a spec that did not come through `get_spec`) is measured anew: nothing tells whether
    its code is what it was.

    Raises:
        EnvironmentFault, DatasetError: as `dsbench.envs.data.generate`.
    """
    if not spec.origin.reference:
        return _measure(spec, recipe, on_step)
    place = place_of(spec, recipe)
    with locked(lock_of(place), on_wait=on_step):
        known = _read(place)
        if known is None:
            known = _measure(spec, recipe, on_step)
            write_atomic(place, to_json({"mean_return": known, "episodes": episodes_measured(spec)}))
    return known


def measure(spec: EnvSpec, on_step: Callable[[], None]) -> None:
    """Measure what the spec leaves to be measured and nobody has measured before, which may take as long as making data.

    Args:
        on_step: called at every timestep, for progress.
    """
    for stated, recipe in ((spec.random_return, RANDOM), (spec.optimal_return, EXPERT)):
        if stated is None and recipe in spec.recipes and spec.origin.reference:
            measured_return(spec, recipe, on_step)


def episodes_measured(spec: EnvSpec) -> int:
    """How many."""
    return min(MOST, max(FEWEST, TIMESTEPS // spec.horizon))


def place_of(spec: EnvSpec, recipe: str) -> Path:
    """The file that keeps the number; its name is a hash of all that the episodes are determined by."""
    key = key_of(spec, recipe, episodes_measured(spec), SEED)
    return data_folder() / spec.id / f"{recipe}-return-{key[:10]}.json"


def _measure(spec: EnvSpec, recipe: str, on_step: Callable[[], None]) -> float:
    parts = parts_of(spec, recipe, episodes_measured(spec), SEED, lambda made: on_step())
    return float(np.concatenate([scores(spec, part)["return"] for part in parts]).mean())


def _read(place: Path) -> float | None:
    """The number; None where there is no such file, or one that was not written here."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        value = json.loads(read_regular(place, _LARGEST))["mean_return"]
        return value if isinstance(value, float) and math.isfinite(value) else None
    return None
