"""gymnasium makes our tasks by their ids."""

from __future__ import annotations

import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest

from dsbench.envs import ENVS, get_spec
from dsbench.errors import MissingExtra, UsageError


@pytest.mark.parametrize("name", ENVS.names())
def test_every_task_is_made_by_its_id_and_equals_the_spec_s_own(name: str) -> None:
    spec = get_spec(name)
    try:
        own = spec.make()
    except MissingExtra as error:
        pytest.skip(str(error))
    made = gym.make(f"dsbench.envs.registration:dsbench/{spec.id}")
    assert made.observation_space == own.observation_space
    assert made.action_space == own.action_space
    first, expected = made.reset(seed=5)[0], own.reset(seed=5)[0]
    assert np.array_equal(first, expected)


def test_options_pass_through_and_bad_ones_are_named() -> None:
    env = gym.make("dsbench.envs.registration:dsbench/umbrella-v0", n_distractor=2)
    assert env.observation_space.shape == (5,)
    with pytest.raises(UsageError, match="Did you mean 'n_distractor'"):
        gym.make("dsbench.envs.registration:dsbench/umbrella-v0", n_distracter=2)


def test_gymnasium_imports_what_an_id_names_and_stays_light() -> None:
    code = (
        "import sys, gymnasium as gym; gym.make('dsbench.envs.registration:dsbench/umbrella-v0');"
        "assert 'torch' not in sys.modules and 'pydantic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)
