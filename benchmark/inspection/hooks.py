"""What modules put out while a policy reads a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dsbench.batches import Batch
from dsbench.decision import DecisionSequence


@torch.no_grad()
def outputs_of(modules: Mapping[str, nn.Module], policy: DecisionSequence, batch: Batch) -> dict[str, Tensor]:
    """Name -> output of that module of the policy in one forward pass over the batch."""
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            seen[name] = output

        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    try:
        policy(batch)
    finally:
        for handle in handles:
            handle.remove()
    return seen
