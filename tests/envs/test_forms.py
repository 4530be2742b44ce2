"""Numbers that an environment hands out: as gymnasium's spaces judge them, copied, and never another number."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from dsbench.envs import forms
from dsbench.envs.spaces import outside
from dsbench.errors import EnvironmentFault

DTYPES = ("uint8", "int16", "int32", "int64", "float16", "float32", "float64")
GIVEN = st.sampled_from((*DTYPES, "bool", "uint64"))


@st.composite
def boxes(draw: st.DrawFn) -> gym.spaces.Box:
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    low = draw(st.integers(0 if dtype.kind == "u" else -100, 50))
    return gym.spaces.Box(low, low + draw(st.integers(0, 100)), (3,), dtype.type)


@settings(max_examples=200, deadline=None)
@given(space=boxes(), data=st.data())
def test_a_number_stays_the_number_that_it_was_or_is_refused(space: gym.spaces.Box, data: st.DataObject) -> None:
    given_dtype = np.dtype(data.draw(GIVEN))
    value = data.draw(npst.arrays(given_dtype, (3,)))
    dtype = np.dtype(space.dtype)
    try:
        taken = forms.observation(value, space)
    except EnvironmentFault:
        with np.errstate(all="ignore"):
            cast = value.astype(dtype)
        unchanged = np.array_equal(cast.astype(np.longdouble), value.astype(np.longdouble))
        assert not unchanged or not np.isfinite(value.astype(np.float64)).all()
        return
    assert taken.dtype == dtype
    assert not np.shares_memory(taken, value)
    if dtype.kind == "f" and given_dtype.kind == "f":
        np.testing.assert_array_equal(taken, value.astype(dtype))  # rounded, never overflown
        assert np.array_equal(np.isfinite(taken), np.isfinite(value))
    else:
        np.testing.assert_array_equal(taken.astype(np.longdouble), value.astype(np.longdouble))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("bits", [11, 12, 24, 25, 53, 54, 63])
def test_an_integer_becomes_a_float_where_python_s_own_integers_say_that_it_stays_itself(dtype: str, bits: int) -> None:
    space = gym.spaces.Box(-np.inf, np.inf, (1,), np.dtype(dtype).type)
    for number in (2**bits - 1, 1 - 2**bits, 2**bits - 2 ** (bits - 5), 2 ** (bits - 1)):
        with np.errstate(over="ignore"):
            rounded = float(np.dtype(dtype).type(number))
        if np.isfinite(rounded) and int(rounded) == number:
            assert int(forms.observation(np.array([number]), space)[0]) == number
        else:
            with pytest.raises(EnvironmentFault, match=str(number)):
                forms.observation(np.array([number]), space)


@settings(max_examples=200, deadline=None)
@given(space=boxes(), data=st.data())
def test_outside_is_what_gymnasium_calls_outside(space: gym.spaces.Box, data: st.DataObject) -> None:
    values = data.draw(npst.arrays(np.dtype(space.dtype), (5, 3), elements={"allow_nan": False} if
                                   np.dtype(space.dtype).kind == "f" else None))  # fmt: skip
    near = np.where(data.draw(npst.arrays(bool, (5, 3))), np.clip(values, space.low, space.high), values)
    near = near.astype(space.dtype)
    assert outside(space, near).tolist() == [not space.contains(row) for row in near]


@settings(max_examples=100, deadline=None)
@given(n=st.integers(1, 9), start=st.integers(-5, 5), values=st.lists(st.integers(-20, 20), min_size=1))
def test_outside_a_discrete_space_too(n: int, start: int, values: list[int]) -> None:
    space = gym.spaces.Discrete(n, start=start)
    assert outside(space, np.array(values)).tolist() == [not space.contains(np.int64(value)) for value in values]


@settings(max_examples=200, deadline=None)
@given(mask=st.lists(st.sampled_from([0, 1, True, False, 0.0, 1.0, 0.5, -1, 2, float("nan")]), min_size=3, max_size=3))
def test_masks_are_truth_values_or_refused(mask: list[Any]) -> None:
    space = gym.spaces.Discrete(3)
    if all(value in (0, 1) for value in mask):
        taken = forms.action_mask({"action_mask": mask}, space)
        assert taken is not None and taken.tolist() == [bool(value) for value in mask]
    else:
        with pytest.raises(EnvironmentFault, match="mask holds"):
            forms.action_mask({"action_mask": mask}, space)


@settings(max_examples=300, deadline=None)
@given(reward=st.one_of(st.floats(), st.integers(), st.booleans(), st.fractions(), st.floats(width=32).map(np.float32)))
def test_rewards_are_rounded_to_float32_or_refused(reward: Any) -> None:
    result = (None, reward, False, True, {})
    limit = float(np.finfo(np.float32).max)
    try:
        taken = forms.step_result(result)[1]
    except EnvironmentFault:
        assert abs(reward) > limit
        return
    with np.errstate(over="ignore"):
        np.testing.assert_equal(taken, np.float32(float(reward)))
        assert not np.isfinite(taken) or abs(reward) <= limit * (1 + 1e-7)
