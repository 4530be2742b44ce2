"""How long the whole report of 10,000 runs takes, from reading to the last file: page, Markdown, figures and tables.

``pytest -m benchmark_suite tests/benchmarks/test_report.py -s``; making the runs is not timed. Wall-clock seconds and those of
this process alone are in the ``extra_info`` of ``--benchmark-json``: a busy machine moves only the first.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from dsbench.cli import main
from tests.reports.synthetic import make_runs

pytestmark = pytest.mark.benchmark_suite


@pytest.mark.parametrize(("backbones", "envs", "seeds"), [(10, 10, 10), (10, 10, 100)], ids=["1,000", "10,000"])
def test_report_of_many_runs(benchmark: Any, tmp_path: Path, backbones: int, envs: int, seeds: int) -> None:
    runs = make_runs(tmp_path / "results", backbones, envs, seeds)
    seconds: list[float] = []

    def report() -> None:
        begin = time.process_time()
        assert main(["report", str(tmp_path / "results"), "--out", str(tmp_path / "report")]) == 0
        seconds.append(time.process_time() - begin)

    benchmark.pedantic(report, rounds=2, warmup_rounds=0)
    benchmark.extra_info.update(runs=runs, process_seconds=min(seconds))
    print(f"{runs:,} runs: {benchmark.stats['min']:.1f} s, of them {min(seconds):.1f} s of this process")
