"""The diagonal complex scan of S5: ``h_t = z h_{t-1} + x_t`` with one decay per mode."""

from __future__ import annotations

from torch import Tensor

from dsbench.backbones.kernels.choice import Operation, c_route, torch_route, triton_route

DIAGONAL_SCAN = Operation(
    "diagonal scan",
    [
        triton_route("dsbench.backbones.kernels.diagonal_triton:diagonal_scan_triton"),
        c_route("dsbench.backbones.kernels.diagonal_c:diagonal_scan_c"),
        torch_route("dsbench.backbones.kernels.diagonal_torch:diagonal_scan_torch"),
    ],
)


def diagonal_scan(
    z: Tensor, x: Tensor, state: Tensor, resets: Tensor | None = None, implementation: str = "auto"
) -> tuple[Tensor, Tensor]:
    """Run the recurrence over a batch of rows. Complex numbers are ``[real | imaginary]`` in the last axis.

    Args:
        z: (2P,) decay of each mode.
        x: (B, L, 2P) inputs.
        state: (B, 2P) before the first token.
        resets: (B, L) bool; where True the state before that token is zero, whatever it held (NaN included).
        implementation: which route, see `DIAGONAL_SCAN`.

    Returns:
        (B, L, 2P) states and the (B, 2P) state after the last token.
    """
    scan, _ = DIAGONAL_SCAN.choose(implementation, x.device.type)
    h, last = scan(z, x, state, resets)
    return h, last
