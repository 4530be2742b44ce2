"""Every way to run an operation on this machine's CPU, with the compiled library once for each instruction set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings
from torch import Tensor

from dsbench.backbones.kernels import c_library
from dsbench.backbones.kernels.choice import Operation

# A route's fixture may live through all examples: it holds nothing that an example changes.
few_examples = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def routes(operation: Operation) -> list[Any]:
    """Parameters for a test that takes the name of a route."""
    working = [route.name for route in operation.routes if route.serves("cpu") and route.missing is None]
    names = [name for name in working if name not in ("c", "triton")]
    sets = [] if c_library.unavailable() else c_library.library().instruction_sets()
    return [pytest.param(name, id=name) for name in [*names, *(f"c:{one}" for one in sets)]]


def scan_of(operation: Operation, route: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The function of a route; ``c:avx2`` is the compiled one with that instruction set."""
    name, _, instruction_set = route.partition(":")
    if instruction_set:
        monkeypatch.setattr(c_library.library(), "chosen_set", instruction_set)
    return operation.choose(name, "cpu")[0]


def gradients(scan: Callable[..., Any], tensors: Sequence[Tensor], resets: Tensor | None) -> tuple[Tensor, ...]:
    """Of a sum in which every output and every entry of the last state weighs differently; zero where nothing depends."""
    leaves = [x.detach().clone().requires_grad_() for x in tensors]
    results = scan(*leaves, resets)
    weights = [torch.linspace(-0.5, 1.5, x.numel(), dtype=x.dtype).view(x.shape) for x in results]
    loss = sum((x * weight).sum() for x, weight in zip(results, weights, strict=True))
    return torch.autograd.grad(loss, leaves, materialize_grads=True)


def agree(
    scan: Callable[..., Any], tensors: Sequence[Tensor], oracle: Callable[..., Any], resets: Tensor | None, bound: float
) -> None:
    """Results and gradients of a scan are those of the oracle, which gets the same numbers in float64, to a bound."""
    exact = [x.double() for x in tensors]
    found = [*scan(*tensors, resets), *gradients(scan, tensors, resets)]
    expected = [*oracle(*exact, resets), *gradients(oracle, exact, resets)]
    for one, other in zip(found, expected, strict=True):
        close(one.double(), other, bound)


def close(actual: Tensor, expected: Tensor, bound: float) -> None:
    """max|actual - expected| <= bound * max(1, max|expected|)."""
    assert actual.shape == expected.shape
    if expected.numel():
        gap, scale = (actual - expected).abs().max().item(), max(1.0, expected.abs().max().item())
        assert gap <= bound * scale, f"{gap:.3g} > {bound:.3g} * {scale:.3g}"


def random_resets(generator: torch.Generator, rows: int, length: int, share: float) -> Tensor | None:
    """(rows, length) bool, or None for a share of zero."""
    return None if share == 0 else torch.rand(rows, length, generator=generator) < share


@contextmanager
def threads(count: int) -> Iterator[None]:
    """torch, and with it the compiled library, uses `count` threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
