"""Powers of complex numbers, and sums of them, by factoring the exponent: l = Q i + j with Q about sqrt(L).

``z^(Q i) z^j`` needs 2 sqrt(L) exponentials instead of L, and the weighted sum over modes becomes one real batched
matrix product. Each factor is the exponential of a multiple of log z, never a running product, which would lose phase.

Shapes: H channels, n modes, L powers; z is given as log|z| and its angle, both (H, n).
"""

from __future__ import annotations

import math
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

Pair: TypeAlias = tuple[Tensor, Tensor]  # real and imaginary part


def complex_product(a: Pair, b: Pair) -> Pair:
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


def powers(log_size: Tensor, angle: Tensor, exponents: Tensor) -> Pair:
    """Real and imaginary part (H, K, n) of z^e for the K `exponents`."""
    exponents = exponents.to(log_size.dtype).view(-1, 1)
    size, phase = torch.exp(log_size.unsqueeze(1) * exponents), angle.unsqueeze(1) * exponents
    return size * torch.cos(phase), size * torch.sin(phase)


def vandermonde_sum(weight: Pair, log_size: Tensor, angle: Tensor, length: int) -> Tensor:
    """(H, length): real part of ``sum over n of weight[h, n] z[h, n]^l`` for l = 0..length-1; weight is a real pair."""
    coarse, fine = _factors(log_size, angle, length)
    real, imaginary = _weigh(weight, coarse)
    left = torch.cat([real, -imaginary], -1)
    return (left @ torch.cat(fine, -1).mT).flatten(1)[:, :length]


def weighted_powers(weight: Pair, log_size: Tensor, angle: Tensor, length: int) -> Pair:
    """Real and imaginary part (H, length, n) of ``weight[h, n] z[h, n]^l`` for l = 0..length-1."""
    coarse, fine = _factors(log_size, angle, length)
    (a, b), (c, d) = ((part.unsqueeze(2) for part in _weigh(weight, coarse)), (part.unsqueeze(1) for part in fine))
    real, imaginary = torch.addcmul(a * c, b, d, value=-1), torch.addcmul(a * d, b, c)
    return real.flatten(1, 2)[:, :length], imaginary.flatten(1, 2)[:, :length]


def power_sum(u: Tensor, log_size: Tensor, angle: Tensor) -> Pair:
    """Real and imaginary part (R, H, n) of ``sum over l of u[h, r, l] z[h, n]^l`` for real u (H, R, L)."""
    coarse, fine = _factors(log_size, angle, u.shape[-1])
    width, blocks = fine[0].shape[1], coarse[0].shape[1]
    u = F.pad(u, (0, blocks * width - u.shape[-1])).unflatten(-1, (blocks, width))
    within = (u.flatten(1, 2) @ torch.cat(fine, -1)).unflatten(1, u.shape[1:3])  # (H, R, blocks, 2 n)
    real, imaginary = complex_product(within.chunk(2, -1), (coarse[0].unsqueeze(1), coarse[1].unsqueeze(1)))
    return real.sum(2).transpose(0, 1), imaginary.sum(2).transpose(0, 1)


def _weigh(weight: Pair, table: Pair) -> Pair:
    """Multiply the modes (H, n) into a table (H, K, n)."""
    return complex_product((weight[0].unsqueeze(1), weight[1].unsqueeze(1)), table)


def _factors(log_size: Tensor, angle: Tensor, length: int) -> tuple[Pair, Pair]:
    width = math.isqrt(length - 1) + 1
    steps = torch.arange(width, device=log_size.device)
    coarse = steps[: -(-length // width)] * width
    return powers(log_size, angle, coarse), powers(log_size, angle, steps)
