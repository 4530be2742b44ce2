"""Faulty environments are refused in one sentence before anything is learned; sound ones pass and are played as they are."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from dsbench.envs.trial import check_env
from dsbench.errors import UsageError
from tests.envs.fault_table import FAULTS
from tests.envs.faulty import spec_of


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
