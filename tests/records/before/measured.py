"""What is measured of a policy that was kept: when it was kept, and whenever it is read again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

from dsbench.decision import DecisionSequence


def sha256(tensors: Mapping[str, Tensor]) -> str:
    """Over names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(torch.view_as_real(tensor).numpy().tobytes() if tensor.is_complex() else tensor.numpy().tobytes())
    return digest.hexdigest()


@torch.no_grad()
def decisions(policy: DecisionSequence) -> list[list[float]]:
    """Logits of five decisions of two rows, on observations that are the same everywhere."""
    state = policy.backbone.initial_state(2)
    features = policy.observation_space.shape[0]
    found, previous = [], None
    for timestep in range(5):
        observation = (torch.arange(2 * features).reshape(2, features) % 3 - 1.0) * (timestep + 1) / 4
        distribution, state = policy.distribution_at(
            observation, state, return_to_go=torch.tensor([1.0, -1.0]), previous_action=previous,
            first=torch.full((2,), timestep == 0), timestep=torch.full((2,), timestep),
        )  # fmt: skip
        found.append(distribution.logits.flatten().tolist())
        previous = torch.tensor([0, 1])
    return found
