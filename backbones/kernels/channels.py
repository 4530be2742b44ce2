"""One diagonal complex system per channel, from real inputs to real outputs (S4D, arXiv:2206.11893):

    s_t[h, n] = z[h, n] s_{t-1}[h, n] + b[h, n] u_t[h],    y_t[h] = 2 Re sum_n c[h, n] s_t[h, n]

On the CPU the fused recurrence in C beats the convolution (by a fifth at long rows, hardly at many short ones), resets cost
it nothing, and it is the very recurrence of the step. Without C, and on CUDA, the system runs as a convolution.

Shapes: B rows, L tokens, H channels, n modes (half of the state N).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from dsbench.backbones.kernels.choice import Operation, Route, c_route

if TYPE_CHECKING:
    from dsbench.backbones.s4d import DiagonalSystem

CHANNEL_SYSTEM = Operation(
    "diagonal system",
    [
        c_route("dsbench.backbones.kernels.channels_c:channel_system_c"),
        Route("torch", None, "dsbench.backbones.convolution:respond", "plain torch, as a convolution"),
    ],
)


def channel_system(
    system: DiagonalSystem, u: Tensor, state: Tensor | None, resets: Tensor | None, implementation: str = "auto"
) -> tuple[Tensor, Tensor]:
    """Run the system over a batch of rows; differentiable once.

    Args:
        system: discretised, parameters (H, n).
        u: (B, L, H) inputs, L >= 1.
        state: (B, H, N) ``[real | imaginary]`` before the first token; None is zero.
        resets: (B, L) bool; where True the state before that token is zero, whatever it held (NaN included).
        implementation: which route, see `CHANNEL_SYSTEM`.

    Returns:
        (B, L, H) outputs and the (B, H, N) state after the last token.
    """
    run, _ = CHANNEL_SYSTEM.choose(implementation, u.device.type)
    y, last = run(system, u, state, resets)
    return y, last
