"""Checks in float32, in which runs train: against float64, over a few tokens and over the longest episode."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from dsbench.backbones.check.probe import CHUNKED, CheckFailed, Probe, cast, silence_dropout
from dsbench.backbones.check.training import carried_gradients, gradients_through
from dsbench.backbones.contract import Backbone

OUTPUTS, GRADIENTS = 1e-4, 1e-3  # allowed over a few tokens, of the largest entry
DRIFT = 2e-5  # allowed of outputs over a long row; ten times what built-ins with short memories have
TIMES_THE_STEP = 10.0  # of the stepper's own error, where it is larger, as with memories of thousands of tokens
LONG_GRADIENTS = 0.05  # over hundreds of tokens: wrong, not rounded, beyond it
AGREE = 1e-3  # outputs must do, of the largest one, before gradients over hundreds of tokens are compared


@dataclass(frozen=True)
class Run:
    """One view of a backbone on tokens, with the gradients of a projection of its outputs."""

    probe: Probe
    backbone: Backbone
    view: str
    x: Tensor
    projection: Tensor

    def values(self, backbone: Backbone | None = None, nudge: float = 0.0) -> dict[str, Tensor]:
        """Outputs and gradients by name, of another backbone or for tokens with errors of this size."""
        backbone, x = backbone or self.backbone, self.probe.nudge(self.x, nudge) if nudge else self.x
        y, for_x, for_parameters = gradients_through(backbone, self.view, x, self.projection)
        found = {"outputs": y, "gradient for the tokens": for_x}
        for name, parameter in backbone.named_parameters():
            if parameter.requires_grad:
                gradient = for_parameters[name]
                found[f"gradient for {name}"] = torch.zeros_like(parameter) if gradient is None else gradient
        return {name: value.detach() for name, value in found.items()}

    def compare(self, single: Backbone, hint: str, outputs: float, gradients: float) -> None:
        """Fail unless `single`, the same in float32, has the same outputs and gradients, each of its own size."""
        expected, actual = self.values(), self.values(single)
        nudged = cache(lambda: self.values(nudge=1e-7))
        for name, value in expected.items():
            scale = max(float(value.abs().max()), 1e-6)
            self.probe.equal(
                value / scale,
                actual[name].to(value.dtype) / scale,
                f"{name} through {self.view} of {self.x.shape[1]} tokens "
                "in float32 against float64, relative to the largest entry",
                hint,
                outputs if name == "outputs" else gradients,
                lambda name=name, scale=scale: nudged()[name] / scale,  # type: ignore[misc]
            )


def float32_equals_float64(probe: Probe) -> None:
    """In float32, values and the gradient of every parameter are those of float64, through forward and through step."""
    silence_dropout(probe.backbone)
    single = cast(copy.deepcopy(probe.backbone), torch.float32)
    x, projection = probe.tokens(), probe.tokens()
    hint = "Look for a cast to a narrow type, or a float32 kernel that computes, or differentiates, something else"
    for view in ("forward", "step"):
        double = Run(probe, probe.backbone.train(), view, x, projection)
        double.compare(single.train(), hint, OUTPUTS, GRADIENTS)


def float32_over_long_episodes(probe: Probe) -> None:
    """Over the longest episode in float32, forward as it trains is as near to float64 as the stepper that acts."""
    silence_dropout(probe.backbone)
    x = probe.long_tokens(probe.backbone)
    _float32_forward(probe, x, always_step=True)
    _float32_gradients(probe, x)


def float32_after_training(probe: Probe) -> None:
    """The same after thirty large updates: with gates and decays, open or shut, where training may bring them."""
    silence_dropout(probe.backbone)
    probe.train(probe.backbone)
    _float32_forward(probe, probe.long_tokens(probe.backbone), always_step=False)


@torch.no_grad()
def _float32_forward(probe: Probe, x: Tensor, always_step: bool) -> None:
    backbone, tokens = cast(copy.deepcopy(probe.backbone), torch.float32), x.float()
    expected, y = probe.backbone.eval()(x)[0], backbone.train()(tokens)[0].to(torch.float64)
    scale = max(1.0, float(expected.abs().max()))
    error, allowed = _error(y, expected) / scale, DRIFT
    if always_step or not error <= allowed:
        stepped = _acted(backbone.eval(), tokens).to(torch.float64)
        if always_step:
            _finite(stepped, "the stepper")
        # Training may make an honest recurrence grow without bound: forward need not last longer than the stepper.
        kept = max(1, _finite_tokens(stepped) // 2) if _finite_tokens(stepped) < x.shape[1] else x.shape[1]
        y, stepped, expected = y[:, :kept], stepped[:, :kept], expected[:, :kept]
        scale = max(1.0, float(expected.abs().max()))
        error = _error(y, expected) / scale
        allowed = max(allowed, TIMES_THE_STEP * _error(stepped, expected) / scale)
    _finite(y, "forward")
    probe.measured(error)
    if not error <= allowed:
        gaps = (y - expected).abs().amax(-1)[0] / scale
        raise CheckFailed(
            f"forward in float32 is {error:.2g} of its largest output away from float64 over {x.shape[1]:,} tokens, more "
            f"than {allowed:.2g} (ten times the stepper's own error, at least {DRIFT:g}) from token "
            f"{int((gaps > allowed).nonzero()[0])} on. Look for sums or products over the whole row whose differences "
            "or ratios are taken; scan in blocks"
        )


def _acted(backbone: Backbone, x: Tensor) -> Tensor:
    """Outputs of the stepper that acts."""
    stepper, outputs = backbone.make_stepper(len(x)), []
    for token, x_t in enumerate(x.unbind(1)):
        try:
            outputs.append(stepper.step(x_t))
        except Exception as error:
            raise CheckFailed(
                f"the stepper raises {type(error).__name__} at token {token} of {x.shape[1]:,}, which forward takes: "
                f"{error}. Look for a table of positions, or a buffer, that ends"
            ) from error
    return torch.stack(outputs, 1)


def _error(y: Tensor, expected: Tensor) -> float:
    return float((y - expected).abs().max())


def _float32_gradients(probe: Probe, x: Tensor) -> None:
    """Finite over the whole row, and over a part of it not another function's: rounding is no matter here."""
    projection, single = probe.tokens(1, x.shape[1]), cast(copy.deepcopy(probe.backbone), torch.float32).train()
    hint = "Look for a division, log or exp in the backward pass that float32 cannot hold, and for kernels of float32"
    for name, found in Run(probe, single, "forward", x, projection).values().items():
        if not found.isfinite().all() and not _explodes(probe.backbone, x, projection):
            raise CheckFailed(f"{name} through forward over {x.shape[1]:,} tokens in float32 is not finite. {hint}")
    double = Run(probe, probe.backbone.train(), "forward", x[:, :CHUNKED], projection[:, :CHUNKED])
    y, y_32 = double.values()["outputs"], double.values(single)["outputs"]
    if _error(y, y_32) <= AGREE * max(1.0, float(y.abs().max())):
        double.compare(single, hint, AGREE, LONG_GRADIENTS)


def _explodes(backbone: Backbone, x: Tensor, projection: Tensor) -> bool:
    """Whether gradients in float64, chunk by chunk, leave the range of float32 because the recurrence itself grows."""
    found = carried_gradients(backbone.train(), x, backbone.initial_state(1), projection, [CHUNKED // 10])
    return not all(float(gradient.abs().max()) < 1e30 for gradient in found if gradient.numel())


def _finite_tokens(y: Tensor) -> int:
    """How many tokens from the first one on are finite in all rows."""
    bad = (~y.isfinite()).any(-1).any(0).nonzero()
    return int(bad[0]) if len(bad) else y.shape[1]


def _finite(y: Tensor, view: str) -> None:
    if _finite_tokens(y) < y.shape[1]:
        raise CheckFailed(
            f"{view} in float32 is not finite from token {_finite_tokens(y)} of {y.shape[1]:,} on; in float64 it is. Look "
            "for products over the whole row and their ratios, or exp of a sum over it; scan in blocks"
        )
