"""The compiled recurrences give the same bits with any number of threads: what rows share is summed in their order."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor

from dsbench.backbones.kernels import c_library
from dsbench.backbones.kernels.channels_c import channel_system_c
from dsbench.backbones.kernels.diagonal_c import diagonal_scan_c
from dsbench.backbones.kernels.gates_c import gate_c, softplus_bias_c
from dsbench.backbones.kernels.linear_c import linear_scan_c
from dsbench.backbones.kernels.selective_c import selective_scan_c
from dsbench.backbones.kernels.short_convolution_c import short_convolution_c
from dsbench.backbones.s4d import DiagonalSystem
from tests.backbones.kernels.routes import gradients, random_resets, threads

pytestmark = pytest.mark.skipif(c_library.unavailable() is not None, reason=str(c_library.unavailable()))
ROWS, LENGTH, WIDTH, MODES = (
    19,
    50,
    206,
    17,
)  # uneven for every number of threads; torch too sums over rows with threads
TOKENS = (ROWS, LENGTH, WIDTH)


# Signs and factors are all that may happen to numbers out here: torch's other functions round by where a thread begins.
def channels(size: Tensor, angle: Tensor, b: Tensor, c: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor]:
    u, state, resets = rest
    return channel_system_c(DiagonalSystem(-size, angle, (b, b), (c, c)), u, state, resets)


def selective(u: Tensor, delta: Tensor, a: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor]:
    return selective_scan_c(u, delta, -a, *rest)


def diagonal(z: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor]:
    return diagonal_scan_c(0.7 * z, *rest)


def softplus(x: Tensor, bias: Tensor, resets: Tensor) -> tuple[Tensor]:
    return (softplus_bias_c(x, bias),)


def gate(y: Tensor, u: Tensor, d: Tensor, z: Tensor, resets: Tensor) -> tuple[Tensor]:
    return (gate_c(y, u, d, z),)


PARAMETERS, NARROW = (WIDTH, MODES), (ROWS, LENGTH, MODES)
SHAPES: dict[Callable[..., Any], list[tuple[int, ...]]] = {
    channels: [*[PARAMETERS] * 4, TOKENS, (ROWS, WIDTH, 2 * MODES)],
    selective: [TOKENS, TOKENS, PARAMETERS, NARROW, NARROW, (ROWS, WIDTH, MODES)],
    diagonal: [(WIDTH,), TOKENS, (ROWS, WIDTH)],
    linear_scan_c: [TOKENS, TOKENS, (ROWS, WIDTH)],
    softplus: [TOKENS, (WIDTH,)],
    gate: [TOKENS, TOKENS, (WIDTH,), TOKENS],
    short_convolution_c: [TOKENS, (4, WIDTH), (WIDTH,), (ROWS, 3, WIDTH)],
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scan", SHAPES, ids=lambda scan: scan.__name__)
def test_results_and_gradients_have_the_same_bits_with_one_two_and_three_threads(
    scan: Callable[..., Any], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_over = 0
    submit = ThreadPoolExecutor.submit

    def counted(*arguments: Any) -> Future[Any]:
        nonlocal handed_over
        handed_over += 1
        return submit(*arguments)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", counted)
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.rand(shape, generator=generator, dtype=dtype) for shape in SHAPES[scan]]
    resets = random_resets(generator, ROWS, LENGTH, 0.02)
    found = []
    for count in (1, 2, 3):
        handed_over = 0
        with threads(count):
            found.append([*scan(*tensors, resets), *gradients(scan, tensors, resets)])
        assert (handed_over > 0) == (count > 1)  # a second thread was really used
    for other in found[1:]:
        assert all(torch.equal(one, two) for one, two in zip(found[0], other, strict=True))
