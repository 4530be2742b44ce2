"""The Triton kernels against the recurrences themselves, written as loops in float64.

On a machine without a GPU: ``.ci/triton``, or TRITON_INTERPRET=1 in an environment with triton and numpy < 2.4.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dsbench.backbones.kernels.diagonal_triton import diagonal_scan_triton
from dsbench.backbones.kernels.linear_triton import linear_scan_triton
from dsbench.backbones.kernels.selective_triton import selective_scan_triton
from dsbench.backbones.kernels.triton_probe import interpreted, unavailable

MISSING = unavailable()
runs = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
installed = pytest.mark.skipif(MISSING is not None and "imported" in MISSING, reason=str(MISSING))
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
DEVICE = "cpu" if interpreted() else "cuda"

Scan = Callable[..., tuple[Tensor, Tensor]]
Case = tuple[list[Tensor], Tensor | None]
Cases = Callable[..., Case]


def cut(h: Tensor, resets: Tensor | None, t: int) -> Tensor:
    return h if resets is None else torch.where(resets[:, t].view(-1, *[1] * (h.dim() - 1)), 0.0, h)


def selective_loop(*inputs: Tensor) -> tuple[Tensor, Tensor]:
    (u, delta, a, b, c, state, resets), outputs = inputs, []
    for t in range(u.shape[1]):
        drive = torch.einsum("be,bn->ben", delta[:, t] * u[:, t], b[:, t])
        state = torch.exp(delta[:, t, :, None] * a) * cut(state, resets, t) + drive
        outputs.append(torch.einsum("ben,bn->be", state, c[:, t]))
    return torch.stack(outputs, 1), state


def diagonal_loop(z: Tensor, x: Tensor, state: Tensor, resets: Tensor | None) -> tuple[Tensor, Tensor]:
    def complex_of(planar: Tensor) -> Tensor:
        return torch.complex(*planar.chunk(2, -1))

    h, outputs = complex_of(state), []
    for t in range(x.shape[1]):
        h = complex_of(z) * cut(h, resets, t) + complex_of(x[:, t])
        outputs.append(torch.cat([h.real, h.imag], -1))
    return torch.stack(outputs, 1), outputs[-1]


def linear_loop(decay: Tensor, x: Tensor, state: Tensor, resets: Tensor | None) -> tuple[Tensor, Tensor]:
    outputs = []
    for t in range(x.shape[1]):
        state = decay[:, t] * cut(state, resets, t) + x[:, t]
        outputs.append(state)
    return torch.stack(outputs, 1), state


def drawn(shapes: list[tuple[int, ...]], rows: int, length: int, share: float, seed: int) -> Case:
    draw = torch.Generator().manual_seed(seed)
    inputs = [torch.randn(shape, generator=draw, dtype=torch.float64) for shape in shapes]
    return inputs, torch.rand(rows, length, generator=draw) < share if share else None


def selective_case(rows: int, length: int, channels: int, states: int, share: float = 0.2, seed: int = 0) -> Case:
    wide, narrow = (rows, length, channels), (rows, length, states)
    shapes = [wide, wide, (channels, states), narrow, narrow, (rows, channels, states)]
    (u, delta, a, *others), resets = drawn(shapes, rows, length, share, seed)
    return [u, 5 * torch.sigmoid(delta - 2), -a.exp(), *others], resets


def diagonal_case(rows: int, length: int, modes: int, _: int = 0, share: float = 0.2, seed: int = 0) -> Case:
    shapes = [(2 * modes,), (rows, length, 2 * modes), (rows, 2 * modes)]
    (z, *others), resets = drawn(shapes, rows, length, share, seed)
    return [0.6 * torch.tanh(z), *others], resets


def linear_case(rows: int, length: int, channels: int, _: int = 0, share: float = 0.2, seed: int = 0) -> Case:
    shapes = [(rows, length, channels)] * 2 + [(rows, channels)]
    (decay, *others), resets = drawn(shapes, rows, length, share, seed)
    return [torch.sigmoid(decay), *others], resets


SCANS: list[tuple[Scan, Scan, Cases]] = [
    (selective_scan_triton, selective_loop, selective_case),
    (diagonal_scan_triton, diagonal_loop, diagonal_case),
    (linear_scan_triton, linear_loop, linear_case),
]
every_scan = pytest.mark.parametrize(("scan", "loop", "case"), SCANS, ids=["selective", "diagonal", "linear"])


def with_gradients(scan: Scan, inputs: list[Tensor], resets: Tensor | None) -> list[Tensor]:
    """Both results and the gradients of a fixed weighting of them, on the CPU in float64."""
    leaves = [tensor.detach().requires_grad_() for tensor in inputs]
    results = scan(*leaves, resets)
    loss = sum(
        (result * torch.cos(torch.arange(result.numel()).view_as(result)).to(result)).sum() for result in results
    )
    gradients = torch.autograd.grad(loss, leaves)
    return [tensor.detach().double().cpu() for tensor in (*results, *gradients)]


def agree(scan: Scan, loop: Scan, case: Case, dtype: torch.dtype = torch.float64, bound: float = 1e-12) -> None:
    inputs, resets = case
    expected = with_gradients(loop, inputs, resets)
    there = [tensor.to(DEVICE, dtype) for tensor in inputs]
    found = with_gradients(scan, there, None if resets is None else resets.to(DEVICE))
    for ours, reference in zip(found, expected, strict=True):
        assert (ours - reference).abs().max() <= bound * reference.abs().max().clamp_min(1)


@runs
@every_scan
@pytest.mark.parametrize("length", [1, 7, 70])
def test_outputs_state_and_gradients_are_those_of_the_loop(scan: Scan, loop: Scan, case: Cases, length: int) -> None:
    agree(scan, loop, case(2, length, 5, 3))


@runs
@every_scan
def test_without_resets_and_for_more_channels_than_a_block(scan: Scan, loop: Scan, case: Cases) -> None:
    agree(scan, loop, case(1, 10, 37, 16, share=0.0))


@runs
@every_scan
@settings(max_examples=6, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 19), st.integers(1, 9), st.integers(1, 5)),
    share=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 99),
)
def test_ragged_shapes_and_any_resets(
    scan: Scan, loop: Scan, case: Cases, sizes: tuple[int, int, int, int], share: float, seed: int
) -> None:
    agree(scan, loop, case(*sizes, share=share, seed=seed))


@runs
@every_scan
def test_float32_stays_float32_and_close(scan: Scan, loop: Scan, case: Cases) -> None:
    agree(scan, loop, case(2, 30, 6, 4), torch.float32, 1e-5)
    inputs, _ = case(1, 2, 3, 4)
    assert {result.dtype for result in scan(*(tensor.float().to(DEVICE) for tensor in inputs))} == {torch.float32}
    assert {result.dtype for result in scan(*(tensor.bfloat16().to(DEVICE) for tensor in inputs))} == {torch.float32}


@runs
@every_scan
def test_nothing_crosses_a_reset_not_even_nan(scan: Scan, loop: Scan, case: Cases) -> None:
    inputs, _ = case(2, 11, 5, 3)
    resets = torch.zeros(2, 11, dtype=torch.bool)
    resets[:, 0], resets[1, 9] = True, True
    clean = with_gradients(loop, inputs, resets)
    poisoned = [*inputs[:-1], torch.full_like(inputs[-1], float("nan"))]
    found = with_gradients(scan, [tensor.to(DEVICE) for tensor in poisoned], resets.to(DEVICE))
    torch.testing.assert_close(found, clean, rtol=1e-12, atol=1e-12)
    assert not found[-1].any()


@runs
@every_scan
@pytest.mark.parametrize(("rows", "length"), [(0, 4), (2, 0), (0, 0)])
def test_no_rows_and_no_tokens(scan: Scan, loop: Scan, case: Cases, rows: int, length: int) -> None:
    inputs, resets = case(rows, length, 5, 3)
    there = [tensor.to(DEVICE) for tensor in inputs]
    out, last, *gradients = with_gradients(scan, there, None if resets is None else resets.to(DEVICE))
    assert out.shape[:2] == (rows, length) and [len(tensor) for tensor in gradients] == [
        len(tensor) for tensor in inputs
    ]
    assert torch.equal(last, inputs[-1])


@runs
@every_scan
def test_chunks_with_the_state_carried_are_one_pass(scan: Scan, loop: Scan, case: Cases) -> None:
    inputs, resets = case(2, 20, 5, 3)

    def in_two(*arguments: Tensor | None) -> tuple[Tensor, Tensor]:
        *tensors, state, cuts = arguments
        first, second = (
            [t[:, part] if t is not None and t.shape[:2] == (2, 20) else t for t in (*tensors, cuts)]
            for part in (slice(13), slice(13, None))
        )
        out, state = scan(*first[:-1], state, first[-1])
        rest, state = scan(*second[:-1], state, second[-1])
        return torch.cat([out, rest], 1), state

    agree(in_two, loop, (inputs, resets))


@installed
def test_the_kernels_compile_for_a_gpu_that_is_not_here(tmp_path: Path) -> None:
    """Interpreting checks the numbers, not that the compiler takes the kernels: its own process, as that is set at import."""
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


COMPILE = """
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

from dsbench.backbones.kernels.triton import diagonal, linear, selective

scalars = {"length": "i32", "channels": "i32", "modes": "i32", "chunks": "i32", "resets": "*u8"}
for number in ("fp32", "fp64"):
    for module in (selective, diagonal, linear):
        for kernel in (module.forward_kernel, module.backward_kernel):
            known = {"HAS_RESETS": True, "STATES": 3, "CHUNK": 8, "BLOCK_E": 8, "BLOCK_N": 4, "BLOCK": 32}
            sizes = {name: size for name, size in known.items() if name in kernel.arg_names}
            types = {name: "constexpr" if name in sizes else scalars.get(name, "*" + number) for name in kernel.arg_names}
            compile(ASTSource(kernel, types, constexprs=sizes), target=GPUTarget("cuda", 80, 32))
"""


@on_gpu
@runs
@every_scan
@pytest.mark.parametrize("share", [0.0, 0.02])
def test_at_real_sizes_float32_is_close_and_float64_exact(scan: Scan, loop: Scan, case: Cases, share: float) -> None:
    sizes = case(16, 300, 128, 16, share=share)
    agree(scan, loop, sizes, torch.float64, 1e-11)
    agree(scan, loop, sizes, torch.float32, 2e-4)


@on_gpu
@runs
@every_scan
def test_two_runs_give_the_same_bits(scan: Scan, loop: Scan, case: Cases) -> None:
    inputs, resets = case(16, 300, 128, 16)
    there = [tensor.to(DEVICE, torch.float32) for tensor in inputs]
    first, second = (with_gradients(scan, there, resets.to(DEVICE) if resets is not None else None) for _ in range(2))
    assert all(torch.equal(one, two) for one, two in zip(first, second, strict=True))
