"""What a cell must do at least: bytes that must move, operations that must be computed; `peaks` makes a time of them.

Both are lower bounds. Bytes: every parameter is read once and the state read and written once, whatever else lies in
between. Operations: those of matrix products and attention, counted while they run; recurrences in compiled code and
elementwise maps are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from dsbench.backbones.state import nbytes
from dsbench.decision import DecisionSequence
from dsbench.measuring.peaks import Limit

# Of a trained parameter, in one update of AdamW, by its own bytes: read forwards and backwards, the gradient written,
# then parameter, gradient and two moments read, parameter and moments written.
UPDATE_PASSES = 10
UPDATE_HELD = 4


def _attention(query: Any, key: Any, value: Any, dropout: float = 0.0, causal: bool = False, **_: Any) -> int:
    return _seen(sdpa_flop_count(query, key, value), query, causal)


def _attention_backward(
    gradient: Any, query: Any, key: Any, value: Any, out: Any, norm: Any, dropout: float, causal: bool, **_: Any
) -> int:
    return _seen(sdpa_backward_flop_count(gradient, query, key, value), query, causal)


def _seen(flops: int, query: Any, causal: bool) -> int:
    """Operations of the pairs that a causal mask leaves."""
    length = int(query[-2])
    return flops * (length + 1) // (2 * length) if causal else flops


_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
# torch counts the attention of CUDA alone.
_ON_THE_CPU = {
    _ATTENTION: _attention,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}


def ratio(measured_us: float | None, limit: Limit) -> float | None:
    """Measured over least time; None where one of them is not there."""
    if measured_us is None or not (math.isfinite(measured_us) and limit.us > 0):
        return None
    return measured_us / limit.us


@dataclass(frozen=True)
class Traffic:
    """Bytes that some work must move, each as often as it is read or written, and how many different ones these are."""

    moved: int
    held: int


def decision_traffic(model: DecisionSequence, rows: int, *, stateful: bool = True) -> Traffic:
    """Of one decision of `rows` rows: parameters once, of tables one row each, and the state twice.

    A cache is read and not rewritten, but for one token: it counts once.
    """
    state = nbytes(model.backbone.initial_state(rows)) if stateful else 0
    passes, read = 1 if _has_cache(model) else 2, read_bytes(model, rows)
    return Traffic(read + passes * state, read + state)


def update_traffic(model: DecisionSequence) -> Traffic:
    """Of one update at least: what is trained, `UPDATE_PASSES` times, with its gradient and two moments."""
    trained = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    return Traffic(UPDATE_PASSES * trained, UPDATE_HELD * trained)


def read_bytes(model: nn.Module, rows: int) -> int:
    """Bytes of parameters that a forward pass reads: all, but of an embedding's table one row a row."""
    tables = {id(m.weight): m for m in model.modules() if isinstance(m, nn.Embedding)}
    return sum(
        rows * tables[id(p)].embedding_dim * p.element_size() if id(p) in tables else p.numel() * p.element_size()
        for p in model.parameters()
    )


def count_flops(run: Callable[[], None]) -> int:
    """Operations (two a multiply-add) of the matrix products and the attention in one run."""
    counter = FlopCounterMode(display=False, custom_mapping=_ON_THE_CPU)
    with counter:
        run()
    return int(counter.get_total_flops())


def _has_cache(model: DecisionSequence) -> bool:
    """Whether a layer looks back on a window of keys."""
    return any(hasattr(module, "context_len") for module in model.backbone.modules())
