"""Ends and chance of every task's success measure, against the scores of its own random and best behaviour."""

from __future__ import annotations

import numpy as np
import pytest

from dsbench.cli.entries import _env_line
from dsbench.envs import ENVS, get_spec
from dsbench.envs.spec import Behaviour, EnvSpec
from dsbench.rollout import evaluate_scripted

LONG = ("hopper", "halfcheetah", "walker2d", "antmaze-umaze", "antmaze-umaze-diverse")
NAMES = [name for name in ENVS.names() if name not in LONG]
OTHER_SIZES = [
    ("graph-walk", {"split": "uniform"}), ("graph-walk", {"graph_seed": 3, "nodes": 30}), ("repeat-first", {"level": "hard"}),
    ("memory-size", {"num_bits": 6}), ("key-to-door", {"apples": True}), ("cartpole", {"max_steps": 300}),
    ("repeat-first", {"cards": 16}), ("repeat-previous", {"k": 64}), ("cartpole-noisy", {"noise": 0.4}),
    ("graph-walk", {"nodes": 50, "test_share": 0.4}), ("graph-walk", {"test_share": 0}), ("memory-size", {"num_bits": 40}),
    ("umbrella", {"chain_length": 160}), ("key-to-door", {"distractor_length": 300}), ("memory-len", {"memory_length": 640}),
    ("recall", {"pairs": 64}), ("state-tracking", {"group": "s5", "asked": "end"}), ("state-tracking", {"group": "s3"}),
    ("t-maze", {"corridor": 3, "trained": 9}),
]  # fmt: skip
GUESSING = {"t-maze": "medium"}  # recipes that guess where uniform actions come to nothing that could be guessed


def measured(spec: EnvSpec, behaviour: Behaviour, episodes: int = 400) -> np.ndarray:
    scores = evaluate_scripted(behaviour, spec, split="eval", episodes=episodes, seed=11)
    return np.asarray(scores.metrics[spec.success_metric], np.float64)


@pytest.mark.parametrize(("name", "options"), [*((name, {}) for name in NAMES), *OTHER_SIZES], ids=str)
def test_scores_lie_between_the_ends_and_guessing_scores_chance(name: str, options: dict[str, object]) -> None:
    spec = get_spec(name, **options)
    guessed = measured(spec, spec.random, 2_000)
    assert spec.minimum is not None and spec.maximum is not None
    assert spec.minimum <= guessed.min() and guessed.max() <= spec.maximum
    if name in GUESSING:
        guessed = measured(spec, spec.recipes[GUESSING[name]].behaviour, 2_000)
    if spec.chance is not None:
        assert abs(guessed.mean() - spec.chance) < 4 * guessed.std() / np.sqrt(len(guessed))
    if spec.success_metric == "return":
        assert abs(guessed.mean() - spec.uniform_return) < 4 * guessed.std() / np.sqrt(len(guessed)) + 0.02
    assert spec.optimal is not None and spec.best is not None
    best = measured(spec, spec.optimal)
    assert best.max() <= spec.maximum
    assert abs(best.mean() - spec.best) <= 4 * best.std() / np.sqrt(len(best)) + 1e-9 or spec.best == spec.maximum


def test_a_measure_without_a_chance_is_a_return() -> None:
    for name in NAMES:
        spec = get_spec(name)
        assert (spec.chance is None) == (spec.success_metric == "return"), name


@pytest.mark.parametrize("name", ["hopper", "walker2d", "halfcheetah"])
@pytest.mark.parametrize("physics", ["v5", "v4"])
def test_random_play_of_simulated_bodies_is_what_is_said_and_not_always_d4rl_s_constant(
    name: str, physics: str
) -> None:
    pytest.importorskip("mujoco")
    spec = get_spec(name, physics=physics)
    assert spec.references == "D4RL's constants" and spec.minimum is None and spec.maximum is None
    guessed = measured(spec, spec.random, 20 if name == "halfcheetah" else 300)
    assert abs(guessed.mean() - spec.uniform_return) < 4 * guessed.std() / np.sqrt(len(guessed))
    if name == "hopper":
        assert guessed.mean() > spec.random_return + 20


def test_what_is_listed_as_random_is_random_play() -> None:
    listed = _env_line("hopper")
    assert listed["random"] == get_spec("hopper").uniform_return == 17.0
    assert get_spec("hopper").normalised(listed["random"]) > 1  # D4RL's scale begins at its own constant
