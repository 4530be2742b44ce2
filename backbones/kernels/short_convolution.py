"""The short depthwise causal convolution in front of a recurrence and its SiLU (Mamba, arXiv:2312.00752, and its kin).

    y_t[e] = SiLU(bias[e] + sum_k weight[k, e] u_{t - K + 1 + k}[e])

Shapes: B rows, L tokens, E channels, K taps, the newest tap last; the state (B, K - 1, E) holds the last inputs, zeros
before an episode.
Does not include: dilation, kernels so long that a Fourier transform pays.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from dsbench.backbones.kernels.choice import Operation, c_route, torch_route

SHORT_CONVOLUTION = Operation(
    "short convolution",
    [
        c_route("dsbench.backbones.kernels.short_convolution_c:short_convolution_c"),
        torch_route("dsbench.backbones.kernels.short_convolution_torch:short_convolution_torch"),
    ],
)


def short_convolution(
    u: Tensor, weight: Tensor, bias: Tensor, state: Tensor, resets: Tensor | None = None, implementation: str = "auto"
) -> tuple[Tensor, Tensor]:
    """Convolve rows; a tap never reaches over a reset.

    Args:
        u: (B, L, E) inputs.
        weight: (K, E).
        bias: (E,).
        state: (B, K - 1, E) inputs before the first token, in the precision of the result.
        resets: (B, L) bool; where True, inputs before that token count as zero, whatever they held (NaN included).
        implementation: which route, see `SHORT_CONVOLUTION`.

    Returns:
        (B, L, E) and the state after the last token, both in the state's precision.
    """
    run, _ = SHORT_CONVOLUTION.choose(implementation, u.device.type)
    y, last = run(u, weight, bias, state, resets)
    return y, last


def short_convolution_step(u_t: Tensor, weight: Tensor, bias: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """One token: (B, E), state (B, K - 1, E) -> (B, E), state."""
    taps = torch.cat([state, u_t.unsqueeze(1).to(state.dtype)], 1)  # (B, K, E), newest last
    return F.silu((taps * weight).sum(1) + bias), taps[:, 1:]
