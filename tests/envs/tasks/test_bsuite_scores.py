"""Sweeps and scores against bsuite's own modules, on data frames as its loggers write them."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.envs import get_spec
from dsbench.envs.data import generate
from dsbench.envs.tasks.bsuite_scores import EPISODES, SWEEPS, average_regret, sweep_score
from dsbench.errors import UsageError

NAMES = sorted(SWEEPS)


def bsuite(experiment: str, module: str) -> Any:
    return importlib.import_module(f"bsuite.experiments.{experiment}.{module}")


def logged(name: str, regrets: dict[int, np.ndarray]) -> pd.DataFrame:
    """(seeds, episodes) regrets of each setting as bsuite logs them: running totals after each episode."""
    frames = []
    for value, seeds in regrets.items():
        for total in np.cumsum(seeds, 1):
            episode = np.arange(1, len(total) + 1)
            frame = {"episode": episode, "total_regret": total, "total_perfect": episode - total / 2}
            frames.append(pd.DataFrame({SWEEPS[name].varied: value, **frame}))
    return pd.concat(frames)


@pytest.mark.parametrize("name", NAMES)
def test_the_settings_are_bsuites(name: str) -> None:
    sweep, own = SWEEPS[name], bsuite(name, "sweep")
    assert own.NUM_EPISODES == EPISODES
    assert len(own.SETTINGS) == len(sweep.settings())
    load = importlib.import_module("bsuite.bsuite").EXPERIMENT_NAME_TO_ENVIRONMENT[name]
    for ours, theirs in zip(sweep.settings(), own.SETTINGS, strict=True):
        assert theirs.items() <= ours.items()
        env = load(**theirs)
        played = {option: getattr(env, f"_{option}") for option in ours}
        assert played == ours
        assert dict(get_spec(sweep.env, **ours).options) == ours


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_the_score_is_what_bsuites_analysis_gives(name: str, data: st.DataObject) -> None:
    """As many wrong episodes as the threshold allows are one too many."""
    values = data.draw(st.lists(st.sampled_from(SWEEPS[name].values), min_size=1, max_size=6, unique=True))
    n_seeds, episodes = data.draw(st.integers(1, 3)), data.draw(st.sampled_from([8, 40]))
    at_threshold = int(SWEEPS[name].threshold / 2 * episodes)
    counts = st.sampled_from([0, at_threshold - 1, at_threshold, at_threshold + 1, episodes])
    wrong = data.draw(st.lists(counts, min_size=len(values), max_size=len(values)))
    regrets = {
        value: np.tile(np.where(np.arange(episodes) < count, 2.0, 0.0), (n_seeds, 1))
        for value, count in zip(values, wrong, strict=True)
    }
    expected = bsuite(name, "analysis").score(logged(name, regrets))
    assert sweep_score(SWEEPS[name], regrets) == expected


@pytest.mark.parametrize("name", NAMES)
def test_episodes_past_the_last_one_do_not_count(name: str) -> None:
    regrets = {SWEEPS[name].values[0]: np.concatenate([np.full((1, EPISODES), 2.0), np.zeros((1, 9 * EPISODES))], 1)}
    assert sweep_score(SWEEPS[name], regrets) == bsuite(name, "analysis").score(logged(name, regrets)) == 0.0


@pytest.mark.parametrize("name", NAMES)
def test_a_random_policy_has_regret_one_and_the_best_one_none(name: str) -> None:
    sweep = SWEEPS[name]
    regrets: dict[str, dict[int, np.ndarray]] = {"random": {}, "expert": {}}
    for options in sweep.settings()[:3]:
        spec = get_spec(sweep.env, **options)
        for recipe in regrets:
            regrets[recipe][options[sweep.varied]] = spec.score(generate(spec, recipe, 2_000, seed=0))["regret"]
    assert [average_regret(one) for one in regrets["expert"].values()] == [0.0] * 3
    assert all(abs(average_regret(one) - 1) < 4 / np.sqrt(2_000) for one in regrets["random"].values())
    assert sweep_score(sweep, regrets["expert"]) == 1.0
    assert sweep_score(sweep, regrets["random"]) == 0.0


def test_what_cannot_be_scored_is_named() -> None:
    sweep = SWEEPS["memory_len"]
    with pytest.raises(UsageError, match="memory_length 11 is no setting"):
        sweep_score(sweep, {11: np.zeros(3)})
    with pytest.raises(UsageError, match="no setting of memory_length was played"):
        sweep_score(sweep, {})
    with pytest.raises(UsageError, match="at least one episode"):
        sweep_score(sweep, {1: np.zeros(0)})
