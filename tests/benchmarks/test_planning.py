"""How much computing it takes to find out that 10,000 runs are done: ``dsbench sweep`` over finished runs.

``pytest -m benchmark_suite tests/benchmarks/test_planning.py -s``; making the runs is not timed. The time is that of computing,
which a busy machine or a slow disk does not change.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dsbench.config import run_id
from dsbench.running.sweep import expand
from tests.reports.synthetic import make_run

pytestmark = pytest.mark.benchmark_suite
BACKBONES = "gpt,s4,s4d,s5,mamba,mamba2,lstm,gru,rnn,mingru"
ENVS = "umbrella,memory-len,memory-size,repeat-first,repeat-previous,door-key,graph-walk,cartpole,key-to-door,key-to-apples"


def test_planning_ten_thousand_finished_runs(benchmark: Any, tmp_path: Path) -> None:
    for config in expand(BACKBONES, ENVS, "100"):
        name = run_id(config)
        made = make_run(tmp_path, config.backbone.name, config.env.name, config.seed, result={"run_id": name})
        (tmp_path / "runs" / made).rename(tmp_path / "runs" / name)
    command = [
        sys.executable, "-m", "dsbench", "sweep", "--backbone", BACKBONES, "--env", ENVS, "--seeds", "100",
        "--results", str(tmp_path),
    ]  # fmt: skip
    seconds: list[float] = []

    def plan() -> None:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        shown = subprocess.run(command, capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert (shown.returncode, shown.stderr) == (0, "")
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    benchmark.pedantic(plan, rounds=2, warmup_rounds=0)
    benchmark.extra_info.update(process_seconds=min(seconds))
    print(f"10,000 runs: {min(seconds):.1f} s of computing")
