"""The memoryless control sees its own token and nothing else."""

from __future__ import annotations

import torch

from dsbench.backbones import build


def test_no_output_depends_on_another_token() -> None:
    backbone = build("mlp", 8).double()
    x = torch.randn(2, 6, 8, dtype=torch.float64)
    y, state = backbone(x)
    shuffled = torch.tensor([3, 1, 5, 0, 2, 4])
    assert torch.equal(backbone(x[:, shuffled])[0], y[:, shuffled])
    assert state == ((), ())


def test_it_says_that_it_is_memoryless_and_takes_joint_tokens_only() -> None:
    backbone = build("mlp", 8)
    assert backbone.memoryless
    assert not backbone.separate_tokens
