"""What a stepper holds for its rows: their state, once."""

from __future__ import annotations

import gc

import pytest
import torch
from torch import Tensor

from dsbench.backbones import BACKBONES, Backbone, build
from dsbench.backbones.state import nbytes

NAMES = [name for name in BACKBONES.names() if ":" not in name]


def living() -> int:
    """Bytes of all tensors of this process; fakes, which a trace may have left behind, have none."""
    tensors = [one for one in gc.get_objects() if type(one) in (Tensor, torch.nn.Parameter)]
    storages = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in tensors}
    return sum(storages.values())


def held(backbone: Backbone, rows: int) -> int:
    gc.collect()
    before, stepper = living(), backbone.make_stepper(rows)
    stepper.reset(torch.ones(rows, dtype=torch.bool))
    for _ in range(2):
        stepper.step(torch.ones(rows, backbone.d_model))
    return living() - before


@pytest.mark.parametrize("name", NAMES)
def test_a_row_more_takes_a_state_more(name: str) -> None:
    """A ring has a slot more than the cache that is handed over, for the token to come."""
    backbone = build(name, 32).eval()
    of_a_row = (held(backbone, 300) - held(backbone, 100)) / 200
    state = nbytes(backbone.initial_state(1))
    assert state <= of_a_row <= 1.1 * state or (name == "framestack" and of_a_row == 4 / 3 * state)
