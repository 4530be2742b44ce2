"""Actors that learned nothing, for tests of what is done with actors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dsbench.envs.tasks import mujoco_actors
from dsbench.envs.tasks.mujoco_actors import Actors, Shipped

SIZES = {"hopper": (11, 3), "halfcheetah": (17, 6), "walker2d": (17, 6)}
LEVELS = ("path", "path", "medium", "expert")


def random_actors(name: str, count: int, seed: int = 0, hidden: int = 128) -> Actors:
    """Actors with weights of the usual size."""
    rng, (seen, joints) = np.random.default_rng(seed), SIZES[name]

    def layer(inputs: int, outputs: int) -> tuple[np.ndarray, np.ndarray]:
        weight = rng.normal(0, inputs**-0.5, (count, inputs, outputs)).astype(np.float32)
        return weight, rng.normal(0, 0.1, (count, outputs)).astype(np.float32)

    layers = [layer(seen, hidden), layer(hidden, hidden), layer(hidden, joints), layer(hidden, joints)]
    return Actors(*[array.astype(np.float64) for pair in layers for array in pair])


def ship(monkeypatch: pytest.MonkeyPatch, name: str, **header: Any) -> Shipped:
    """Random actors in the place of the shipped ones."""
    figures = [{"level": level, "mean_length": 100.0 * (place + 1)} for place, level in enumerate(LEVELS)]
    shipped = Shipped(random_actors(name, len(LEVELS)), {"actors": figures, "random": {"mean_length": 50.0}} | header)
    monkeypatch.setattr(mujoco_actors, "load", {name: shipped}.__getitem__)
    return shipped
