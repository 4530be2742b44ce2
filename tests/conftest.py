"""Tiny episodes and policies for the tests of training, acting and measuring."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from dsbench import stopping
from dsbench.backbones import build, load_class
from dsbench.decision import DecisionSequence
from dsbench.episodes import Episodes

# Whoever started the tests may have them ignore signals, as a shell does with what runs in its background; the processes that
# are tested would ignore them too.
for _number in stopping.STOPPING:
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="dsbench-tests-")  # what is trusted here, the user does not

FEATURES, ACTIONS = 3, 2


def episodes_of(lengths: Sequence[int], seed: int = 0) -> Episodes:
    """Random episodes of these lengths; rewards are multiples of 1/8, whose sums are exact."""
    rng, total = np.random.default_rng(seed), int(sum(lengths))
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    terminated = np.zeros(total, bool)
    terminated[starts[1:] - 1] = True
    return Episodes(
        observations=rng.normal(size=(total, FEATURES)).astype(np.float32) + 1,
        actions=rng.integers(ACTIONS, size=total),
        rewards=(rng.integers(-8, 9, size=total) / 8).astype(np.float32),
        terminated=terminated,
        truncated=np.zeros(total, bool),
        starts=starts,
        final_observations=rng.normal(size=(len(lengths), FEATURES)).astype(np.float32),
    )


def policy_of(
    backbone: str = "lstm", episodes: Episodes | None = None, *, d_model: int = 8, seed: int = 0, **wrapper: Any
) -> DecisionSequence:
    """A policy for `episodes_of`'s spaces, always the same weights; fitted to `episodes` if given."""
    wrapper.setdefault("previous_action", not load_class(backbone).memoryless)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = DecisionSequence(
            build(backbone, d_model),
            gym.spaces.Box(-np.inf, np.inf, (FEATURES,), np.float32),
            gym.spaces.Discrete(ACTIONS),
            **wrapper,
        )
    if episodes is not None:
        model.fit_normalisers(episodes)
    return model


@pytest.fixture(scope="session")
def make_episodes() -> Callable[..., Episodes]:
    return episodes_of


@pytest.fixture(scope="session")
def make_policy() -> Callable[..., DecisionSequence]:
    return policy_of


@pytest.fixture(autouse=True)
def _signals_mean_what_they_meant() -> Iterator[None]:
    """A worker inside of a test process listens to its signals, and never stops to."""
    before = {number: signal.getsignal(number) for number in stopping.STOPPING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    stopping._asked = None


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Small tensors: more than one thread only costs, and where cores are shared waiting threads cost most of all."""
    torch.set_num_threads(1)
