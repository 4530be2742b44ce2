"""Draws by seed: the same alone and among others, whatever the size of the seed."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.envs.draws import episode_seed, random_states, uniforms


@given(seeds=st.lists(st.integers(0, 2**64), min_size=1, max_size=5), count=st.integers(1, 7))
@settings(max_examples=15, deadline=None)
def test_a_row_is_what_its_own_generator_gives(seeds: list[int], count: int) -> None:
    alone = [np.random.RandomState(seed % 2**32).random_sample(count) for seed in seeds]
    assert np.array_equal(uniforms(seeds, count), alone)
    assert np.array_equal([generator.random_sample(count) for generator in random_states(seeds)], alone)


def test_without_a_seed_the_environment_draws_the_next_one_of_its_own() -> None:
    env: gym.Env[int, int] = gym.Env()
    assert episode_seed(env, 2**40) == 2**40
    env.np_random = np.random.default_rng(3)
    drawn = [episode_seed(env, None) for _ in range(3)]
    assert drawn == np.random.default_rng(3).integers(2**32, size=3).tolist()
    assert len(set(drawn)) == 3
