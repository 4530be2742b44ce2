"""What dsbench's routes are compared with, written the straightforward way or taken from another library.

Every contestant is a function without arguments that runs one forward and backward pass over inputs made beforehand.
Shapes: B rows, L tokens, H or D channels, N states.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

Run = Callable[[], None]
D_MODEL, N_LAYERS = 64, 3


def training(forward: Callable[[Tensor], Tensor], rows: int, length: int, width: int = D_MODEL) -> Run:
    """One training pass of a model over (rows, length, width) random inputs; gradients to the parameters and the inputs."""
    x = torch.randn(rows, length, width, requires_grad=True)

    def run() -> None:
        x.grad = None
        y = forward(x)
        y.backward(torch.ones_like(y))

    return run


def unbound_selective_scan(u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, state: Tensor) -> Tensor:
    """The honest loop: discretise for all tokens at once, unbind, one fused multiply-add a token, one product at the end.

    (Indexing token by token, as transformers does, makes the backward pass quadratic in L.)
    """
    decay = torch.exp(delta.unsqueeze(-1) * a)
    drive = (delta * u).unsqueeze(-1) * b.unsqueeze(2)
    states = []
    for decay_t, drive_t in zip(decay.unbind(1), drive.unbind(1), strict=True):
        state = torch.addcmul(drive_t, decay_t, state)
        states.append(state)
    return torch.einsum("blen,bln->ble", torch.stack(states, 1), c)


class MinimalS4D(nn.Module):
    """The listing of the S4D paper (arXiv:2206.11893, section 4.4): an (H, N/2, L) complex Vandermonde matrix, complex
    autograd, transforms of length 2 L. (B, H, L) -> (B, H, L), without the skip D."""

    def __init__(self, channels: int, d_state: int) -> None:
        super().__init__()
        modes = d_state // 2
        self.log_dt = nn.Parameter(torch.empty(channels).uniform_(math.log(1e-3), math.log(0.1)))
        self.c = nn.Parameter(torch.randn(channels, modes, 2))
        self.log_a_real = nn.Parameter(torch.full((channels, modes), 0.5).log())
        self.a_imag = nn.Parameter(math.pi * torch.arange(modes).repeat(channels, 1).float())

    def forward(self, u: Tensor) -> Tensor:
        length = u.shape[-1]
        a = torch.complex(-self.log_a_real.exp(), self.a_imag)
        dt_a = a * self.log_dt.exp().unsqueeze(1)
        weight = torch.view_as_complex(self.c) * (torch.exp(dt_a) - 1) / a
        vandermonde = torch.exp(dt_a.unsqueeze(-1) * torch.arange(length))
        kernel = 2 * torch.einsum("hn,hnl->hl", weight, vandermonde).real
        spectrum = torch.fft.rfft(u, n=2 * length) * torch.fft.rfft(kernel, n=2 * length)
        return torch.fft.irfft(spectrum, n=2 * length)[..., :length]


class StraightforwardS5(nn.Module):
    """S5's layer in complex numbers (Smith et al. 2023, section 3), the states by a `scan` over (z_t, B u_t).

    Resets enter as z_t = 0. (B, L, H) -> (B, L, H).
    """

    def __init__(self, channels: int, d_state: int, scan: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        modes = d_state // 2
        self.scan = scan
        self.rate = nn.Parameter(torch.complex(torch.full((modes,), -0.5), math.pi * torch.arange(modes).float()))
        self.log_dt = nn.Parameter(torch.empty(modes).uniform_(math.log(1e-3), math.log(0.1)))
        self.b = nn.Parameter(torch.randn(modes, channels, dtype=torch.complex64) / math.sqrt(channels))
        self.c = nn.Parameter(torch.randn(channels, modes, dtype=torch.complex64) / math.sqrt(modes))

    def forward(self, u: Tensor, resets: Tensor) -> Tensor:
        z = torch.exp(self.rate * self.log_dt.exp())
        b = ((z - 1) / self.rate).unsqueeze(1) * self.b
        decay = torch.where(resets.unsqueeze(-1), 0.0, z)
        states = self.scan(decay, u.to(b.dtype) @ b.mT)
        return 2 * (states @ self.c.mT).real


def looped(decay: Tensor, drive: Tensor) -> Tensor:
    """States (B, L, n) of ``h_t = decay_t h_{t-1} + drive_t``, token by token over unbound tensors."""
    state, states = torch.zeros_like(drive[:, 0]), []
    for decay_t, drive_t in zip(decay.unbind(1), drive.unbind(1), strict=True):
        state = decay_t * state + drive_t
        states.append(state)
    return torch.stack(states, 1)


def associative(decay: Tensor, drive: Tensor) -> Tensor:
    """The same by torch's own associative scan, run as it is (not compiled)."""
    from torch._higher_order_ops.associative_scan import associative_scan

    def combine(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return a[0] * b[0], b[0] * a[1] + b[1]

    states: Tensor = associative_scan(combine, (decay, drive), dim=1, combine_mode="generic")[1]
    return states


class RealProducts(nn.Module):
    """S5's two matrix products alone, planar: what the scan between them is measured against."""

    def __init__(self, channels: int, d_state: int) -> None:
        super().__init__()
        self.into = nn.Linear(channels, d_state, bias=False)
        self.out = nn.Linear(d_state, channels, bias=False)

    def forward(self, u: Tensor) -> Tensor:
        y: Tensor = self.out(self.into(u))
        return y


MAMBA2_SIZES = {"head_dim": 16, "d_state": 16}  # of both contestants: small heads, as small models have


def from_transformers(
    kind: str, length: int, width: int = D_MODEL, layers: int = N_LAYERS
) -> Callable[[Tensor], Tensor]:
    """A model of transformers (``mamba``, ``mamba2 chunk 64``, ``gpt2``) as a function of embeddings."""
    import transformers

    family, _, chunk = kind.partition(" chunk ")
    common = {"vocab_size": 1, "num_hidden_layers": layers, "use_cache": False}
    if family == "mamba":
        model = transformers.MambaModel(transformers.MambaConfig(hidden_size=width, **common))
    elif family == "mamba2":
        size = MAMBA2_SIZES["head_dim"]
        heads = {"head_dim": size, "num_heads": 2 * width // size, "state_size": MAMBA2_SIZES["d_state"], "n_groups": 1}
        model = transformers.Mamba2Model(
            transformers.Mamba2Config(hidden_size=width, chunk_size=int(chunk), **heads, **common)
        )
    else:
        config = transformers.GPT2Config(
            vocab_size=1, n_embd=width, n_layer=layers, n_head=2, n_positions=max(length, 1), use_cache=False,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        )  # fmt: skip
        model = transformers.GPT2Model(config)
    return lambda x: model(inputs_embeds=x).last_hidden_state
