"""Checks of the state as a value: rows, resets, purity, size, round trips and the stepper."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

from dsbench.backbones.check.probe import LENGTH, ROWS, CheckFailed, Probe, silence_dropout, unroll
from dsbench.backbones.contract import Backbone
from dsbench.backbones.state import (
    State,
    cat_rows,
    clone_state,
    flatten,
    leaves,
    map_state,
    nbytes,
    take_rows,
    unflatten,
)


@torch.no_grad()
def reset_drops_the_state(probe: Probe) -> None:
    """After a reset nothing of the old state is left, and rows without one keep theirs, in forward and in `reset`."""
    backbone, x, done = probe.backbone, probe.tokens(), torch.tensor([True, False, True])
    _, old = backbone(10.0 * probe.tokens())
    fresh, kept = unroll(backbone, x)[0], unroll(backbone, x, old)[0]
    expected = torch.where(done.view(-1, 1, 1), fresh, kept)
    hint = "Look for a reset that scales the old state instead of replacing it by initial_state"
    probe.equal(expected, unroll(backbone, x, backbone.reset(old, done))[0], "steps after reset(state, done)", hint)
    resets = torch.zeros(ROWS, LENGTH, dtype=torch.bool)
    resets[:, 0] = done
    probe.equal(expected, backbone(x, old, resets)[0], "forward with a reset at column 0 and a state", hint)


@torch.no_grad()
def nan_does_not_survive_a_reset(probe: Probe) -> None:
    """NaN and inf in the old state of a row are gone after its reset, at column 0, later in the row and in `reset`."""
    backbone, x, more = probe.backbone, probe.tokens(), probe.tokens(length=3)
    _, clean = backbone(probe.tokens())
    resets = torch.zeros(ROWS, LENGTH, dtype=torch.bool)
    resets[0, 0] = resets[1, 5] = True
    expected, after = backbone(x, clean, resets)
    expected_more = unroll(backbone, more, after)[0]
    hint = "Reset with torch.where, never by multiplication or a mask that is added or multiplied: 0 * nan is nan"
    for value in (torch.nan, torch.inf, -torch.inf):
        poisoned = map_state(lambda leaf, value=value: _poison(leaf, [0, 1], value), clean)
        y, after = backbone(x, poisoned, resets)
        probe.equal(expected[0], y[0], f"{value} in the old state, reset at column 0", hint)
        probe.equal(expected[1, 5:], y[1, 5:], f"{value} in the old state, reset at column 5", hint)
        probe.equal(expected[2], y[2], f"{value} in the old state of other rows", hint)
        probe.equal(expected_more, unroll(backbone, more, after)[0], f"{value} in the old state, tokens later", hint)
        done = torch.tensor([True, True, False])
        wanted = unroll(backbone, more, backbone.reset(clean, done))[0]
        probe.equal(wanted, unroll(backbone, more, backbone.reset(poisoned, done))[0], f"reset() of {value}", hint)


def _poison(leaf: Tensor, rows: list[int], value: float) -> Tensor:
    leaf = leaf.clone()
    if leaf.is_floating_point() or leaf.is_complex():
        leaf[rows] = value
    return leaf


@torch.no_grad()
def rows_independent(probe: Probe) -> None:
    """A row alone gives what it gives in a batch, in train() mode too (dropout set to zero)."""
    x = probe.tokens()
    silence_dropout(probe.backbone)
    for training in (True, False):
        probe.backbone.train(training)
        for row in range(ROWS):
            mode = "train" if training else "eval"
            together, alone = probe.backbone(x)[0][row], probe.backbone(x[row : row + 1])[0][0]
            probe.equal(together, alone, f"row {row} in a batch and alone, {mode} mode", "Look for batch statistics")


@torch.no_grad()
def inputs_not_mutated(probe: Probe) -> None:
    """forward, scan, parallel, step and reset leave tokens, state and resets bitwise as they were."""
    backbone, x = probe.backbone, probe.tokens()
    _, state = backbone(probe.tokens())
    resets = torch.zeros(ROWS, LENGTH, dtype=torch.bool)
    resets[0, 4] = resets[1, 0] = True
    done = resets[:, 0].clone()
    arguments: State = {"tokens": x, "state": state, "resets": resets, "done": done}
    before = clone_state(arguments)
    calls: dict[str, Callable[[], object]] = {
        "forward": lambda: backbone(x, state, resets),
        "forward without resets": lambda: backbone(x, state),
        "scan": lambda: backbone.scan(x, state),
        "parallel": lambda: backbone.parallel(x),
        "step": lambda: backbone.step(x[:, 0], state),
        "reset": lambda: backbone.reset(state, done),
    }
    for name, call in calls.items():
        call()
        for (path, old), new in zip(flatten(before).items(), leaves(arguments), strict=True):
            if not torch.equal(old, new):
                count = int((old != new).sum())
                raise CheckFailed(
                    f"{name} changed {count} entries of its argument {path}, expected 0. "
                    "Look for in-place operations (+=, mul_, copy_, x[...] = ...) on arguments or views of them"
                )


@torch.no_grad()
def batch_axis_first(probe: Probe) -> None:
    """Axis 0 of every leaf is the batch, so states can be taken apart and put together by rows."""
    backbone, x, more = probe.backbone, probe.tokens(rows=4), probe.tokens(rows=4, length=3)
    hint = "Put the batch first in every leaf (torch.nn.LSTM and GRU put it second)"
    three, five = flatten(backbone.initial_state(3)), flatten(backbone.initial_state(5))
    for path, leaf in five.items():
        shapes = tuple(three[path].shape), tuple(leaf.shape)
        if leaf.dim() == 0 or shapes != ((3, *leaf.shape[1:]), (5, *leaf.shape[1:])):
            raise CheckFailed(f"state leaf {path!r} has shapes {shapes} for 3 and 5 rows. {hint}")
    _, state = unroll(backbone, x)
    for path, leaf in flatten(state).items():
        if leaf.shape[0] != 4:
            raise CheckFailed(f"state leaf {path!r} has shape {tuple(leaf.shape)} after a step of 4 rows. {hint}")
    expected, rows = unroll(backbone, more, state)[0], torch.tensor([2, 0])
    taken = unroll(backbone, more[rows], take_rows(state, rows))[0]
    probe.equal(expected[rows], taken, "rows 2 and 0 taken out of a state", hint)
    halves = cat_rows(unroll(backbone, x[:1])[1], unroll(backbone, x[1:])[1])
    probe.equal(expected, unroll(backbone, more, halves)[0], "a state put together from two", hint)


@torch.no_grad()
def state_round_trip(probe: Probe) -> None:
    """flatten and unflatten give the same state back, bit by bit, with only ``initial_state(1)`` as the pattern."""
    _, state = probe.backbone(probe.tokens())
    flat = flatten(state)
    if len(flat) != len(list(leaves(state))):
        raise CheckFailed(f"{len(list(leaves(state)))} leaves flatten to {len(flat)} names. Keys must not contain '/'")
    back = unflatten(flat, probe.backbone.initial_state(1))
    if not all(torch.equal(one, other) for one, other in zip(leaves(state), leaves(back), strict=True)):
        raise CheckFailed("a leaf changed in flatten and unflatten. Give initial_state the structure of later states")


@torch.no_grad()
def state_size_constant(probe: Probe) -> None:
    """Shapes and bytes of the state stay those of the initial one, in forward over the longest episode and in step, and
    the module itself keeps no more tensors after the same calls again."""
    backbone, x = probe.backbone, probe.long_tokens(probe.backbone)
    sizes, held = [], []
    for length in (x.shape[1], 1, 5, 50, 50):
        for view, (_, state) in (
            ("forward", backbone(x[:, :length])),
            ("step", unroll(backbone, x[:, : min(length, 50)])),
        ):
            same_size(backbone, state, length, view)
            sizes.append(nbytes(state))
        held.append(sum(_entries(vars(module)) for module in backbone.modules()))
    if len(set(sizes)) != 1:
        raise CheckFailed(f"state bytes vary with the number of tokens: {sizes}, expected one number. Keep the dtypes")
    if held[-1] != held[-2]:
        raise CheckFailed(
            f"the module keeps {held[-1] - held[-2]} more numbers after the same calls again, expected 0. "
            "Look for a list or cache on self that grows; what depends on the past belongs into the state"
        )


def same_size(backbone: Backbone, state: State, length: int, view: str) -> None:
    """Fail unless the leaves of `state` have the shapes of the initial state."""
    expected = {path: tuple(leaf.shape[1:]) for path, leaf in flatten(backbone.initial_state(1)).items()}
    shapes = {path: tuple(leaf.shape[1:]) for path, leaf in flatten(state).items()}
    if shapes != expected:
        raise CheckFailed(
            f"state after {length:,} tokens by {view} is {shapes} a row, initial_state is {expected}. "
            "Reserve what is needed at the start and keep a count"
        )


def _entries(found: object) -> int:
    """Numbers in the tensors that a module's attributes hold, by containers too; submodules count for themselves."""
    if isinstance(found, Tensor):
        return found.numel()
    if isinstance(found, dict):
        return sum(map(_entries, found.values()))
    return sum(map(_entries, found)) if isinstance(found, list | tuple | set | deque) else 0


@torch.no_grad()
def stepper_equals_step(probe: Probe) -> None:
    """A stepper gives what `step` and `reset` give, rows reset at different times, and can be saved and loaded."""
    backbone, x = probe.backbone, probe.tokens()
    resets = torch.zeros(ROWS, LENGTH, dtype=torch.bool)
    resets[0, [3, 4]] = resets[1, [0, 4, 9]] = True
    stepper, state = backbone.make_stepper(ROWS), backbone.initial_state(ROWS)
    hint = "Look for buffers that a reset leaves as they are, or that state() and load() share"
    for t in range(LENGTH):
        if resets[:, t].any():
            stepper.reset(resets[:, t])
            state = backbone.reset(state, resets[:, t])
        if t == LENGTH // 2:
            saved = stepper.state()
            copy = clone_state(saved)
            stepper.step(x[:, 0])
            if not all(torch.equal(one, other) for one, other in zip(leaves(saved), leaves(copy), strict=True)):
                raise CheckFailed(f"a state from stepper.state() changed in a later step. {hint}")
            stepper = backbone.make_stepper(ROWS)
            stepper.load(saved)
        y_t, state = backbone.step(x[:, t], state)
        probe.equal(y_t, stepper.step(x[:, t]), f"stepper against step, token {t}", hint)
    last = unroll(backbone, x, stepper.state())[0]
    probe.equal(unroll(backbone, x, state)[0], last, "steps from stepper.state()", hint)
