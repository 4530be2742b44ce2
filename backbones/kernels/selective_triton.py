"""The selective scan in Triton, forward and backward: `dsbench.backbones.kernels.selective` has the formula.

The states are never held for all tokens. The forward pass keeps the state before every chunk of tokens, the backward pass
computes one chunk at a time again. Gradients of B and C are added over blocks of channels, and that of A over rows, by torch
in a fixed order: no atomic additions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dsbench.backbones.kernels.triton_probe import flags, on_device_of, power_of_two, prepared

FORWARD_TILE, BACKWARD_TILE = 128, 512  # states in a program: small for many programs, larger for fewer partial sums
STATES_PER_THREAD = 4


@dataclass(frozen=True)
class Plan:
    """How a scan of (B, L, E, N) is cut into chunks of tokens and blocks of channels.

    What a call holds besides its inputs, outputs and gradients, in states: ``kept`` from the forward to the backward
    pass, ``scratch`` and ``partial`` during the backward pass. From L = 64, N = 16 on they are together less than 0.3 of
    the B L E N states themselves.
    """

    rows: int
    length: int
    channels: int
    states: int

    @property
    def chunk(self) -> int:
        """Near the square root of the length, where checkpoints and scratch are together smallest."""
        return 8 if self.length <= 128 else 16 if self.length <= 512 else 32

    @property
    def chunks(self) -> int:
        return -(-self.length // self.chunk)

    @property
    def kept(self) -> tuple[int, ...]:
        return self.rows, max(self.chunks - 1, 0), self.channels, self.states

    @property
    def scratch(self) -> tuple[int, ...]:
        block = self.block(BACKWARD_TILE)
        return self.rows, self.blocks(BACKWARD_TILE), self.chunk, block, power_of_two(self.states)

    @property
    def partial(self) -> tuple[int, ...]:
        """Of the gradient of B, and the same again of C."""
        return self.rows, self.blocks(BACKWARD_TILE), self.length, self.states

    def block(self, tile: int) -> int:
        """Channels of a program."""
        return power_of_two(self.channels, max(tile // power_of_two(self.states), 8))

    def blocks(self, tile: int) -> int:
        return -(-self.channels // self.block(tile))

    def launch(self, tile: int) -> tuple[tuple[int, int], dict[str, Any]]:
        """Grid and compile-time sizes."""
        block, padded = self.block(tile), power_of_two(self.states)
        warps = power_of_two(max(block * padded // (32 * STATES_PER_THREAD), 1), 8)
        sizes = {"STATES": self.states, "CHUNK": self.chunk, "BLOCK_E": block, "BLOCK_N": padded}
        return (self.rows, self.blocks(tile)), {**sizes, "num_warps": warps}


class _SelectiveScan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, state: Tensor, resets: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        from dsbench.backbones.kernels.triton.selective import forward_kernel

        plan = Plan(u.shape[0], u.shape[1], a.shape[0], a.shape[1])
        y, last, checkpoints = torch.empty_like(u), torch.empty_like(state), u.new_empty(plan.kept)
        grid, sizes = plan.launch(FORWARD_TILE)
        if state.numel():
            with on_device_of(u):
                forward_kernel[grid](
                    *(u, delta, a, b, c, state, flags(resets, u), y, last, checkpoints),
                    *(plan.length, plan.channels, plan.chunks),
                    HAS_RESETS=resets is not None,
                    **sizes,
                )
        ctx.save_for_backward(u, delta, a, b, c, state, checkpoints, resets)
        ctx.plan = plan
        return y, last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, grad_last: Tensor) -> tuple[Tensor | None, ...]:
        from dsbench.backbones.kernels.triton.selective import backward_kernel

        u, delta, a, b, c, state, checkpoints, resets = ctx.saved_tensors
        plan: Plan = ctx.plan
        grad_u, grad_delta, grad_state = torch.empty_like(u), torch.empty_like(u), torch.empty_like(state)
        grad_a, scratch = torch.empty_like(state), u.new_empty(plan.scratch)
        grad_b, grad_c = u.new_empty(plan.partial), u.new_empty(plan.partial)
        grid, sizes = plan.launch(BACKWARD_TILE)
        if state.numel():
            with on_device_of(u):
                backward_kernel[grid](
                    *(u, delta, a, b, c, state, flags(resets, u), checkpoints),
                    *(grad_y.contiguous(), grad_last.contiguous(), scratch),
                    *(grad_u, grad_delta, grad_a, grad_b, grad_c, grad_state),
                    *(plan.length, plan.channels, plan.chunks),
                    HAS_RESETS=resets is not None,
                    **sizes,
                )
        return grad_u, grad_delta, grad_a.sum(0), grad_b.sum(1), grad_c.sum(1), grad_state, None


def selective_scan_triton(
    u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, state: Tensor, resets: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """In float32, or float64 if an input is; arguments as `dsbench.backbones.kernels.selective.selective_scan`.

    Raises:
        UsageError: the tensors are not on a CUDA device.
    """
    return _SelectiveScan.apply(*prepared(u, delta, a, b, c, state), resets)
