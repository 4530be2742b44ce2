"""Speed, measured and never asserted: ``pytest -m benchmark_suite --benchmark-only tests/benchmarks``.

Compare ratios inside one run, not times between runs: machines are shared and noisy. Each benchmark notes the backbone, the
shape and, for a step, whether it is the derived one or the stepper's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from dsbench.backbones import BACKBONES, build
from tests.benchmarks import cells
from tests.benchmarks.rivals import Run

pytestmark = pytest.mark.benchmark_suite
NAMES = [entry.name for entry in BACKBONES]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def contestants() -> list[Any]:
    """What takes part in each comparison of `ratios.py`, the rival first."""
    return [
        pytest.param(cell, name, make, id=f"{cell.name}-{name}")
        for cell in cells.every_cell()
        for name, make in [(cell.rival, cell.make_rival), *((name, make) for name, (make, _) in cell.ours.items())]
    ]


@pytest.mark.parametrize(("cell", "name", "make"), contestants())
def test_forward_and_backward(benchmark, cell: cells.Cell, name: str, make: Callable[[], Run]) -> None:
    if "transformers" in name:
        pytest.importorskip("transformers")
    benchmark.group = cell.name
    benchmark.extra_info.update(contestant=name, threads=1)
    benchmark.pedantic(make(), rounds=2 if cell.slow else 5, warmup_rounds=1)


@pytest.mark.parametrize("kind", ["step", "stepper"])
@pytest.mark.parametrize("name", NAMES)
def test_one_token(benchmark, name: str, kind: str) -> None:
    benchmark.group = "one token, batch 1, d_model 64, 2 layers"
    benchmark.extra_info.update(backbone=name, kind=kind, threads=1)
    backbone, x = build(name, 64), torch.randn(1, 64)
    stepper, state = backbone.make_stepper(1), backbone.initial_state(1)
    with torch.no_grad():
        benchmark((lambda: stepper.step(x)) if kind == "stepper" else (lambda: backbone.step(x, state)))
