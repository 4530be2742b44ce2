"""Checks that all views of a backbone are one causal function, with and without resets."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from dsbench.backbones.check.probe import LENGTH, ROWS, CheckFailed, Probe, parts, silence_dropout, unroll
from dsbench.backbones.contract import Backbone
from dsbench.backbones.state import State, leaves, take_rows
from dsbench.errors import UsageError


def construction(probe: Probe) -> None:
    """`d_model` is kept, and tokens of another width are refused with both numbers."""
    given, wrong = probe.d_model, probe.d_model + 3
    if getattr(probe.backbone, "d_model", None) != given:
        raise CheckFailed(f"built with d_model={given}, .d_model is not {given}. Call super().__init__(d_model)")
    hint = "Call self.check_input(x, resets) first in an overridden forward"
    try:
        probe.backbone(probe.tokens(width=wrong))
    except UsageError as error:
        if str(given) not in str(error) or str(wrong) not in str(error):
            raise CheckFailed(f"the refusal of width {wrong} names not both {given} and {wrong}: {error}") from error
    except Exception as error:
        raise CheckFailed(
            f"tokens of width {wrong} for d_model={given}: {type(error).__name__}, expected UsageError. {hint}"
        ) from error
    else:
        raise CheckFailed(f"tokens of width {wrong} were accepted, d_model is {given}. {hint}")


def shape_and_dtype(probe: Probe) -> None:
    """Outputs have the shape and the dtype of the tokens, for any length, in float32 and float64."""
    for dtype in (torch.float32, torch.float64):
        backbone = probe.fresh(dtype)
        for length in (1, 2, LENGTH):
            x = probe.tokens(length=length).to(dtype)
            y, state = backbone(x)
            _same_kind(x, y, "forward")
            _same_kind(x[:, 0], backbone.step(x[:, 0], state)[0], "step")
            if dtype == torch.float64 and any(leaf.dtype in _NARROW for leaf in leaves(state)):
                found = sorted({str(leaf.dtype) for leaf in leaves(state)})
                raise CheckFailed(f"a float64 backbone keeps a state of {found}. Make it in the parameters' dtype")


_NARROW = (torch.float32, torch.float16, torch.bfloat16, torch.complex64)


def _same_kind(x: Tensor, y: Tensor, view: str) -> None:
    if y.shape != x.shape or y.dtype != x.dtype:
        raise CheckFailed(f"{view} maps {x.dtype} {tuple(x.shape)} to {y.dtype} {tuple(y.shape)}, expected the same")


def causality(probe: Probe) -> None:
    """No output depends on a later token or a later reset: by perturbation, in eval and train mode, and by gradient."""
    hint = "Look for a missing or shifted causal mask, centred padding, a norm over time"
    x, resets = probe.tokens(), _reset_pattern()[:ROWS]
    silence_dropout(probe.backbone)
    for training in (False, True):
        probe.backbone.train(training)
        for starts in (None, resets):
            y = probe.backbone(x, None, starts)[0]
            for i in (1, LENGTH // 2, LENGTH - 1):
                changed = torch.cat([x[:, :i], probe.tokens(length=LENGTH - i)], 1)
                flipped = None if starts is None else torch.cat([starts[:, :i], ~starts[:, i:]], 1)
                other = probe.backbone(changed, None, flipped)[0]
                mode = "train" if training else "eval"
                probe.equal(y[:, :i], other[:, :i], f"outputs before token {i} when it changes, {mode} mode", hint)
    probe.backbone.eval()
    x.requires_grad_()
    y = probe.backbone(x)[0]
    for i in (0, LENGTH // 2, LENGTH - 2):
        (gradient,) = torch.autograd.grad(probe.scalar(y[:, i]), x, retain_graph=True)
        probe.zero(gradient[:, i + 1 :], f"gradient of output {i} for later tokens", hint)


@torch.no_grad()
def forward_equals_step(probe: Probe) -> None:
    """forward = unrolled step, and both states continue alike."""
    x, more = probe.tokens(), probe.tokens(length=3)
    y, state = probe.backbone(x)
    by_step, stepped = unroll(probe.backbone, x)
    hint = "Look for a step that ignores or forgets part of its state, and for parameters cached before an update"
    probe.equal(y, by_step, "forward against unrolled step", hint)
    _continue_alike(probe, state, stepped, more, "after forward and after unrolled step", hint)


@torch.no_grad()
def forward_equals_chunks(probe: Probe) -> None:
    """forward = chunks of uneven lengths with the state carried on."""
    x, more = probe.tokens(), probe.tokens(length=3)
    y, state = probe.backbone(x)
    outputs, carried = [], None
    for chunk in torch.split(x, [1, 4, 2, LENGTH - 7], 1):
        y_chunk, carried = probe.backbone(chunk, carried)
        outputs.append(y_chunk)
    assert carried is not None
    hint = "Look for a forward that starts from the initial state or returns the state of another token"
    probe.equal(y, torch.cat(outputs, 1), "forward against chunks", hint)
    _continue_alike(probe, state, carried, more, "after forward and after chunks", hint)


@torch.no_grad()
def scan_and_parallel_equal_forward(probe: Probe) -> None:
    """scan, parallel and forward are one function."""
    x, hint = probe.tokens(), "Look for resets, padding or a state that only one of the views knows"
    y = probe.backbone(x)[0]
    probe.equal(y, probe.backbone.scan(x, probe.backbone.initial_state(ROWS))[0], "forward against scan", hint)
    probe.equal(y, probe.backbone.parallel(x), "forward against parallel", hint)


@torch.no_grad()
def resets_equal_episodes(probe: Probe) -> None:
    """A packed row gives what its episodes give alone; the first one continues the state passed in."""
    resets = _reset_pattern()
    rows = len(resets)
    x, more = probe.tokens(rows), probe.tokens(rows, 3)
    _, before = probe.backbone(probe.tokens(rows, 5))
    hint = "Look for a reset that decays or scales the state instead of replacing it, or acts one token late"
    for passed in (None, before):
        y, state = probe.backbone(x, passed, resets)
        for row in range(rows):
            expected, last = _episodes_alone(probe.backbone, x[row], resets[row], _row(passed, row))
            probe.equal(expected, y[row : row + 1], f"row {row} against its episodes alone", hint)
            expected = unroll(probe.backbone, more[row : row + 1], last)[0]
            probe.equal(expected, unroll(probe.backbone, more, state)[0][row : row + 1], "tokens after that", hint)


@torch.no_grad()
def right_padding_inert(probe: Probe) -> None:
    """Whatever stands to the right of the real tokens changes none of their outputs."""
    x = probe.tokens()
    y = probe.backbone(x)[0]
    for name, padding in (("zeros", torch.zeros_like(x)), ("large numbers", 100.0 * probe.tokens())):
        padded = probe.backbone(torch.cat([x, padding], 1))[0][:, :LENGTH]
        probe.equal(y, padded, f"outputs with {name} on the right", "Look for statistics over the whole row")


@torch.no_grad()
def receptive_field(probe: Probe) -> None:
    """Wherever `parallel` is written, an output depends on the last `receptive_field` tokens and on no earlier one."""
    for name, part in parts(probe.backbone):
        if "parallel" not in part._written or (part.receptive_field is None and part._written != {"parallel"}):
            continue
        field = part._window()
        x = probe.tokens(rows=2, length=2 * field + 5, width=part.d_model)
        whole = part.parallel(x)
        for i in sorted({field - 1, field, field + 1, (3 * field) // 2, 2 * field, 2 * field + 4}):
            last = part.parallel(x[:, max(0, i - field + 1) : i + 1])[:, -1]
            what = f"{name}: output {i} of a long row against the last {field} tokens alone"
            hint = "receptive_field is understated (count every layer), or the map depends on the absolute position"
            probe.equal(whole[:, i], last, what, hint)


def _reset_pattern() -> Tensor:
    """(5, LENGTH) bool: column 0, consecutive ones, the last column, none at all, several."""
    resets = torch.zeros(5, LENGTH, dtype=torch.bool)
    for row, columns in enumerate([(0,), (3, 4, 5), (0, 7, LENGTH - 1), (), (2, 9)]):
        resets[row, list(columns)] = True
    return resets


def _episodes_alone(backbone: Backbone, x: Tensor, resets: Tensor, state: State | None) -> tuple[Tensor, State]:
    """(1, L, D) outputs of one row, each of its episodes run alone, and the state after the last one."""
    starts = [int(i) for i in resets.nonzero()]
    edges = sorted({0, *starts, len(x)})
    outputs, after = [], state
    for begin, end in pairwise(edges):
        y, after = backbone(x[None, begin:end], None if begin in starts else after)
        outputs.append(y)
    assert after is not None
    return torch.cat(outputs, 1), after


def _row(state: State | None, row: int) -> State | None:
    return None if state is None else take_rows(state, torch.tensor([row]))


def _continue_alike(probe: Probe, one: State, other: State, more: Tensor, what: str, hint: str) -> None:
    # Two states may lay out the same memory differently, so what they lead to is compared, not their leaves.
    probe.equal(unroll(probe.backbone, more, one)[0], unroll(probe.backbone, more, other)[0], f"tokens {what}", hint)
