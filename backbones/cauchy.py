"""The S4 kernel: a generating function at the roots of unity by Cauchy sums, and an inverse transform.

Gu et al. 2022, arXiv:2111.00396, appendix C.3. With omega_j = exp(-2 pi i j / L) and
z_j = 2 (1 - omega_j) / (1 + omega_j) = 2 i tan(pi j / L):

    K^(omega) = 2 / (1 + omega) * [ r_CB - r_CP r_PB / (1 + r_PP) ],   r_XY(z) = sum_n dt X_n Y_n / (z - dt Lambda_n)

summed over all N modes, X in (C~, P*) and Y in (B, P), C~ = C (I - Abar^L). At the Nyquist node of an even L, z is
infinite; the limit is dt/2 sum(C~ B).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def dplr_kernel(dt: Tensor, a: Tensor, p: Tensor, b: Tensor, c_tilde: Tensor, length: int) -> Tensor:
    """Kernel of the bilinear discretisation.

    Args:
        dt: (H, 1) time steps.
        a: (H, N) Lambda; like the next three, ``[real | imaginary]`` of N/2 conjugate pairs, float32 or float64.
        p: (H, N) low-rank factor.
        b: (H, N) continuous B.
        c_tilde: (H, N) ``C (I - Abar^length)``.
        length: number of taps L.

    Returns:
        (H, length) in the dtype of `a`. Sums are taken in double precision: slow modes lie close to the nodes, and
        single precision would leave about two digits at L = 1000.
    """
    dtype = a.dtype
    modes, low_rank, b, c = (_both_of_each_pair(part.double()) for part in (a, p, b, c_tilde))
    dt = dt.double()
    inner = (length + 1) // 2  # nodes below Nyquist
    tangent = torch.tan(math.pi / length * torch.arange(inner, dtype=torch.float64, device=a.device))
    table = dt.unsqueeze(1) / (2j * tangent.view(1, -1, 1) - (dt * modes).unsqueeze(1))  # (H, inner, N)
    products = torch.stack([c * b, c * low_rank, low_rank.conj() * b, low_rank.conj() * low_rank], -1)  # (H, N, 4)
    cb, cp, pb, pp = (table @ products).unbind(-1)
    spectrum = (1 + 1j * tangent) * (cb - cp * pb / (1 + pp))
    if length % 2 == 0:
        spectrum = torch.cat([spectrum, dt / 2 * (c * b).sum(-1, keepdim=True)], -1)
    return torch.fft.irfft(spectrum, n=length).to(dtype)


def _both_of_each_pair(packed: Tensor) -> Tensor:
    """(H, N) ``[real | imaginary]`` -> (H, N) complex, the conjugates behind."""
    half = torch.complex(*packed.chunk(2, -1))
    return torch.cat([half, half.conj()], -1)
