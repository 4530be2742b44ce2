"""Checks of what training and checkpoints rely on: gradients, parameter groups, determinism, state_dict."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from dsbench.backbones.check.probe import (
    CHUNKED,
    GRADIENT_BOUND,
    LENGTH,
    ROWS,
    CheckFailed,
    Probe,
    silence_dropout,
    unroll,
)
from dsbench.backbones.contract import Backbone
from dsbench.backbones.state import State, flatten, leaves, map_state


def gradients_reach_every_parameter(probe: Probe) -> None:
    """Every trainable parameter gets a finite gradient that is not zero, through forward and through step."""
    for view in ("forward", "step"):
        gradients = gradients_through(probe.backbone, view, probe.tokens(), probe.tokens())[2]
        for name, gradient in gradients.items():
            if gradient is None or not gradient.any():
                found = "no gradient" if gradient is None else "a gradient of exactly 0"
                raise CheckFailed(
                    f"parameter {name} gets {found} through {view}, expected a number other than 0. "
                    "Look for an unused parameter, detach(), .data, no_grad; freeze it if it shall not learn"
                )
            if not gradient.isfinite().all():
                bad = int((~gradient.isfinite()).sum())
                raise CheckFailed(
                    f"parameter {name}: {bad} entries of its gradient through {view} are not finite, expected 0. "
                    "Look for sqrt, log or a division at zero"
                )


def gradients_of_views_agree(probe: Probe) -> None:
    """forward, scan, parallel and unrolled step have the same derivatives, for the tokens and for every parameter."""
    x, projection = probe.tokens(), probe.tokens()
    silence_dropout(probe.backbone)
    _, for_x, for_parameters = gradients_through(probe.backbone.train(), "forward", x, projection)
    for view in ("step", "scan", "parallel"):
        _, x_too, parameters_too = gradients_through(probe.backbone, view, x, projection)
        hint = f"Look for a detach() or no_grad in forward or {view}"
        probe.equal(for_x, x_too, f"gradient for the tokens, forward against {view}", hint, GRADIENT_BOUND)
        for name, expected in for_parameters.items():
            actual = parameters_too[name]
            if expected is not None and actual is not None:
                what = f"gradient for {name}, forward against {view}"
                probe.equal(expected, actual, what, hint, GRADIENT_BOUND)


def gradients_of_chunks_agree(probe: Probe) -> None:
    """forward in one has the derivatives of forward in chunks that carry the state on, for the state passed in too."""
    silence_dropout(probe.backbone)
    with torch.no_grad():
        _, before = probe.backbone(probe.tokens(rows=1, length=5))
    x = probe.long_tokens(probe.backbone)[:, :CHUNKED]
    projection = probe.tokens(1, x.shape[1])
    names = [name for name, parameter in probe.backbone.named_parameters() if parameter.requires_grad]
    names = ["the tokens", *(f"the state passed in ({path})" for path in flatten(before)), *names]
    probe.backbone.train()
    whole = carried_gradients(probe.backbone, x, before, projection, [x.shape[1]])
    chunked = carried_gradients(probe.backbone, x, before, projection, CHUNKS)
    nudged = cache(lambda: carried_gradients(probe.backbone, probe.nudge(x), before, projection, [x.shape[1]]))
    hint = "Look for a detach() of the state that forward takes or returns, or a backward of long rows alone"
    for i, name in enumerate(names):
        what = f"gradient for {name} over {x.shape[1]} tokens, whole and in chunks"
        probe.equal(whole[i], chunked[i], what, hint, GRADIENT_BOUND, lambda i=i: nudged()[i])  # type: ignore[misc]


CHUNKS = [1, 12, 3, 16, 64]  # tokens; the last size goes on


def carried_gradients(
    backbone: Backbone, x: Tensor, before: State, projection: Tensor, sizes: list[int]
) -> list[Tensor]:
    """Gradients for the tokens, the leaves of the state passed in and the parameters, in chunks of these sizes."""
    x, state = x.clone().requires_grad_(), map_state(_with_gradient, before)
    sources = [x, *leaves(state), *(p for p in backbone.parameters() if p.requires_grad)]
    outputs: list[Tensor] = []
    begin = 0
    while begin < x.shape[1]:
        size = sizes[min(len(outputs), len(sizes) - 1)]
        y, state = backbone(x[:, begin : begin + size], state)
        outputs.append(y)
        begin += size
    loss = (torch.cat(outputs, 1) * projection).sum()
    wanted = [source for source in sources if source.requires_grad]
    found = dict(zip(map(id, wanted), torch.autograd.grad(loss, wanted, allow_unused=True), strict=True))
    return [torch.zeros_like(s) if found.get(id(s)) is None else found[id(s)] for s in sources]


def no_gradient_crosses_a_reset(probe: Probe) -> None:
    """Outputs from a reset on have no gradient for earlier tokens nor for the state passed in."""
    backbone, at = probe.backbone, LENGTH // 2
    with torch.no_grad():
        _, before = backbone(probe.tokens())
    state = map_state(_with_gradient, before)
    x = probe.tokens().requires_grad_()
    resets = torch.zeros(ROWS, LENGTH, dtype=torch.bool)
    resets[:, at] = True
    y = backbone(x, state, resets)[0][:, at:]
    sources = [x, *(leaf for leaf in leaves(state) if leaf.requires_grad)]
    gradients = torch.autograd.grad(probe.scalar(y), sources, allow_unused=True)
    hint = "The old state must go out of the graph: torch.where, or runs that never see it"
    probe.zero(None if gradients[0] is None else gradients[0][:, :at], "gradient for tokens before a reset", hint)
    for gradient in gradients[1:]:
        probe.zero(gradient, "gradient for the state passed in before a reset", hint)


@torch.no_grad()
def eval_deterministic(probe: Probe) -> None:
    """In eval mode the same call gives the same bits."""
    x = probe.tokens()
    for view in ("forward", "step"):
        one, other = (_run(probe.backbone, view, x) for _ in range(2))
        if not torch.equal(one, other):
            gap = float((one - other).abs().max())
            raise CheckFailed(
                f"two calls of {view} in eval mode differ by {gap:.3g}, expected 0. "
                "Look for dropout or noise that ignores self.training, or for a value kept from the last call"
            )


@torch.no_grad()
def state_dict_round_trip(probe: Probe) -> None:
    """A fresh instance with the parameters of a trained one gives the same bits."""
    x, other = probe.tokens(), probe.fresh(stream="another init")
    other.load_state_dict(probe.backbone.state_dict())
    for view in ("forward", "step"):
        one, two = _run(probe.backbone, view, x), _run(other, view, x)
        if not torch.equal(one, two):
            gap = float((one - two).abs().max())
            raise CheckFailed(
                f"{view} of a fresh instance after load_state_dict differs by {gap:.3g}, expected 0. "
                "Look for tensors that are neither parameters nor buffers (persistent=False is not saved)"
            )


def param_groups_complete(probe: Probe) -> None:
    """`param_groups` has every trainable parameter once, with a name, an lr_scale > 0 and a decay switch."""
    seen: dict[int, int] = {}
    for group in probe.backbone.param_groups():
        missing = {"name", "params", "lr_scale", "decay"} - group.keys()
        if missing or not group["lr_scale"] > 0:
            raise CheckFailed(f"parameter group {group.get('name')!r} lacks {sorted(missing)} or has no lr_scale > 0")
        for parameter in group["params"]:
            seen[id(parameter)] = seen.get(id(parameter), 0) + 1
    wrong = {
        name: seen.pop(id(parameter), 0)
        for name, parameter in probe.backbone.named_parameters()
        if parameter.requires_grad and seen.get(id(parameter), 0) != 1
    }
    if wrong:
        raise CheckFailed(f"param_groups holds these parameters another number of times than 1: {wrong}")


def gradients_through(
    backbone: Backbone, view: str, x: Tensor, projection: Tensor
) -> tuple[Tensor, Tensor, dict[str, Tensor | None]]:
    """Outputs of a view, in the parameters' dtype, and gradients of their projection: for the tokens, and for each
    trainable parameter by name."""
    dtype = next((p.dtype for p in backbone.parameters() if p.is_floating_point()), x.dtype)
    x = x.to(dtype).clone().requires_grad_()
    named = [(name, parameter) for name, parameter in backbone.named_parameters() if parameter.requires_grad]
    y = _run(backbone, view, x)
    loss = (y * projection.to(y.dtype)).sum()
    if not loss.requires_grad:
        raise CheckFailed(f"no gradient reaches the tokens through {view}. Look for detach(), .data or no_grad")
    for_x, *for_parameters = torch.autograd.grad(loss, [x, *(p for _, p in named)], allow_unused=True)
    if for_x is None:
        raise CheckFailed(f"no gradient reaches the tokens through {view}. Look for detach(), .data or no_grad")
    return y.detach(), for_x, dict(zip((name for name, _ in named), for_parameters, strict=True))


def _run(backbone: Backbone, view: str, x: Tensor) -> Tensor:
    if view == "scan":
        return backbone.scan(x, backbone.initial_state(x.shape[0]))[0]
    if view == "parallel":
        return backbone.parallel(x)
    return backbone(x)[0] if view == "forward" else unroll(backbone, x)[0]


def _with_gradient(leaf: Tensor) -> Tensor:
    leaf = leaf.detach().clone()
    return leaf.requires_grad_() if leaf.is_floating_point() or leaf.is_complex() else leaf
