"""The recurrences on a GPU beside the least time that their traffic allows: ``pytest -m benchmark_suite tests/benchmarks``.

A round is `CALLS` forward and backward passes, started one after the other and waited for once: where a single call takes
less than some 50 us the figure is the cost of starting kernels, not of running them. The bound is the bytes that have to be
read and written, over the 3.0 TB/s of a device copy on an H100; ``of_bound`` is bound over median, for one call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from dsbench.backbones.kernels import selective_mamba_ssm, triton_probe
from dsbench.backbones.kernels.diagonal_triton import diagonal_scan_triton
from dsbench.backbones.kernels.linear_triton import linear_scan_triton
from dsbench.backbones.kernels.selective_triton import selective_scan_triton

pytestmark = [
    pytest.mark.benchmark_suite,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
DEVICE, BANDWIDTH, CALLS = "cuda", 3.0e12, 20
SHAPES = [(16, 64), (16, 1024), (16, 4096), (256, 1024)]


@dataclass(frozen=True)
class Work:
    """Inputs of a scan and the bytes of a forward and a backward pass that reads and writes every tensor once."""

    inputs: list[Tensor]
    bytes: int


def selective(rows: int, length: int, channels: int = 128, states: int = 16) -> Work:
    wide, narrow = (rows, length, channels), (rows, length, states)
    shapes = [wide, wide, (channels, states), narrow, narrow, (rows, channels, states)]
    inputs = [torch.randn(shape, device=DEVICE) for shape in shapes]
    inputs[1], inputs[2] = torch.sigmoid(inputs[1]), -inputs[2].exp()
    inputs[5].zero_()
    return Work(inputs, 4 * rows * length * ((3 + 5) * channels + (2 + 4) * states))


def diagonal(rows: int, length: int, modes: int = 64) -> Work:
    shapes = [(2 * modes,), (rows, length, 2 * modes), (rows, 2 * modes)]
    inputs = [torch.randn(shape, device=DEVICE) for shape in shapes]
    return Work([0.3 * inputs[0].clamp(-2, 2), *inputs[1:]], 4 * rows * length * (2 + 3) * 2 * modes)


def linear(rows: int, length: int, channels: int = 128) -> Work:
    shapes = [(rows, length, channels)] * 2 + [(rows, channels)]
    inputs = [torch.randn(shape, device=DEVICE) for shape in shapes]
    return Work([torch.sigmoid(inputs[0]), *inputs[1:]], 4 * rows * length * (3 + 5) * channels)


def measure(benchmark, scan: Callable[..., tuple[Tensor, Tensor]], work: Work, leaves: int) -> None:
    inputs = [tensor.requires_grad_(place < leaves) for place, tensor in enumerate(work.inputs)]
    weight = torch.ones_like(scan(*inputs)[0])

    def calls() -> None:
        for _ in range(CALLS):
            torch.autograd.grad(scan(*inputs)[0], inputs[:leaves], weight)
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    bound = work.bytes / BANDWIDTH
    benchmark.extra_info.update(bound_us=1e6 * bound, calls=CALLS)
    benchmark.pedantic(calls, rounds=20, warmup_rounds=3)
    if benchmark.stats is not None:
        each = benchmark.stats.stats.median / CALLS
        benchmark.extra_info.update(each_us=1e6 * each, of_bound=bound / each, bytes_per_second=work.bytes / each)


def require(reason: str | None) -> None:
    if reason is not None:
        pytest.skip(reason)


@pytest.mark.parametrize(("rows", "length"), SHAPES)
@pytest.mark.parametrize("name", ["triton", "mamba_ssm"])
def test_selective_scan(benchmark, name: str, rows: int, length: int) -> None:
    benchmark.group = f"selective scan on a GPU, {rows} x {length}, 128 channels, 16 states"
    if name == "triton":
        require(triton_probe.unavailable())
        measure(benchmark, selective_scan_triton, selective(rows, length), 5)
    else:
        require(selective_mamba_ssm.unavailable())
        scan = selective_mamba_ssm.selective_scan_mamba_ssm
        measure(benchmark, lambda *inputs: scan(*inputs[:5]), selective(rows, length), 5)


@pytest.mark.parametrize(("rows", "length"), SHAPES)
def test_diagonal_scan(benchmark, rows: int, length: int) -> None:
    benchmark.group = f"diagonal scan on a GPU, {rows} x {length}, 64 complex states"
    require(triton_probe.unavailable())
    measure(benchmark, diagonal_scan_triton, diagonal(rows, length), 3)


@pytest.mark.parametrize(("rows", "length"), SHAPES)
def test_linear_scan(benchmark, rows: int, length: int) -> None:
    benchmark.group = f"linear scan on a GPU, {rows} x {length}, 128 channels"
    require(triton_probe.unavailable())
    measure(benchmark, linear_scan_triton, linear(rows, length), 3)
