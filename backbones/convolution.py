"""Linear time-invariant systems as causal convolutions, exact for any length, with states and resets.

Two routes, chosen by length alone: a Toeplitz matrix product while it is small enough to beat the transform, and the
fast Fourier transform at a length without large prime factors (a length such as 1994 = 2 * 997 costs 2.4 times 2000).

Shapes: H channels, R rows, L tokens. Channels first, because each is one matrix of a batched product.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from dsbench.backbones.segments import Stretches, after_last_reset, before_first_reset

TOEPLITZ_MAX_LENGTH = 64  # measured on CPU, H = 64: even at 16 rows here; with 64 rows up to about 96
CACHE_NUMBERS = 1 << 18  # 1 MiB of a block's transformed inputs: at L = 4096 a quarter faster than all at once


class System(Protocol):
    """A discretised system. States are (B, H, N), inputs (H, B, L)."""

    def kernel(self, length: int) -> Tensor:
        """(H, length): ``C Abar^l Bbar`` for l = 0..length-1."""

    def drive(self, u: Tensor) -> Tensor:
        """State after the inputs (H, B, L), from zero."""

    def advance(self, state: Tensor, length: int) -> Tensor:
        """``Abar^length`` applied to the state."""

    def free_response(self, state: Tensor, length: int) -> Tensor:
        """(H, B, length): ``C Abar^(l+1) state``, the outputs without input."""

    def step(self, u: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """One token: (B, H), state -> (B, H), state."""


def respond(system: System, x: Tensor, state: Tensor | None, resets: Tensor | None) -> tuple[Tensor, Tensor]:
    """Outputs (B, L, H) and final state (B, H, N) for inputs x (B, L, H), L >= 1."""
    stretches = None if resets is None else Stretches(resets)
    length = x.shape[1] if stretches is None else stretches.longest
    kernel = system.kernel(length)

    def convolve(rows: Tensor) -> Tensor:
        return causal_convolution(_channels_first(rows), kernel).permute(1, 2, 0)

    if resets is None or stretches is None:
        u = _channels_first(x)
        y, final = causal_convolution(u, kernel).permute(1, 2, 0), system.drive(u)
        if state is not None:
            y = y + system.free_response(state, length).permute(1, 2, 0)
            final = final + system.advance(state, length)
        return y, final
    y = stretches.map(convolve, x)
    remembered = torch.where(after_last_reset(resets).unsqueeze(-1), x, 0.0)[:, -length:]
    final = system.drive(_channels_first(remembered))
    if state is not None:
        # `where` before and after: neither a value nor a gradient of a row that starts anew may pass
        state = torch.where(resets[:, 0].view(-1, 1, 1), 0.0, state)
        free = system.free_response(state, length).permute(1, 2, 0)
        free = torch.where(before_first_reset(resets[:, :length]).unsqueeze(-1), free, 0.0)
        y = torch.cat([y[:, :length] + free, y[:, length:]], 1)
        untouched = torch.where(resets.any(1).view(-1, 1, 1), 0.0, state)
        final = final + system.advance(untouched, length)  # a row without a reset is as long as the longest stretch
    return y, final


def _channels_first(x: Tensor) -> Tensor:
    """(B, L, H) -> (H, B, L), laid out for batched products."""
    y: Tensor = _ChannelsFirst.apply(x)
    return y


class _ChannelsFirst(torch.autograd.Function):
    """A change of layout, copied both ways as the transpose of a matrix: torch copies those two to three times as fast
    as tensors of three axes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.shape = x.shape[:2]
        return x.flatten(0, 1).t().contiguous().unflatten(1, ctx.shape)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad.flatten(1).t().contiguous().unflatten(0, ctx.shape)


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
    return _FourierConvolution.apply(u, kernel)


class _FourierConvolution(torch.autograd.Function):
    """The convolution theorem, forward and backward: autograd alone would run a complex transform of full length where
    a real one of half the length does, and one for every row where the kernel's gradient needs one for every channel.
    On a CPU channels go by blocks that stay in the cache."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, kernel: Tensor) -> Tensor:
        length = u.shape[-1]
        ctx.size = size = next_fast_len(2 * length - 1, real=True)
        response = torch.fft.rfft(kernel, n=size)
        spectra = response.new_empty(*u.shape[:2], response.shape[-1])
        y = torch.empty_like(u)
        for block in _blocks(u, size):
            spectrum = torch.fft.rfft(u[block], n=size, out=spectra[block])
            y[block] = torch.fft.irfft(spectrum * response[block].unsqueeze(1), n=size)[..., :length]
        ctx.save_for_backward(spectra, response)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        spectra, response = ctx.saved_tensors
        length, grad_u, total = grad.shape[-1], torch.empty_like(grad), torch.empty_like(response)
        for block in _blocks(grad, ctx.size):
            spectrum = torch.fft.rfft(grad[block], n=ctx.size)
            spectrum.conj_physical_()  # here and at the end: correlations, with conjugates of what is small or at hand
            torch.sum(spectra[block] * spectrum, 1, out=total[block])  # over rows too: the transform is linear
            spectrum *= response[block].unsqueeze(1)
            grad_u[block] = torch.fft.irfft(spectrum.conj_physical_(), n=ctx.size)[..., :length]
        return grad_u, torch.fft.irfft(total.conj_physical_(), n=ctx.size)[..., :length]


def _blocks(u: Tensor, size: int) -> Iterator[slice]:
    """Slices of the channels of u (H, R, L) for transforms of a size."""
    channels, rows = u.shape[:2]
    width = max(1, CACHE_NUMBERS // max(1, rows * size)) if u.device.type == "cpu" else max(1, channels)
    for first in range(0, channels, width):
        yield slice(first, first + width)


def _toeplitz(kernel: Tensor) -> Tensor:
    """(H, L) -> (H, L, L) whose entry [h, m, l] is ``kernel[h, l - m]``, zero for l < m."""
    length = kernel.shape[-1]
    windows = F.pad(kernel, (length - 1, 0)).unfold(-1, length, 1)  # [h, i, l] = kernel[h, l + i - (L - 1)]
    return windows.flip(1)
