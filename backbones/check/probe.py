"""What the checks of a backbone share: instances under test, random tokens from streams of their own, comparisons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from dsbench.backbones.contract import Backbone
from dsbench.backbones.state import State
from dsbench.seeds import seed_for

BOUND = 1e-10  # max|a - b| <= BOUND * max(1, max|a|), in float64
GRADIENT_BOUND = 1e-8  # derivatives of a long recurrence lose about two digits more than its values
ROWS, LENGTH = 3, 13


class CheckFailed(Exception):
    """A property does not hold; the message has the measured number, the bound and what to look for."""


class Probe:
    """One check's view of the backbone: an instance in float64 and eval mode, inputs, and the worst gap seen so far.

    Args:
        make: builds a fresh instance in float32.
        d_model: width of its tokens.
        seed: root of all random streams of this check.
        name: the check's own stream, so that checks do not depend on each other's order.
    """

    def __init__(self, make: Callable[[], Backbone], d_model: int, seed: int, name: str) -> None:
        self._make, self.d_model, self._seed, self._name = make, d_model, seed, name
        self._generator = torch.Generator().manual_seed(seed_for(seed, "check", name))
        self._worst: float | None = None
        self.backbone = self.fresh()

    def fresh(self, dtype: torch.dtype = torch.float64, stream: str = "init") -> Backbone:
        """A new instance in eval mode; equal for equal `stream`. Global generators stay as they were."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_for(self._seed, "check", stream))
            backbone = self._make()
        return _cast(backbone, dtype).eval()

    def update(self, backbone: Backbone) -> None:
        """Use `backbone` in every view, then change all its parameters by one optimiser update, with no change of
        mode in between: whatever it cached before, it has to see the new parameters after."""
        x = self.tokens()
        with torch.no_grad():
            backbone(x)
            unroll(backbone, x[:, :3])
            stepper = backbone.make_stepper(ROWS)
            stepper.step(x[:, 0])
        parameters = [parameter for parameter in backbone.parameters() if parameter.requires_grad]
        if not parameters:
            return
        optimiser = torch.optim.Adam(parameters, lr=0.02)
        self.scalar(backbone(x)[0]).backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    def tokens(self, rows: int = ROWS, length: int = LENGTH, width: int | None = None) -> Tensor:
        """(rows, length, width) normal tokens in float64."""
        shape = (rows, length, width or self.d_model)
        return torch.randn(shape, generator=self._generator, dtype=torch.float64)

    def scalar(self, y: Tensor) -> Tensor:
        """A random projection of `y`, so that no two gradients cancel by symmetry."""
        weight = torch.randn(y.shape, generator=self._generator, dtype=torch.float64)
        return (y * weight.to(y.dtype)).sum()

    def equal(self, expected: Tensor, actual: Tensor, what: str, look_for: str, bound: float = BOUND) -> None:
        """Fail unless max|expected - actual| <= bound * max(1, max|expected|); a NaN in either is a failure."""
        if expected.shape != actual.shape:
            raise CheckFailed(f"{what}: shapes differ, {tuple(expected.shape)} and {tuple(actual.shape)}. {look_for}")
        if expected.numel() == 0:
            return
        gaps = (expected - actual).detach().abs().to(torch.float64).nan_to_num(nan=torch.inf)
        allowed = bound * max(1.0, float(expected.detach().abs().max().nan_to_num()))
        worst = float(gaps.max())
        self._worst = max(self._worst or 0.0, worst)
        if not worst <= allowed:
            place = tuple(int(i) for i in (gaps > allowed).nonzero()[0])
            raise CheckFailed(f"{what}: max difference {worst:.3g} > {allowed:.3g}, first at index {place}. {look_for}")

    def zero(self, value: Tensor | None, what: str, look_for: str) -> None:
        """Fail unless max|value| <= BOUND (None, a gradient that does not exist, is zero)."""
        if value is not None:
            self.equal(torch.zeros_like(value), value, what, look_for)

    def detail(self) -> str:
        """What was measured, for a check that passed."""
        return "" if self._worst is None else f"max difference {self._worst:.2g}"


def unroll(backbone: Backbone, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
    """The recurrent view of `x` (B, L, D), token by token."""
    if state is None:
        state = backbone.initial_state(x.shape[0])
    outputs = []
    for x_t in x.unbind(1):
        y_t, state = backbone.step(x_t, state)
        outputs.append(y_t)
    return torch.stack(outputs, 1), state


def silence_dropout(backbone: Backbone) -> None:
    """Set the rate of every dropout module to zero, so that train() mode can be compared with itself."""
    for module in backbone.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0


def parts(backbone: Backbone) -> list[tuple[str, Backbone]]:
    """The backbone and every backbone inside it, with a name to print."""
    found = [(name, module) for name, module in backbone.named_modules() if isinstance(module, Backbone)]
    return [(f"{type(module).__name__}{f' ({name})' if name else ''}", module) for name, module in found]


def _cast(backbone: Backbone, dtype: torch.dtype) -> Backbone:
    # Module.double() leaves complex parameters in single precision.
    complex_dtype = torch.complex128 if dtype == torch.float64 else torch.complex64

    def cast(tensor: Tensor) -> Tensor:
        if tensor.is_complex():
            return tensor.to(complex_dtype)
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    apply: Any = backbone._apply
    apply(cast)
    return backbone
