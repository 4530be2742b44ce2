"""Speed, measured and never asserted: ``pytest -m benchmark_suite --benchmark-only tests/benchmarks``.

Compare ratios inside one run, not times between runs: machines are shared and noisy. Each benchmark notes the backbone, the
shape and, for a step, whether it is the derived one or the stepper's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from dsbench.backbones import BACKBONES, build
from dsbench.envs import get_spec
from dsbench.envs.data import generate

pytestmark = pytest.mark.benchmark_suite
NAMES = [entry.name for entry in BACKBONES]
SHAPES = [(128, 10), (16, 64), (16, 1024)]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def training_step(forward: Callable[[Tensor], Tensor], rows: int, length: int) -> Callable[[], None]:
    x = torch.randn(rows, length, 64)

    def step() -> None:
        forward(x).sum().backward()

    return step


@pytest.mark.parametrize(("rows", "length"), SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_forward_and_backward(benchmark, name: str, rows: int, length: int) -> None:
    benchmark.group = f"forward and backward, {rows} x {length}, d_model 64, 2 layers"
    benchmark.extra_info.update(backbone=name, batch=rows, length=length, threads=1)
    backbone = build(name, 64)
    benchmark.pedantic(training_step(lambda x: backbone(x)[0], rows, length), rounds=5, warmup_rounds=1)


@pytest.mark.parametrize(("rows", "length"), [(16, 64), (16, 128)])
def test_forward_and_backward_of_transformers_mamba(benchmark, rows: int, length: int) -> None:
    """The yardstick for mamba: its slow path is quadratic in length on a CPU, so name the length with any ratio."""
    transformers = pytest.importorskip("transformers")
    benchmark.group = f"forward and backward, {rows} x {length}, d_model 64, 2 layers"
    model = transformers.MambaModel(transformers.MambaConfig(vocab_size=1, hidden_size=64, num_hidden_layers=2))
    step = training_step(lambda x: model(inputs_embeds=x, use_cache=False).last_hidden_state, rows, length)
    benchmark.pedantic(step, rounds=2, warmup_rounds=0)


@pytest.mark.parametrize("kind", ["step", "stepper"])
@pytest.mark.parametrize("name", NAMES)
def test_one_token(benchmark, name: str, kind: str) -> None:
    benchmark.group = "one token, batch 1, d_model 64, 2 layers"
    benchmark.extra_info.update(backbone=name, kind=kind, threads=1)
    backbone, x = build(name, 64), torch.randn(1, 64)
    stepper, state = backbone.make_stepper(1), backbone.initial_state(1)
    with torch.no_grad():
        benchmark((lambda: stepper.step(x)) if kind == "stepper" else (lambda: backbone.step(x, state)))


@pytest.mark.parametrize("length", [10, 100])
def test_generating_umbrella_episodes(benchmark, length: int) -> None:
    benchmark.group = "1,000 umbrella episodes"
    spec = get_spec("umbrella", chain_length=length)
    benchmark.pedantic(lambda: generate(spec, "random", 1_000, seed=0), rounds=5, warmup_rounds=1)
