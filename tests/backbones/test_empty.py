"""Nothing in, nothing out, for every backbone of the catalogue."""

from __future__ import annotations

import pytest
import torch

from dsbench.backbones import BACKBONES, build
from dsbench.backbones.state import leaves


@pytest.mark.parametrize("name", BACKBONES.names())
@pytest.mark.parametrize(("rows", "length"), [(0, 5), (2, 0), (0, 0)])
def test_a_batch_without_rows_or_tokens_passes_with_resets_and_states(name: str, rows: int, length: int) -> None:
    model = build(name, 8)
    x, resets = torch.zeros(rows, length, 8), torch.zeros(rows, length, dtype=torch.bool)
    for state in (None, model.initial_state(rows)):
        for cut in (None, resets):
            y, last = model(x, state, cut)
            assert y.shape == x.shape
            expected = leaves(model.initial_state(rows))
            assert [leaf.shape for leaf in leaves(last)] == [leaf.shape for leaf in expected]
