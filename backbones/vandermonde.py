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


class Powers:
    """Powers of the numbers z (H, n), given as log|z| and angle; the factors of a length are made once."""

    def __init__(self, log_size: Tensor, angle: Tensor) -> None:
        self.log_size, self.angle = log_size, angle
        self._memo: dict[int, tuple[Pair, Pair]] = {}

    def at(self, exponents: Tensor) -> Pair:
        """Real and imaginary part (H, K, n) of z^e for the K `exponents`."""
        exponents = exponents.to(self.log_size.dtype).view(-1, 1)
        size, phase = torch.exp(self.log_size.unsqueeze(1) * exponents), self.angle.unsqueeze(1) * exponents
        return size * torch.cos(phase), size * torch.sin(phase)

    def real_sum(self, weight: Pair, length: int) -> Tensor:
        """(H, length): real part of ``sum over n of weight[h, n] z[h, n]^l`` for l = 0..length-1."""
        coarse, fine = self._factors(length)
        real, imaginary = _weigh(weight, coarse)
        left = torch.cat([real, -imaginary], -1)
        return (left @ torch.cat(fine, -1).mT).flatten(1)[:, :length]

    def weighted(self, weight: Pair, length: int) -> Pair:
        """Real and imaginary part (H, length, n) of ``weight[h, n] z[h, n]^l`` for l = 0..length-1."""
        coarse, fine = self._factors(length)
        real, imaginary = _outer(_weigh(weight, coarse), fine)
        return real[:, :length], imaginary[:, :length]

    def filtered(self, u: Tensor) -> Pair:
        """Real and imaginary part (R, H, n) of ``sum over l of u[h, r, L - 1 - l] z[h, n]^l`` for real u (H, R, L).

        Two levels: within blocks as a product with a table of powers, then over the blocks. A longer block makes the
        table larger and the sums over blocks fewer; at sqrt(2 R L) tokens both are cheap.
        """
        rows, length = u.shape[1:]
        blocks = 1 << max(0, round(math.log2(length / (2 * max(1, rows))) / 2))
        width = -(-length // blocks)
        table = _outer(*((real.flip(1), imaginary.flip(1)) for real, imaginary in self._factors(width)))  # falling
        u = F.pad(u, (blocks * width - length, 0)) if length % width else u
        u = u.unflatten(-1, (blocks, width)).flatten(1, 2)
        real, imaginary = ((u @ part[:, -width:]).unflatten(1, (rows, blocks)) for part in table)
        if blocks == 1:
            return real.squeeze(2).transpose(0, 1), imaginary.squeeze(2).transpose(0, 1)
        jump_real, jump_imaginary = self.at(width * torch.arange(blocks - 1, -1, -1, device=u.device))
        jumps = jump_real.unsqueeze(1), jump_imaginary.unsqueeze(1)
        real, imaginary = complex_product((real, imaginary), jumps)
        return real.sum(2).transpose(0, 1), imaginary.sum(2).transpose(0, 1)

    def _factors(self, length: int) -> tuple[Pair, Pair]:
        """z^(Q i) and z^j, so that l = Q i + j covers 0..length-1."""
        if length not in self._memo:
            width = math.isqrt(length - 1) + 1
            steps = torch.arange(width, device=self.log_size.device)
            self._memo[length] = self.at(steps[: -(-length // width)] * width), self.at(steps)
        return self._memo[length]


def _outer(coarse: Pair, fine: Pair) -> Pair:
    """All products (H, I * J, n) of two tables (H, I, n) and (H, J, n), those of one coarse power side by side."""
    (a, b), (c, d) = ((part.unsqueeze(2) for part in coarse), (part.unsqueeze(1) for part in fine))
    return torch.addcmul(a * c, b, d, value=-1).flatten(1, 2), torch.addcmul(a * d, b, c).flatten(1, 2)


def _weigh(weight: Pair, table: Pair) -> Pair:
    """Multiply the modes (H, n) into a table (H, K, n)."""
    return complex_product((weight[0].unsqueeze(1), weight[1].unsqueeze(1)), table)
