"""Checks over the longest episode of any task: lengths, and in float32 what is trained against what acts."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from dsbench.backbones.check.probe import CHUNKED, LONGEST, CheckFailed, Probe, cast, reach, silence_dropout, unroll
from dsbench.backbones.check.states import same_size
from dsbench.backbones.check.training import gradients_through
from dsbench.backbones.contract import Backbone
from dsbench.backbones.state import State, cat_rows

SEGMENT = 60  # tokens between the states from which rows of steps start
FLOAT32 = 1e-4  # allowed between float32 and float64 over a few tokens, of the largest output
DRIFT = 2e-5  # allowed over a long row; ten times what built-ins with short memories have
TIMES_THE_STEP = 10.0  # of the stepper's own error, where it is larger, as with memories of thousands of tokens
FLOAT32_GRADIENT = 0.05  # of a parameter's largest entry over thousands of tokens; wrong, not rounded, beyond it
AGREE = 1e-3  # outputs must do, of the largest one, before gradients in float32 and float64 are compared


@torch.no_grad()
def lengths_beyond_training(probe: Probe) -> None:
    """Rows as long as the longest episode of any task are taken, finite, and equal to the unrolled step."""
    backbone, x = probe.backbone, probe.tokens(rows=1, length=LONGEST)
    y = _long_outputs(backbone, x)
    hint = "Look for a growing mode, a window or a kernel that forward cuts and step does not"
    outputs, states, state = [], [], None
    for chunk in x.split(SEGMENT, 1):
        states.append(backbone.initial_state(1) if state is None else state)
        same_size(backbone, states[-1], SEGMENT * (len(states) - 1), "forward")
        y_chunk, state = backbone(chunk, state)
        outputs.append(y_chunk)
    probe.equal(y, torch.cat(outputs, 1), f"forward of {LONGEST:,} tokens against chunks of {SEGMENT}", hint)
    # Every segment is a row, so that few steps cover all places; each goes on into the next one, whose state it meets.
    starts = torch.arange(0, LONGEST - SEGMENT, SEGMENT).unsqueeze(1) + torch.arange(SEGMENT + 3)
    stepped = _steps(backbone, x, x[0][starts], cat_rows(*states[:-1]))
    probe.equal(y[0][starts], stepped, f"forward of {LONGEST:,} tokens against steps from every {SEGMENT}th", hint)


def _long_outputs(backbone: Backbone, x: Tensor) -> Tensor:
    """Finite outputs of `x`, or a failure that names the least length without them and what is wrong with it."""
    try:
        y = backbone(x)[0]
        found = f"{int((~y.isfinite()).sum())} outputs are not finite"
        if y.isfinite().all():
            return y
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
    taken = reach(backbone, x)
    raise CheckFailed(
        f"forward takes {taken:,} tokens and no more, and tasks have episodes of up to {LONGEST:,} (then: {found}). "
        "Look for a table of positions that ends, a growing mode, products over the whole row"
    )


def _steps(backbone: Backbone, x: Tensor, segments: Tensor, states: State) -> Tensor:
    """Steps of the rows `segments` from `states`; one that raises is looked for from the first token of `x` on."""
    try:
        return unroll(backbone, segments, states)[0]
    except Exception:
        state = backbone.initial_state(1)
        for token, x_t in enumerate(x.unbind(1)):
            try:
                _, state = backbone.step(x_t, state)
            except Exception as error:
                raise CheckFailed(
                    f"step raises {type(error).__name__} at token {token} of {x.shape[1]:,}, which forward takes: {error}. "
                    "Look for a table of positions, or a buffer, that ends earlier in step"
                ) from error
        raise


@torch.no_grad()
def _acted(backbone: Backbone, x: Tensor) -> Tensor:
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


def float32_equals_float64(probe: Probe) -> None:
    """In float32, values and the gradient of every parameter are those of float64, through forward and through step."""
    silence_dropout(probe.backbone)
    single = cast(copy.deepcopy(probe.backbone), torch.float32)
    x, projection = probe.tokens(), probe.tokens()
    hint = "Look for a cast to a narrow type, or a float32 kernel that computes, or differentiates, something else"
    for view in ("forward", "step"):
        values = []
        for backbone in (probe.backbone.train(), single.train()):
            values.append(gradients_through(backbone, view, x, projection))
        (y, for_x, for_parameters), (y_32, for_x_32, for_parameters_32) = values
        _near(probe, y, y_32, f"{view} in float32 against float64", hint, FLOAT32)
        _near(probe, for_x, for_x_32, f"gradient for the tokens through {view} in float32", hint, 10 * FLOAT32)
        for name, expected in for_parameters.items():
            if expected is not None:
                what = f"gradient for {name} through {view} in float32"
                _near(probe, expected, for_parameters_32[name], what, hint, 10 * FLOAT32)


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
    expected = probe.backbone.eval()(x)[0]
    y = backbone.train()(tokens)[0].to(torch.float64)
    _finite(y, "forward")
    scale = max(1.0, float(expected.abs().max()))
    error, allowed = float((y - expected).abs().max()) / scale, DRIFT
    probe.measured(error)
    if always_step or error > allowed:
        stepped = _acted(backbone.eval(), tokens).to(torch.float64)
        _finite(stepped, "the stepper")
        allowed = max(allowed, TIMES_THE_STEP * float((stepped - expected).abs().max()) / scale)
    if not error <= allowed:
        gaps = (y - expected).abs().amax(-1)[0] / scale
        raise CheckFailed(
            f"forward in float32 is {error:.2g} of its largest output away from float64 over {x.shape[1]:,} tokens, more "
            f"than {allowed:.2g} (ten times the stepper's own error, at least {DRIFT:g}) from token "
            f"{int((gaps > allowed).nonzero()[0])} on. Look for sums or products over the whole row whose differences "
            "or ratios are taken; scan in blocks"
        )


def _float32_gradients(probe: Probe, x: Tensor) -> None:
    """Finite over the whole row, and over a part of it not another function's: rounding is no matter here."""
    projection, single = probe.tokens(1, x.shape[1]), cast(copy.deepcopy(probe.backbone), torch.float32).train()
    hint = "Look for a division, log or exp in the backward pass that float32 cannot hold, and for kernels of float32"
    for name, gradient in gradients_through(single, "forward", x, projection)[2].items():
        if gradient is not None and not gradient.isfinite().all():
            raise CheckFailed(f"gradient for {name} over {x.shape[1]:,} tokens in float32 is not finite. {hint}")
    x, projection = x[:, :CHUNKED], projection[:, :CHUNKED]
    y, _, expected = gradients_through(probe.backbone.train(), "forward", x, projection)
    y_32, _, actual = gradients_through(single, "forward", x, projection)
    if float((y - y_32).abs().max()) > AGREE * max(1.0, float(y.abs().max())):
        return
    for name, gradient in expected.items():
        if gradient is not None:
            what = f"gradient for {name} over {x.shape[1]:,} tokens in float32"
            _near(probe, gradient, actual[name], what, hint, FLOAT32_GRADIENT)


def _finite(y: Tensor, view: str) -> None:
    if not y.isfinite().all():
        token = int((~y.isfinite()).any(-1).any(0).nonzero()[0])
        raise CheckFailed(
            f"{view} in float32 is not finite from token {token} of {y.shape[1]:,} on; in float64 it is. Look for "
            "products over the whole row and their ratios, or exp of a sum over it; scan in blocks"
        )


def _near(probe: Probe, expected: Tensor, actual: Tensor | None, what: str, hint: str, bound: float) -> None:
    """As `Probe.equal`, relative to the largest entry, however small; None, a gradient that does not exist, is zero."""
    actual = torch.zeros_like(expected) if actual is None else actual.to(expected.dtype)
    scale = max(float(expected.detach().abs().max()), 1e-6)
    probe.equal(expected / scale, actual / scale, what, hint, bound)
