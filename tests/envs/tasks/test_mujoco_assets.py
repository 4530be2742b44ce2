"""What the shipped actors do is what their headers say: ``pytest -m slow tests/envs/tasks/test_mujoco_assets.py``."""

from __future__ import annotations

import numpy as np
import pytest

from dsbench.envs import get_spec
from dsbench.envs.data import generate
from dsbench.envs.tasks.mujoco_actors import RANDOM, Shipped, load

pytest.importorskip("mujoco")

TASKS = ("halfcheetah", "hopper", "walker2d")
SMALL = 100_000  # timesteps of the small size of each set


def recorded(shipped: Shipped, recipe: str) -> tuple[float, float]:
    """Mean return of the recipe's episodes by the header, and its standard error.

    Actors have equal shares of the timesteps, not of the episodes.
    """
    levels = {"medium-replay": ("path", "medium"), "medium-expert": ("medium", "expert")}.get(recipe, (recipe,))
    actors = [one for one in shipped.header["actors"] if one["level"] in levels]
    if recipe in ("random", "medium-replay"):
        actors.append(shipped.header["random"])
    shares = np.array([1 / one["mean_length"] for one in actors])
    shares /= shares.sum()
    means = np.array([one["mean_return"] for one in actors])
    errors = np.array([one["std_return"] / one["episodes"] ** 0.5 for one in actors])
    return float(shares @ means), float(np.linalg.norm(shares * errors))


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_its_actors(name: str) -> None:
    shipped = load(name)
    assert len(shipped.of_level("medium")) == len(shipped.of_level("expert")) == 1
    medium, expert = (shipped.header["actors"][shipped.of_level(level)[0]] for level in ("medium", "expert"))
    assert expert["mean_return"] / 5 < medium["mean_return"] < expert["mean_return"] / 2
    assert shipped.mean_length(RANDOM) <= get_spec(name).horizon


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("recipe", ["random", "medium", "medium-replay", "medium-expert", "expert"])
@pytest.mark.parametrize("name", TASKS)
def test_data_has_the_return_that_is_recorded_of_its_actors(name: str, recipe: str) -> None:
    returns = generate(get_spec(name), recipe, 1, seed=0, timesteps=SMALL).returns()
    mean, error = recorded(load(name), recipe)
    noise = np.hypot(returns.std() / np.sqrt(len(returns)), error)  # of two means of so few episodes
    assert returns.mean() == pytest.approx(mean, rel=0.1, abs=3 * noise)
