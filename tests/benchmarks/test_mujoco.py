"""How fast MuJoCo's tasks are stepped: the batched twin beside gymnasium's environments one after another.

``pytest -m benchmark_suite tests/benchmarks/test_mujoco.py -s`` prints steps a second; the two take turns, so that what else
runs on the machine meets both, and the time is the CPU's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dsbench.envs import get_spec
from dsbench.envs.spec import VectorEpisodes
from dsbench.envs.tasks import mujoco_episodes
from dsbench.envs.vector import LoopedEpisodes

pytestmark = pytest.mark.benchmark_suite
pytest.importorskip("mujoco")
ROUNDS, ROWS, STEPS = 7, 100, 25  # no episode ends within so few steps without torques


def steps_per_second(make: Callable[[], VectorEpisodes], joints: int, clock: Callable[[], float]) -> float:
    env, actions = make(), np.zeros((ROWS, joints), np.float32)
    begin = clock()
    for _ in range(STEPS):
        env.step(actions)
    return ROWS * STEPS / (clock() - begin)


@pytest.mark.parametrize("name", ["hopper", "halfcheetah", "walker2d"])
def test_the_twin_beside_a_loop(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = get_spec(name)
    joints = spec.draws_per_timestep - 1
    contenders: dict[str, tuple[int, Callable[[], Any]]] = {
        "one thread": (1, lambda: spec.vector(range(ROWS))),
        "two threads": (2, lambda: spec.vector(range(ROWS))),
        "loop": (1, lambda: LoopedEpisodes(spec.make, range(ROWS))),
    }
    for clock in (time.process_time, time.perf_counter):
        rates: dict[str, list[float]] = {who: [] for who in contenders}
        for _ in range(ROUNDS):
            for who, (threads, make) in contenders.items():
                monkeypatch.setattr(mujoco_episodes, "threads", lambda threads=threads: threads)
                rates[who].append(steps_per_second(make, joints, clock))
        ratios = {who: np.median(np.divide(rate, rates["loop"])) for who, rate in rates.items()}
        shown = ", ".join(f"{who} {np.median(rate):,.0f} ({ratios[who]:.2f} x)" for who, rate in rates.items())
        print(f"{name}, {clock.__name__}: {shown} steps/s")
    assert ratios["one thread"] > 1
