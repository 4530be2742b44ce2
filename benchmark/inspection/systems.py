"""The time-invariant systems inside a backbone: convolution kernels, eigenvalues and their powers.

    s_t = Abar s_{t-1} + Bbar u_t,    y_t = C s_t    so that    y_t = sum over i of K_i u_{t-i},    K_i = C Abar^i Bbar

(Decision S4, arXiv:2306.05167, equations 2 and 3 and appendix D). The skip D u and what stands around the system are no
part of K. S4 and S4D have a system of one input and one output in every channel; S5 has one for all channels, and what is
shown of its kernel is how each channel answers to itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dsbench.backbones.s4d import DiagonalSystem
from dsbench.backbones.s5 import S5Mixer
from dsbench.backbones.time_invariant import TimeInvariantMixer

TimeInvariant = TimeInvariantMixer | S5Mixer

INPUT_DEPENDENT = frozenset({"mamba", "mamba2", "hf:mamba", "hf:mamba2", "mingru"})
NONLINEAR = frozenset({"lstm", "gru", "rnn"})
ATTENTION = frozenset({"gpt", "hf:gpt2", "hf:llama"})


@dataclass(frozen=True)
class Dynamics:
    """The system of one layer as its parameters are now.

    Attributes:
        eigenvalues: (systems, N) complex128 of Abar; both of each conjugate pair.
        kernel: (H, length) K_i of each channel.
        condition: (systems,) condition number of the eigenvectors: rounding of Abar moves eigenvalues by up to so many
            times its own size (Bauer and Fike 1960). 1 where Abar is diagonal.
    """

    eigenvalues: NDArray[np.complex128]
    kernel: NDArray[np.float64]
    condition: NDArray[np.float64]

    @property
    def radii(self) -> NDArray[np.float64]:
        """(systems, N) absolute values of the eigenvalues."""
        return np.abs(self.eigenvalues)


def time_invariant_mixers(backbone: nn.Module) -> dict[str, TimeInvariant]:
    """The time-invariant mixers of a backbone, by the path of the module, in order."""
    return {name: part for name, part in backbone.named_modules() if isinstance(part, TimeInvariant)}


def why_none(name: str) -> str:
    """One sentence: why a backbone of this name has no eigenvalues and no kernel to show."""
    if name in INPUT_DEPENDENT:
        return f"{name} has no fixed eigenvalues and no kernel: how fast its state decays is a function of each token."
    if name in NONLINEAR:
        return f"{name} has no eigenvalues and no kernel: its recurrence is not linear in the state."
    if name in ATTENTION:
        return f"{name} has no eigenvalues and no kernel: it keeps tokens, not a state that a matrix advances."
    return f"{name} has no time-invariant linear system with eigenvalues and a kernel to show."


@torch.no_grad()
def dynamics_of(mixer: TimeInvariant, length: int) -> Dynamics:
    """Eigenvalues, and the kernel over `length` tokens, in the precision of the mixer's parameters."""
    if isinstance(mixer, S5Mixer):
        return _of_s5(mixer, length)
    system = mixer.discretise()
    kernel = system.kernel(length).double().numpy()
    if isinstance(system, DiagonalSystem):
        modes = torch.exp(torch.complex(system.log_size, system.angle)).numpy().astype(np.complex128)
        eigenvalues = _with_partners(modes) if getattr(mixer, "conjugate", True) else modes
        return Dynamics(eigenvalues, kernel, np.ones(len(eigenvalues)))
    eigenvalues, vectors = np.linalg.eig(transition(mixer))
    return Dynamics(eigenvalues.astype(np.complex128), kernel, np.linalg.cond(vectors))


@torch.no_grad()
def transition(mixer: TimeInvariantMixer) -> NDArray[np.float64]:
    """(H, S, S): Abar of each channel on its state of S real numbers, read off from the step without an input."""
    size = 2 * mixer.modes
    like = mixer.log_dt
    basis = torch.eye(size, dtype=like.dtype).unsqueeze(1).expand(-1, mixer.d_model, -1)  # (S, H, S), one row a unit
    _, columns = mixer.discretise().step(torch.zeros(size, mixer.d_model, dtype=like.dtype), basis)
    return columns.permute(1, 2, 0).double().numpy()


def _of_s5(mixer: S5Mixer, length: int) -> Dynamics:
    system = mixer.discretise()
    modes = _complex(system.z)
    b, c = _complex(system.b), system.c.double().numpy()
    half = c.shape[-1] // 2
    weight = (c[:, :half] - 1j * c[:, half:]) * b.T  # c holds [2 Re | -2 Im]: this is 2 C times B, channel by channel
    kernel = np.stack([(weight * modes**i).sum(-1).real for i in range(length)], -1)
    return Dynamics(_with_partners(modes[None]), kernel, np.ones(1))


def _complex(packed: Tensor) -> NDArray[np.complex128]:
    """``[real | imaginary]`` along the first axis."""
    real, imaginary = packed.double().numpy().reshape(2, -1, *packed.shape[1:])
    joined: NDArray[np.complex128] = real + 1j * imaginary
    return joined


def _with_partners(modes: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """One of each conjugate pair -> both."""
    return np.concatenate([modes, modes.conj()], -1)


def powers(radii: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """(states, length): ``|lambda|^i``, the share of a token that a state still holds after i more."""
    return radii[:, None] ** np.arange(length)


def half_lives(radii: NDArray[np.float64]) -> NDArray[np.float64]:
    """Tokens after which ``|lambda|^i`` is one half; infinite from ``|lambda| = 1`` on."""
    with np.errstate(divide="ignore"):
        lives = np.log(0.5) / np.log(np.minimum(radii, 1.0))
    return np.where(radii >= 1.0, np.inf, np.abs(lives))
