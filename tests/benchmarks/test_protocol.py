"""Drawing a batch and one update of the ``decision-transformer`` preset, beside two published trainers of the same model.

See `published_trainers` for the checkouts that this needs. The contestants take turns, on one thread; times are of the CPU.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

from dsbench.config import resolve
from dsbench.decision.policy import build_policy, policy_spec
from dsbench.episodes import Episodes
from dsbench.running.training import make_trainer
from tests.benchmarks import published_trainers

pytestmark = pytest.mark.benchmark_suite
OBSERVATIONS, ACTIONS = 11, 3  # hopper's
ROUNDS = 20


def hopper_like(n_episodes: int = 200) -> Episodes:
    """Random numbers in the shapes of hopper's medium data: episodes of 300 to 1,000 timesteps."""
    generator = np.random.default_rng(0)
    starts = np.concatenate([[0], np.cumsum(generator.integers(300, 1001, n_episodes))])
    n = int(starts[-1])
    terminated = np.zeros(n, bool)
    terminated[starts[1:] - 1] = True
    return Episodes(
        observations=generator.normal(size=(n, OBSERVATIONS)).astype(np.float32),
        actions=generator.uniform(-1, 1, (n, ACTIONS)).astype(np.float32),
        rewards=generator.uniform(0, 3, n).astype(np.float32),
        terminated=terminated,
        truncated=np.zeros(n, bool),
        starts=starts,
        final_observations=generator.normal(size=(n_episodes, OBSERVATIONS)).astype(np.float32),
    )


def ours(episodes: Episodes) -> Callable[[], object]:
    """One update as a run does it, under the preset as it stands."""
    config = resolve(preset="decision-transformer", backbone="gpt", env="hopper")
    policy = build_policy(
        policy_spec(
            observation_space=gym.spaces.Box(-np.inf, np.inf, (OBSERVATIONS,), np.float32),
            action_space=gym.spaces.Box(-1, 1, (ACTIONS,), np.float32),
            backbone="gpt",
            d_model=config.backbone.d_model,
            backbone_options=config.backbone.options,
            **config.wrapper.model_dump(),
        )
    )
    policy.fit_normalisers(episodes)
    return make_trainer(config, policy, episodes, "hopper").update


def test_sampling_and_one_update(benchmark, capsys: pytest.CaptureFixture[str]) -> None:
    places = {name: os.environ.get(name) for name in ("CORL", "DECISION_TRANSFORMER")}
    if not all(places.values()):
        pytest.skip("set CORL and DECISION_TRANSFORMER to checkouts of the two repositories")
    torch.set_num_threads(1)
    episodes = hopper_like()
    contestants = {
        "CORL": published_trainers.corl(Path(places["CORL"] or ""), episodes),
        "the original": published_trainers.original(Path(places["DECISION_TRANSFORMER"] or ""), episodes),
        "dsbench": ours(episodes),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}

    def round_of_turns() -> None:
        for name, step in contestants.items():
            begin = time.process_time()
            step()
            seconds[name].append(time.process_time() - begin)

    benchmark.pedantic(round_of_turns, rounds=ROUNDS, warmup_rounds=2)
    times = {name: np.array(taken[2:]) for name, taken in seconds.items()}
    with capsys.disabled():
        for name, taken in times.items():
            ratio = taken / times["dsbench"]
            low, median, high = np.quantile(ratio, [0.1, 0.5, 0.9])
            print(f"\n{name}: {np.median(taken) * 1e3:.0f} ms an update,", end=" ")
            print(f"{median:.2f} times dsbench's ({low:.2f} to {high:.2f})", end="")
