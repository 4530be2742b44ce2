"""States are values: every function keeps structure, rows and bits, and leaves its argument as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dsbench.backbones import state as states
from dsbench.backbones.state import State
from dsbench.errors import UsageError

ROWS = 4
dtypes = st.sampled_from([torch.float32, torch.float64, torch.long, torch.complex64])
tensors = st.builds(
    lambda shape, dtype, start: (
        torch.arange(start, start + ROWS * torch.Size(shape).numel()).view(ROWS, *shape).to(dtype)
    ),
    st.lists(st.integers(0, 3), max_size=3),
    dtypes,
    st.integers(0, 99),
)
keys = st.text("abc01", min_size=1, max_size=3)
nested: st.SearchStrategy[Any] = st.recursive(
    tensors, lambda part: st.lists(part, max_size=3).map(tuple) | st.dictionaries(keys, part, max_size=3), max_leaves=6
)


def same(one: State, other: State) -> bool:
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return isinstance(other, tuple) and len(one) == len(other) and all(map(same, one, other))


@given(nested)
@settings(max_examples=60, deadline=None)
def test_flatten_and_unflatten_give_the_same_state_back(state: State) -> None:
    flat = states.flatten(state)
    assert len(flat) == len(list(states.leaves(state)))
    assert same(state, states.unflatten(flat, state))


@given(nested)
@settings(max_examples=40, deadline=None)
def test_taking_rows_apart_and_putting_them_together_is_the_identity(state: State) -> None:
    rows = [states.take_rows(state, torch.tensor([row])) for row in range(ROWS)]
    assert same(state, states.cat_rows(*rows))


@given(nested, st.lists(st.booleans(), min_size=ROWS, max_size=ROWS))
@settings(max_examples=40, deadline=None)
def test_a_reset_takes_whole_rows_and_leaves_its_arguments_alone(state: State, done: list[bool]) -> None:
    initial = states.map_state(lambda leaf: torch.full_like(leaf, 7), state)
    before = states.clone_state(state)
    mixed = states.reset_state(state, torch.tensor(done), initial)
    for leaf, old, new in zip(states.leaves(mixed), states.leaves(state), states.leaves(initial), strict=True):
        for row in range(ROWS):
            assert torch.equal(leaf[row], new[row] if done[row] else old[row])
    assert same(before, state)


@given(nested)
@settings(max_examples=30, deadline=None)
def test_a_dtype_applies_to_floating_leaves_only(state: State) -> None:
    for old, new in zip(states.leaves(state), states.leaves(states.to(state, torch.float16)), strict=True):
        assert new.dtype == (torch.float16 if old.is_floating_point() else old.dtype)


@given(nested)
@settings(max_examples=30, deadline=None)
def test_bytes_are_those_of_all_leaves(state: State) -> None:
    assert states.nbytes(state) == sum(leaf.numpy().nbytes for leaf in states.leaves(state))


def test_a_nan_in_a_row_that_is_reset_is_gone() -> None:
    state = {"h": torch.tensor([[torch.nan], [torch.inf], [1.0]])}
    after = states.reset_state(state, torch.tensor([True, True, False]), {"h": torch.zeros(3, 1)})
    assert same(after, {"h": torch.tensor([[0.0], [0.0], [1.0]])})


def test_clones_share_no_memory_and_detached_states_have_no_graph() -> None:
    leaf = torch.ones(2, requires_grad=True) * 2
    clone = states.clone_state((leaf,))
    assert next(states.leaves(clone)).data_ptr() != leaf.data_ptr()
    assert not next(states.leaves(states.detach_state((leaf,)))).requires_grad


@pytest.mark.parametrize("key", ["a/b", "", "a/"])
def test_a_key_that_would_make_two_leaves_share_a_name_is_refused(key: str) -> None:
    with pytest.raises(UsageError, match="cannot be part of a path"):
        states.flatten({key: torch.ones(1)})


def test_states_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError):
        states.select_rows(torch.tensor([True]), (torch.ones(1),), (torch.ones(1), torch.ones(1)))


def test_no_state_is_a_state() -> None:
    assert states.cat_rows((), ()) == ()
    assert states.flatten(()) == {}
    assert states.nbytes(()) == 0
