"""Target returns: asked for by rule, and only such as the data shows."""

from __future__ import annotations

import numpy as np
import pytest

from dsbench.envs import get_spec
from dsbench.envs.data import generate
from dsbench.envs.targets import BestFromStart, Fixed, Quantile, return_at
from dsbench.episodes import Episodes


@pytest.fixture(scope="module")
def episodes() -> Episodes:
    return generate(get_spec("umbrella", chain_length=3, n_distractor=2), "random", 2_000, seed=0)


def test_quantile_targets_are_returns_that_occur_as_far_out_on_either_side(episodes: Episodes) -> None:
    high, low = (return_at(episodes, q) for q in (0.95, 0.05))
    assert {high, low} <= set(episodes.returns())
    assert np.mean(episodes.returns() <= high) >= 0.95
    assert np.mean(episodes.returns() >= low) >= 0.95
    targets = Quantile()(episodes, 0.95, 0.05)
    assert {role: target.value for role, target in targets.items()} == {"target": high, "opposite": low}


def test_a_fixed_target_asks_every_row_for_the_same(episodes: Episodes) -> None:
    (target,) = Fixed(1.0)(episodes, 0.95, 0.05).values()
    assert target.of(episodes.observations, 3).tolist() == [1, 1, 1]


def test_the_best_of_each_start_counts_suffixes_of_episodes_too(episodes: Episodes) -> None:
    def need(observations: np.ndarray) -> np.ndarray:
        return observations[:, 0].astype(int)

    (target,) = BestFromStart(3, need)(episodes, 0.95, 0.05).values()
    to_go = episodes.returns_to_go()
    seen = need(episodes.observations)
    expected = [to_go[seen == 0].max(), to_go[seen == 1].max(), to_go.min()]
    assert target.to_json() == expected
    assert target.value == np.mean(expected[:2])
    assert target.of(np.array([[1.0], [0.0]]), 2).tolist() == [expected[1], expected[0]]
