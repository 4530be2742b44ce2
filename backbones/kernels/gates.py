"""What stands around a selective scan, fused: the softplus of its step sizes and the gate on its outputs."""

from __future__ import annotations

from torch import Tensor

from dsbench.backbones.kernels.choice import Operation, c_route, torch_route

SOFTPLUS_BIAS = Operation(
    "softplus with a bias",
    [
        c_route("dsbench.backbones.kernels.gates_c:softplus_bias_c"),
        torch_route("dsbench.backbones.kernels.gates_torch:softplus_bias_torch"),
    ],
)
GATE = Operation(
    "gate",
    [
        c_route("dsbench.backbones.kernels.gates_c:gate_c"),
        torch_route("dsbench.backbones.kernels.gates_torch:gate_torch"),
    ],
)


def softplus_bias(x: Tensor, bias: Tensor, implementation: str = "auto") -> Tensor:
    """log(1 + exp(x + bias)), and x + bias itself where that is above 20, as in `torch.nn.functional.softplus`.

    Args:
        x: (B, L, E).
        bias: (E,).
        implementation: which route, see `SOFTPLUS_BIAS`.

    Returns:
        (B, L, E); a small result has all digits of exp(x + bias), one below the smallest normal number may be zero.
    """
    run, _ = SOFTPLUS_BIAS.choose(implementation, x.device.type)
    return run(x, bias)


def gate(y: Tensor, u: Tensor, d: Tensor, z: Tensor, implementation: str = "auto") -> Tensor:
    """(y + d * u) * SiLU(z).

    Args:
        y: (B, L, E) what the scan gave.
        u: (B, L, E) what went into it, of any floating-point type and possibly part of a wider array.
        d: (E,) weight of the direct path.
        z: (B, L, E) control of the gate, of any floating-point type and possibly part of a wider array.
        implementation: which route, see `GATE`.

    Returns:
        (B, L, E) in the precision of `y`.
    """
    run, _ = GATE.choose(implementation, y.device.type)
    return run(y, u, d, z)
