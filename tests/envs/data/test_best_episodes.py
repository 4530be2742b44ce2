"""Keeping the best episodes, for %BC: how many, which, and what happens among equals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.envs import get_spec
from dsbench.envs.data import best_episodes, generate
from dsbench.episodes import Episodes


@pytest.fixture(scope="module")
def episodes() -> Episodes:
    return generate(get_spec("umbrella", chain_length=6, n_distractor=0), "random", 500, seed=0)


@settings(max_examples=20, deadline=None)
@given(percent=st.floats(0.01, 100))
def test_none_that_is_kept_is_worse_than_one_that_is_not(episodes: Episodes, percent: float) -> None:
    kept = np.sort(best_episodes(episodes, percent, seed=0).returns())
    assert len(kept) == max(1, int(len(episodes) * percent / 100 + 0.5))
    assert np.array_equal(kept, np.sort(episodes.returns())[-len(kept) :])


def test_all_of_them_are_the_data_itself(episodes: Episodes) -> None:
    whole = best_episodes(episodes, 100, seed=0).arrays()
    assert all(np.array_equal(array, whole[name]) for name, array in episodes.arrays().items())


def test_equals_at_the_edge_are_drawn_by_the_seed_and_not_by_their_place(episodes: Episodes) -> None:
    half_of_the_best = 50 * float((episodes.returns() == episodes.returns().max()).mean())
    picks = [best_episodes(episodes, half_of_the_best, seed).observations for seed in (0, 0, 1)]
    assert np.array_equal(picks[0], picks[1])
    assert not np.array_equal(picks[0], picks[2])
