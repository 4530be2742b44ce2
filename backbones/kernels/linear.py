"""The linear scan with a decay of its own at every token: ``h_t = a_t h_{t-1} + x_t``, real."""

from __future__ import annotations

from torch import Tensor

from dsbench.backbones.kernels.choice import Operation, c_route, torch_route, triton_route

LINEAR_SCAN = Operation(
    "linear scan",
    [
        triton_route("dsbench.backbones.kernels.linear_triton:linear_scan_triton"),
        c_route("dsbench.backbones.kernels.linear_c:linear_scan_c"),
        torch_route("dsbench.backbones.kernels.linear_torch:linear_scan_torch"),
    ],
)


def linear_scan(
    decay: Tensor, x: Tensor, state: Tensor, resets: Tensor | None = None, implementation: str = "auto"
) -> tuple[Tensor, Tensor]:
    """Run the recurrence over a batch of rows.

    Args:
        decay: (B, L, D) what is kept of the state at each token.
        x: (B, L, D) inputs.
        state: (B, D) before the first token.
        resets: (B, L) bool; where True the state before that token is zero, whatever it held (NaN included).
        implementation: which route, see `LINEAR_SCAN`.

    Returns:
        (B, L, D) states and the (B, D) state after the last token.
    """
    scan, _ = LINEAR_SCAN.choose(implementation, x.device.type)
    h, last = scan(decay, x, state, resets)
    return h, last
