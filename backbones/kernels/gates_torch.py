"""The softplus of step sizes and the gate of a scan in plain torch; arguments as `dsbench.backbones.kernels.gates`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def softplus_bias_torch(x: Tensor, bias: Tensor) -> Tensor:
    return F.softplus(x + bias)


def gate_torch(y: Tensor, u: Tensor, d: Tensor, z: Tensor) -> Tensor:
    return torch.addcmul(y, d, u.to(y.dtype)) * F.silu(z).to(y.dtype)
