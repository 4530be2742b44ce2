"""How much computing a small run of a sweep takes beside its work, from a fresh process and from a fork.

``pytest -m benchmark_suite tests/benchmarks/test_runs.py -s``. Seconds are those of computing, of the launcher and all that it
started, which a busy machine moves less than those on the wall; the two ways take turns. The work of a run is what it computes
in a process that has imported everything and done such a run before. What is prepared once is spread over the runs of a sweep.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dsbench.config import RunConfig, resolve
from dsbench.running import launcher, prepared

pytestmark = [pytest.mark.benchmark_suite, pytest.mark.timeout(1800)]
RUNS, ROUNDS = 12, 2
WORK = """
import sys, time
from pathlib import Path
from dsbench.config import resolve
from dsbench.running import worker
from dsbench.running.pipe import ProgressPipe
worker.prepare()
for seed in range(6):
    config = resolve(preset="smoke", backbone=sys.argv[2], env="umbrella", seed=seed)
    begin = time.process_time()
    assert worker.work(config, Path(sys.argv[1]), False, ProgressPipe(None)) == 0
    print(time.process_time() - begin)
"""


@pytest.mark.parametrize("backbone", ["mlp", "gpt"])
def test_small_runs(benchmark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backbone: str) -> None:
    monkeypatch.setenv("DSBENCH_DATA", str(tmp_path / "data"))
    configs = [resolve(preset="smoke", backbone=backbone, env="umbrella", seed=seed) for seed in range(RUNS)]
    launcher.run_all(configs, tmp_path / "first")  # makes the data
    seconds: dict[str, list[float]] = {"fresh": [], "forked": []}

    def both() -> None:
        for way, spent in seconds.items():
            monkeypatch.setattr(prepared, "FEWEST", 2 if way == "forked" else sys.maxsize)
            spent.append(computing(configs, tmp_path / f"{way}-{len(spent)}") / RUNS)

    benchmark.pedantic(both, rounds=ROUNDS, warmup_rounds=0)
    command = [sys.executable, "-c", WORK, str(tmp_path / "work"), backbone]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    found = {way: statistics.median(spent) for way, spent in seconds.items()}
    found["work"] = statistics.median(map(float, lines[1:]))
    benchmark.extra_info.update({f"{name}_cpu_s": value for name, value in found.items()}, runs=RUNS, backbone=backbone)
    print(f"{backbone}: " + ", ".join(f"{name} {value:.2f} s" for name, value in found.items()) + " of computing a run")


def computing(configs: list[RunConfig], results: Path) -> float:
    """Seconds that these runs take."""
    before = spent()
    assert {outcome.status for outcome in launcher.run_all(configs, results)} == {"ok"}
    return spent() - before


def spent() -> float:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)
