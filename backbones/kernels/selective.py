"""The selective scan of Mamba (Gu and Dao 2023, arXiv:2312.00752, algorithm 2; B by Euler as in the authors' code).

    h_t[e, n] = exp(delta_t[e] A[e, n]) h_{t-1}[e, n] + delta_t[e] B_t[n] u_t[e],    y_t[e] = sum_n C_t[n] h_t[e, n]

Shapes: B rows, L tokens, E = d_inner channels, N = d_state.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dsbench.backbones.kernels import selective_mamba_ssm
from dsbench.backbones.kernels.choice import Operation, Route, c_route, torch_route, triton_route

SELECTIVE_SCAN = Operation(
    "selective scan",
    [
        triton_route("dsbench.backbones.kernels.selective_triton:selective_scan_triton"),
        Route(
            "mamba_ssm",
            "cuda",
            "dsbench.backbones.kernels.selective_mamba_ssm:selective_scan_or_triton",
            "mamba-ssm's CUDA kernel",
            selective_mamba_ssm.unavailable,
            automatic=False,  # its gradients differ from run to run, and it knows no resets
        ),
        c_route("dsbench.backbones.kernels.selective_c:selective_scan_c"),
        torch_route("dsbench.backbones.kernels.selective_torch:selective_scan_torch"),
    ],
)


def selective_scan(
    u: Tensor,
    delta: Tensor,
    a: Tensor,
    b: Tensor,
    c: Tensor,
    state: Tensor,
    resets: Tensor | None = None,
    implementation: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Run the recurrence over a batch of rows; differentiable once.

    Args:
        u: (B, L, E) inputs.
        delta: (B, L, E) step sizes, positive.
        a: (E, N), negative.
        b: (B, L, N).
        c: (B, L, N).
        state: (B, E, N) before the first token.
        resets: (B, L) bool; where True the state before that token is zero, whatever it held (NaN included).
        implementation: which route, see `SELECTIVE_SCAN`.

    Returns:
        (B, L, E) outputs and the (B, E, N) state after the last token.
    """
    scan, _ = SELECTIVE_SCAN.choose(implementation, u.device.type)
    y, last = scan(u, delta, a, b, c, state, resets)
    return y, last


def selective_step(u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """One token: u, delta (B, E), b, c (B, N), state (B, E, N) -> (B, E), state."""
    decay = torch.exp(delta.unsqueeze(-1) * a)
    state = torch.addcmul((delta * u).unsqueeze(-1) * b.unsqueeze(1), decay, state)
    return (state @ c.unsqueeze(-1)).squeeze(-1), state
