"""The check over the longest episode of any task: lengths, chunks and steps, in float64."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from dsbench.backbones.check.probe import LONGEST, CheckFailed, Probe, reach, unroll
from dsbench.backbones.check.states import same_size
from dsbench.backbones.contract import Backbone
from dsbench.backbones.state import State, cat_rows

SEGMENT = 60  # tokens between the states from which rows of steps start


@torch.no_grad()
def lengths_beyond_training(probe: Probe) -> None:
    """Rows as long as the longest episode of any task are taken, finite, and equal to the unrolled step."""
    backbone, x = probe.backbone, probe.tokens(rows=1, length=LONGEST)
    y = _long_outputs(backbone, x)
    hint = "Look for a growing mode, a window or a kernel that forward cuts and step does not"
    nudged = cache(lambda: backbone(probe.nudge(x))[0])
    outputs, states, state = [], [], None
    for chunk in x.split(SEGMENT, 1):
        states.append(backbone.initial_state(1) if state is None else state)
        same_size(backbone, states[-1], SEGMENT * (len(states) - 1), "forward")
        y_chunk, state = backbone(chunk, state)
        outputs.append(y_chunk)
    what = f"forward of {LONGEST:,} tokens against"
    probe.equal(y, torch.cat(outputs, 1), f"{what} chunks of {SEGMENT}", hint, nudged=nudged)
    # Every segment is a row, so that few steps cover all places; each goes on into the next one, whose state it meets.
    starts = torch.arange(0, LONGEST - SEGMENT, SEGMENT).unsqueeze(1) + torch.arange(SEGMENT + 3)
    stepped = _steps(backbone, x, x[0][starts], cat_rows(*states[:-1]))
    what = f"{what} steps from every {SEGMENT}th"
    probe.equal(y[0][starts], stepped, what, hint, nudged=lambda: nudged()[0][starts])


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
