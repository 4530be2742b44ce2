"""One decision step, measured and never asserted:

    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE pytest -m benchmark_suite --benchmark-only tests/benchmarks/test_step.py

A round is `steps.CALLS` decisions; ``step_us`` in the JSON (``--benchmark-json FILE``) is a round's median over their number.
Compare ratios inside one run: `ratios.py` has the contestants interleaved. A transformer's time for a decision is given for
one token a timestep (dsbench's ``joint`` layout) and for three (``separate``, and what DecisionTransformerModel does).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.benchmarks import steps

pytestmark = pytest.mark.benchmark_suite


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def measure(benchmark, run: steps.Run, rounds: int, **notes: object) -> None:
    benchmark.extra_info.update(calls=steps.CALLS, threads=1, **notes)
    benchmark.pedantic(run, rounds=rounds, warmup_rounds=1)
    if benchmark.stats is not None:
        benchmark.extra_info.update(step_us=1e6 * benchmark.stats.stats.median / steps.CALLS)


@pytest.mark.parametrize("rows", [1, 64])
@pytest.mark.parametrize("kind", ["eager", "compiled"])
@pytest.mark.parametrize("name", steps.RECURRENT)
def test_step(benchmark, name: str, kind: str, rows: int) -> None:
    if kind == "compiled":
        pytest.importorskip("onnxruntime")
    benchmark.group = f"{steps.CALLS} steps, batch {rows}, d_model {steps.D_MODEL}, {steps.N_LAYERS} layers"
    measure(benchmark, steps.recurrent(name, rows)[kind](), 20, backbone=name, kind=kind, batch=rows)


@pytest.mark.parametrize("context", steps.CONTEXTS)
@pytest.mark.parametrize("kind", list(steps.transformer(1)))
def test_transformer(benchmark, kind: str, context: int) -> None:
    pytest.importorskip("transformers" if "Transformer" in kind else "onnxruntime" if "compiled" in kind else "torch")
    benchmark.group = f"{steps.CALLS} decisions of a transformer, {context} timesteps, d_model {steps.D_MODEL}"
    measure(benchmark, steps.transformer(context)[kind](), 5, kind=kind, context=context)
