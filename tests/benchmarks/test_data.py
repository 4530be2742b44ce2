"""How fast offline data is made: environment steps a second on one core, through `dsbench.envs.data.generate`.

``pytest -m benchmark_suite tests/benchmarks/test_data.py --benchmark-columns=median,rounds``; steps a second are in the
``steps_per_second`` of ``--benchmark-json``, and printed with ``-s``.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from dsbench.envs import ENVS, get_spec
from dsbench.envs.data import generate
from dsbench.envs.data.generate import BLOCK

pytestmark = pytest.mark.benchmark_suite

SIMULATED = ("mujoco", "robotics")  # extras of tasks that take minutes for five blocks
TASKS: list[tuple[str, dict[str, Any]]] = [
    (name, {}) for name in ENVS.names() if ENVS.entry(name).extra not in SIMULATED
] + [
    ("umbrella", {"chain_length": 20}),
    ("memory-len", {"memory_length": 9}),
    ("graph-walk", {"walk_length": 20}),
    ("key-to-door", {"distractor_length": 90, "apples": True}),
]


@pytest.mark.parametrize("recipe", ["random", "expert"])
@pytest.mark.parametrize(("name", "options"), TASKS, ids=lambda value: str(value))
def test_making_offline_data(benchmark: Any, name: str, options: dict[str, Any], recipe: str) -> None:
    """Five blocks of episodes, CPU time of the thread: what else runs on the machine does not count."""
    spec, episodes = get_spec(name, **options), 5 * BLOCK
    benchmark.group = f"{name} {options or ''}"
    made = benchmark.pedantic(lambda: generate(spec, recipe, episodes, seed=0), rounds=3, warmup_rounds=1)
    begin = time.thread_time()
    generate(spec, recipe, episodes, seed=1)
    rate = made.n_timesteps / (time.thread_time() - begin)
    benchmark.extra_info |= {"steps_per_second": rate, "mean_length": made.n_timesteps / episodes}
    print(f"{name} {options or ''} {recipe}: {rate / 1e6:.2f}M steps/s, mean length {made.n_timesteps / episodes:.1f}")
