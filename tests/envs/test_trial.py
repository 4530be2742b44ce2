"""Faulty environments are refused in one sentence before anything is learned; sound ones pass and are played as they are."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from dsbench.envs.spec import Recipe
from dsbench.envs.trial import check_env, seeds_tried
from dsbench.errors import UsageError
from tests.envs.fault_table import FAULTS
from tests.envs.faulty import drawing, spec_of


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_environment_is_refused_in_one_sentence(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gymnasium's own of odd spaces
        spec = FAULTS[name].spec()
        with pytest.raises(UsageError, match=FAULTS[name].says) as refused, np.errstate(all="ignore"):
            check_env(spec)
    assert "\n" not in str(refused.value)
    assert "mine-v0" in str(refused.value)


def test_a_sound_environment_passes() -> None:
    assert check_env(spec_of()) == ()


def test_the_recipe_of_a_run_is_tried_too() -> None:
    spec = spec_of(recipes={"drawing": Recipe("", drawing)})
    assert check_env(spec) == ()
    with pytest.raises(UsageError, match="recipe 'drawing': two episodes of seed .* differ .actions at timestep"):
        check_env(spec, "drawing")
    assert check_env(spec, "d4rl:file") == ()


@pytest.mark.parametrize(("horizon", "rows", "seeds"), [(6, None, 16), (100, None, 10), (1_000, None, 2), (6, 4, 4)])
def test_short_episodes_are_tried_with_more_seeds(horizon: int, rows: int | None, seeds: int) -> None:
    tried = seeds_tried(spec_of(horizon=horizon, most_rows=rows))
    assert len(set(tried)) == len(tried) == seeds
