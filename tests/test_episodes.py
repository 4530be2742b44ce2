"""Episodes: returns against plain sums, selection against slices, shapes refused with the numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.episodes import Episodes, concatenate
from dsbench.errors import DatasetError


def episodes_of(lengths: list[int], seed: int = 0) -> Episodes:
    generator, total = np.random.default_rng(seed), sum(lengths)
    return Episodes(
        observations={"a": generator.normal(size=(total, 2)), "b": np.arange(total)},
        actions=generator.integers(3, size=total),
        rewards=generator.normal(size=total).astype(np.float32),
        terminated=np.zeros(total, bool),
        truncated=np.zeros(total, bool),
        starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        final_observations={"a": generator.normal(size=(len(lengths), 2)), "b": np.arange(len(lengths))},
    )


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_returns_to_go_are_the_sums_of_what_is_left(lengths: list[int], seed: int) -> None:
    episodes = episodes_of(lengths, seed)
    expected = [
        episodes.rewards[t:end].astype(np.float64).sum()
        for begin, end in zip(episodes.starts[:-1], episodes.starts[1:], strict=True)
        for t in range(begin, end)
    ]
    assert np.allclose(episodes.returns_to_go(), expected, atol=1e-12)
    assert np.allclose(episodes.returns(), episodes.returns_to_go()[episodes.starts[:-1]], atol=1e-12)
    assert episodes.timesteps().tolist() == [t for length in lengths for t in range(length)]


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=5), data=st.data())
def test_selected_episodes_are_slices_of_the_original(lengths: list[int], data: st.DataObject) -> None:
    episodes = episodes_of(lengths)
    chosen = data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, max_size=4))
    selected = episodes.select(chosen)
    for place, source in enumerate(chosen):
        own = slice(selected.starts[place], selected.starts[place + 1])
        other = slice(episodes.starts[source], episodes.starts[source + 1])
        assert np.array_equal(selected.observations["b"][own], episodes.observations["b"][other])
        assert np.array_equal(selected.rewards[own], episodes.rewards[other])
    assert selected.final_observations["b"].tolist() == chosen


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=6), kept=st.integers(1, 7))
def test_heads_are_the_first_timesteps_and_say_what_came_next(lengths: list[int], kept: int) -> None:
    whole = episodes_of(lengths)
    heads = whole.heads(kept)
    assert heads.lengths.tolist() == [min(length, kept) for length in lengths]
    for episode, (begin, length) in enumerate(zip(whole.starts[:-1], lengths, strict=True)):
        head = heads.select([episode])
        rows = slice(begin, begin + min(length, kept))
        assert np.array_equal(head.observations["b"], whole.observations["b"][rows])
        assert np.array_equal(head.rewards, whole.rewards[rows])
        assert head.truncated[-1] == (length > kept)
        after = whole.observations["a"][begin + kept] if length > kept else whole.final_observations["a"][episode]
        assert np.array_equal(head.final_observations["a"][0], after)


def test_arrays_and_parts_give_the_same_episodes_back() -> None:
    whole = episodes_of([2, 3, 1])
    again = concatenate([Episodes.from_arrays(whole.arrays()).select([0]), whole.select([1, 2])])
    assert all(np.array_equal(array, again.arrays()[name]) for name, array in whole.arrays().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"starts": np.array([0, 2, 2, 6])}, "episode 1 has no timesteps"),
        ({"starts": np.array([1, 6])}, "must be"),
        ({"actions": np.zeros(5)}, "actions has 5 timesteps and starts says 6"),
        ({"rewards": np.zeros((6, 1))}, r"rewards has shape \(6, 1\)"),
        ({"action_mask": np.ones((4, 3), bool)}, "action_mask has 4 timesteps"),
        ({"final_observations.a": np.zeros((2, 2))}, "final_observations.a has 2 rows for 3 episodes"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_with_both_numbers(change: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        Episodes.from_arrays(episodes_of([1, 2, 3]).arrays() | change)
