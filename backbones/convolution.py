"""Causal convolution of every channel with its own kernel, exact for any length.

Two routes, chosen by length alone: a Toeplitz matrix product while it is small enough to beat the transform, and the
fast Fourier transform at a length without large prime factors (a length such as 1994 = 2 * 997 costs 2.4 times 2000).

Shapes: H channels, R rows, L tokens. Channels first, because each is one matrix of a batched product.
"""

from __future__ import annotations

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn import functional as F

TOEPLITZ_MAX_LENGTH = 64  # measured on CPU, H = 64: even at 16 rows here; with 64 rows up to about 128


def causal_convolution(u: Tensor, kernel: Tensor) -> Tensor:
    """``y[h, r, l] = sum over m <= l of kernel[h, l - m] u[h, r, m]``.

    Args:
        u: (H, R, L) real.
        kernel: (H, L) of the same dtype; longer ones are cut.

    Returns:
        (H, R, L).
    """
    length = u.shape[-1]
    kernel = kernel[:, :length]
    if length <= TOEPLITZ_MAX_LENGTH:
        return u @ _toeplitz(kernel)
    size = next_fast_len(2 * length - 1, real=True)
    spectrum = torch.fft.rfft(u, n=size) * torch.fft.rfft(kernel, n=size).unsqueeze(1)
    y: Tensor = torch.fft.irfft(spectrum, n=size)
    return y[..., :length]


def _toeplitz(kernel: Tensor) -> Tensor:
    """(H, L) -> (H, L, L) whose entry [h, m, l] is ``kernel[h, l - m]``, zero for l < m."""
    length = kernel.shape[-1]
    windows = F.pad(kernel, (length - 1, 0)).unfold(-1, length, 1)  # [h, i, l] = kernel[h, l + i - (L - 1)]
    return windows.flip(1)
