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
CHUNKED = 600  # tokens: more than the blocks of any scan here
LONGEST = (
    3_000  # tokens of the longest episode in the catalogue: 1,000 timesteps of a return, an observation, an action
)


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
        return cast(backbone, dtype).eval()

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

    def train(self, backbone: Backbone) -> None:
        """Move every parameter by up to 2.5 in thirty Adam updates, always for the same loss: gates and decays end
        where long training may bring them, some open, some shut."""
        parameters = [parameter for parameter in backbone.parameters() if parameter.requires_grad]
        if not parameters:
            return
        optimiser = torch.optim.Adam(parameters, lr=0.08)
        x = self.tokens()
        projection = self.tokens()
        for _ in range(30):
            optimiser.zero_grad(set_to_none=True)
            (backbone(x)[0] * projection).sum().backward()
            optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    def long_tokens(self, backbone: Backbone) -> Tensor:
        """(1, `LONGEST`, D) tokens, or a quarter of what `backbone` takes if it refuses so many or its outputs are not
        finite: that is what `lengths_beyond_training` finds, and the other checks look at what they are for."""
        x = self.tokens(rows=1, length=LONGEST)
        taken = reach(backbone, x)
        return x if taken == LONGEST else x[:, : max(1, taken // 4)]

    def tokens(self, rows: int = ROWS, length: int = LENGTH, width: int | None = None) -> Tensor:
        """(rows, length, width) normal tokens in float64."""
        shape = (rows, length, width or self.d_model)
        return self.normal(shape)

    def normal(self, shape: tuple[int, ...]) -> Tensor:
        """Normal numbers in float64, from this check's own stream."""
        return torch.randn(shape, generator=self._generator, dtype=torch.float64)

    def scalar(self, y: Tensor) -> Tensor:
        """A random projection of `y`, so that no two gradients cancel by symmetry."""
        weight = torch.randn(y.shape, generator=self._generator, dtype=torch.float64)
        return (y * weight.to(y.dtype)).sum()

    def equal(
        self,
        expected: Tensor,
        actual: Tensor,
        what: str,
        look_for: str,
        bound: float = BOUND,
        nudged: Callable[[], Tensor] | None = None,
    ) -> None:
        """Fail unless max|expected - actual| <= bound * max(1, max|expected|); a NaN in either is a failure.

        Args:
            nudged: gives `expected` for inputs that differ by rounding errors (`nudge`). Where a chaotic map makes much
                of them, a hundred times as much is allowed.
        """
        if expected.shape != actual.shape:
            raise CheckFailed(f"{what}: shapes differ, {tuple(expected.shape)} and {tuple(actual.shape)}. {look_for}")
        if expected.numel() == 0:
            return
        gaps = _gaps(expected, actual)
        allowed = bound * max(1.0, float(expected.detach().abs().max().nan_to_num()))
        worst = self.measured(float(gaps.max()))
        if nudged is not None and not worst <= allowed and expected.isfinite().all():
            allowed = max(allowed, 100.0 * float(_gaps(expected, nudged()).max()))
        if not worst <= allowed:
            place = tuple(int(i) for i in (gaps > allowed).nonzero()[0])
            raise CheckFailed(f"{what}: max difference {worst:.3g} > {allowed:.3g}, first at index {place}. {look_for}")

    def nudge(self, x: Tensor, size: float = 1e-15) -> Tensor:
        """`x` with errors of this relative size, as rounding makes them."""
        return x * (1.0 + size * self.normal(tuple(x.shape)))

    def measured(self, difference: float) -> float:
        """Keep the largest difference for the report."""
        self._worst = max(self._worst or 0.0, difference)
        return difference

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


@torch.no_grad()
def reach(backbone: Backbone, x: Tensor) -> int:
    """How many tokens of `x` forward takes and maps to finite numbers, from the first one on."""

    def works(length: int) -> bool:
        try:
            return bool(backbone(x[:, :length])[0].isfinite().all())
        except Exception:
            return False

    good, bad = 0, x.shape[1] + 1
    while bad - good > 1:
        middle = x.shape[1] if bad > x.shape[1] else (good + bad) // 2
        good, bad = (middle, bad) if works(middle) else (good, middle)
    return good


def _gaps(expected: Tensor, actual: Tensor) -> Tensor:
    return (expected - actual).detach().abs().to(torch.float64).nan_to_num(nan=torch.inf)


def silence_dropout(backbone: Backbone) -> None:
    """Set the rate of every dropout module to zero, so that train() mode can be compared with itself."""
    for module in backbone.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0


def parts(backbone: Backbone) -> list[tuple[str, Backbone]]:
    """The backbone and every backbone inside it, with a name to print."""
    found = [(name, module) for name, module in backbone.named_modules() if isinstance(module, Backbone)]
    return [(f"{type(module).__name__}{f' ({name})' if name else ''}", module) for name, module in found]


def cast(backbone: Backbone, dtype: torch.dtype) -> Backbone:
    """`backbone` itself with all its parameters and buffers in `dtype`, complex ones in the complex type beside it."""
    # Module.double() leaves complex parameters in single precision.
    complex_dtype = torch.complex128 if dtype == torch.float64 else torch.complex64

    def convert(tensor: Tensor) -> Tensor:
        if tensor.is_complex():
            return tensor.to(complex_dtype)
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    apply: Any = backbone._apply
    apply(convert)
    return backbone
