"""Checks of gradients against difference quotients: what autograd gives is the derivative of what forward computes.

For a scalar loss F, a tensor p and a random direction v, in float64:

    (F(p + h v) - F(p - h v)) / 2h  =  <dF/dp, v>  +  O(h^2)  +  rounding / h

The quotients on both sides of p differ by O(h) where F is smooth and by the jump of its slope at a kink (ReLU, max,
clamp); that gap is allowed for, and where it is large another direction and a smaller h are tried.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from dsbench.backbones.check.probe import ROWS, CheckFailed, Probe, silence_dropout
from dsbench.backbones.state import State, flatten, map_state

STEP, LONG_STEP = 1e-6, 1e-7  # h; over thousands of tokens a smaller one, as many more kinks lie within reach
RELATIVE = 1e-5  # allowed between the two derivatives, of the larger or of what a random direction gives on average
ROUNDING = 2e-14  # of one output of size 1 in float64
TRIES = 4
Groups: TypeAlias = dict[str, list[Tensor]]  # tensors that move together, by the name that a message gives them
HINT = (
    "Look for detach(), .data or no_grad on the way, or an autograd.Function whose backward belongs to another function"
)


class Slope(NamedTuple):
    """One directional derivative: by autograd, by differences, and how far the two may lie apart."""

    automatic: float
    numerical: float
    allowed: float
    smooth: bool

    @property
    def wrong(self) -> bool:
        return self.smooth and not abs(self.automatic - self.numerical) <= self.allowed

    def numbers(self) -> str:
        return f"{self.automatic:.6g} by autograd, {self.numerical:.6g} by differences (allowed gap {self.allowed:.2g})"


def gradients_equal_differences(probe: Probe) -> None:
    """Autograd gives the derivative of what is computed: for every parameter, the tokens and the state passed in."""
    backbone, x, more = probe.backbone, probe.tokens(), probe.tokens(length=2)
    silence_dropout(backbone)
    with torch.no_grad():
        _, before = backbone(probe.tokens(length=5))
    state = map_state(torch.clone, before)
    resets = torch.zeros(ROWS, x.shape[1], dtype=torch.bool)
    resets[0, 4] = resets[1, [0, 9]] = True
    passed = {f"the state passed in ({path})" if path else "the state passed in": leaf for path, leaf in _real(state)}
    parameters = {name: parameter for name, parameter in backbone.named_parameters() if parameter.requires_grad}

    def with_resets() -> Tensor:
        y, after = backbone(x, state, resets)
        return torch.cat([y, backbone(more, after)[0]], 1)

    backbone.train()
    alone: Groups = {name: [tensor] for name, tensor in ({"the tokens": x} | passed).items()}
    one_by_one: Groups = {name: [parameter] for name, parameter in parameters.items()}
    together: Groups = {"all parameters together": list(parameters.values())} if parameters else {}
    _compare(probe, "forward", lambda: backbone(x)[0], {"the tokens": [x]} | one_by_one)
    _compare(probe, "forward with a state and resets", with_resets, alone | together)


def gradients_through_time(probe: Probe) -> None:
    """Over the longest episode, the gradient for every token, however far back, is the derivative by differences."""
    backbone = probe.backbone
    silence_dropout(backbone)
    x = probe.long_tokens(backbone)
    backbone.train()
    weight = probe.tokens(1, x.shape[1])

    def run() -> Tensor:
        return backbone(x)[0]

    slope = _slope(probe, run, weight, [x], _gradients(run, weight, [x]), LONG_STEP)
    if not slope.wrong:
        return
    length = _first(x.shape[1], lambda n: _tokens_wrong(probe, x[:, :n], weight[:, :n], 0))
    where = f"through {x.shape[1]:,} tokens" if length is None else _where(probe, x[:, :length], weight)
    raise CheckFailed(f"gradient {where}: {slope.numbers()} over {x.shape[1]:,} tokens. {HINT}")


def _where(probe: Probe, x: Tensor, weight: Tensor) -> str:
    """Which tokens the last output of `x` has a wrong gradient for: how far back the first of them lies."""
    last = torch.zeros_like(x)
    last[:, -1] = weight[:, x.shape[1] - 1]
    near = _first(x.shape[1], lambda n: _tokens_wrong(probe, x, last, x.shape[1] - n))
    back = "tokens before it" if near is None else f"the token {near - 1} before it" if near > 1 else "its own token"
    return f"of output {x.shape[1] - 1} for {back}"


def _tokens_wrong(probe: Probe, x: Tensor, weight: Tensor, begin: int) -> bool:
    """Whether derivatives of the weighted outputs of `x` for its tokens from `begin` on are wrong."""
    moved = x[:, begin:].clone()

    def run() -> Tensor:
        return probe.backbone(torch.cat([x[:, :begin], moved], 1))[0]

    return _slope(probe, run, weight, [moved], _gradients(run, weight, [moved]), STEP).wrong


def _first(most: int, holds: Callable[[int], bool]) -> int | None:
    """The least n in 1..most with `holds(n)`, which once true stays true; None if it is never true."""
    if not holds(most):
        return None
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _compare(probe: Probe, view: str, run: Callable[[], Tensor], groups: Groups) -> None:
    """Fail with every group of tensors for which the two derivatives of a random projection of `run()` differ."""
    weight = probe.tokens(ROWS, run().shape[1])
    flat = [tensor for tensors in groups.values() for tensor in tensors]
    gradients = iter(_gradients(run, weight, flat))
    slopes = {
        name: _slope(probe, run, weight, tensors, [next(gradients) for _ in tensors], STEP)
        for name, tensors in groups.items()
    }
    for name, slope in slopes.items():
        if not slope.smooth:
            raise CheckFailed(
                f"{name} through {view}: in {TRIES} random directions the slopes on both sides differ, so there is no "
                "derivative. Look for rounding, a cast to a narrow type, or a switch that lies exactly at this point"
            )
    wrong = [name for name, slope in slopes.items() if slope.wrong]
    if wrong:
        more = f", as for {len(wrong) - 1} more of {len(slopes)} ({', '.join(wrong[1:4])})" if wrong[1:] else ""
        raise CheckFailed(f"gradient for {wrong[0]} through {view}: {slopes[wrong[0]].numbers()}{more}. {HINT}")


def _slope(
    probe: Probe,
    run: Callable[[], Tensor],
    weight: Tensor,
    tensors: list[Tensor],
    gradients: list[Tensor],
    step: float,
) -> Slope:
    """Both derivatives of ``(run() * weight).sum()`` along one direction for all `tensors` together; where the slopes on
    both sides differ, along another one and nearer: less curvature, and fewer kinks within reach."""
    for attempt in range(TRIES):
        directions = [_direction(probe, tensor) for tensor in tensors]
        slope = _along(run, weight, list(zip(tensors, gradients, directions, strict=True)), step / 3**attempt)
        if slope.smooth:
            break
    probe.measured(abs(slope.automatic - slope.numerical))
    return slope


def _gradients(run: Callable[[], Tensor], weight: Tensor, tensors: list[Tensor]) -> list[Tensor]:
    needed = [tensor.requires_grad for tensor in tensors]
    for tensor in tensors:
        tensor.requires_grad_()
    try:
        loss = (run() * weight).sum()
        found = torch.autograd.grad(loss, tensors, allow_unused=True) if loss.requires_grad else [None] * len(tensors)
    finally:
        for tensor, before in zip(tensors, needed, strict=True):
            tensor.requires_grad_(before)
    return [torch.zeros_like(t) if g is None else g for t, g in zip(tensors, found, strict=True)]


@torch.no_grad()
def _along(run: Callable[[], Tensor], weight: Tensor, moves: list[tuple[Tensor, Tensor, Tensor]], step: float) -> Slope:
    kept = [tensor.clone() for tensor, _, _ in moves]

    def loss(size: float) -> float:
        for (tensor, _, direction), value in zip(moves, kept, strict=True):
            tensor.copy_(value + size * direction)
        return float((run() * weight).sum())

    y = run()
    here, above, below = float((y * weight).sum()), loss(step), loss(-step)
    loss(0.0)
    pairs = [(torch.view_as_real(g * v.conj())[..., 0] if g.is_complex() else g * v) for _, g, v in moves]
    automatic = sum(float(pair.sum()) for pair in pairs)
    typical = math.sqrt(sum(float(pair.square().sum()) for pair in pairs))
    right, left = (above - here) / step, (here - below) / step
    numerical, gap = (right + left) / 2, abs(right - left)
    if not math.isfinite(automatic):
        return Slope(automatic, numerical, 0.0, smooth=True)
    size = max(abs(numerical), abs(automatic), typical)
    noise = ROUNDING * math.sqrt(weight.numel()) * max(1.0, float(y.abs().max())) / step
    return Slope(automatic, numerical, RELATIVE * size + gap + noise, smooth=gap <= 1e-3 * size + 4 * noise)


def _direction(probe: Probe, tensor: Tensor) -> Tensor:
    """Normal numbers of the size of the entries of `tensor`; entries that are not finite stay as they are."""
    values = torch.view_as_real(tensor.detach()) if tensor.is_complex() else tensor.detach()
    finite = values.isfinite()
    size = float(values[finite].square().mean().sqrt()) if finite.any() else 0.0
    v = torch.where(finite, probe.normal(values.shape), 0.0) * max(size, 0.1)
    return torch.view_as_complex(v) if tensor.is_complex() else v


def _real(state: State) -> Iterator[tuple[str, Tensor]]:
    """The leaves with numbers that have derivatives, by their paths."""
    for path, leaf in flatten(state).items():
        if leaf.numel() and (leaf.is_floating_point() or leaf.is_complex()):
            yield path, leaf
