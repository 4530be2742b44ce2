"""S4: HiPPO-LegS in diagonal plus low-rank form, bilinear (Gu et al. 2022, arXiv:2111.00396).

A = diag(Lambda) - P P*, one per `n_ssm` group of channels; dt and C are per channel. In real coordinates
``[real | imaginary]`` of one of each conjugate pair, P P* becomes 2 p p^T, so the resolvent is a rotation per mode plus
one rank (Woodbury) and everything else follows from it:

    M = I - dt/2 A,   Abar = 2 M^-1 - I,   Bbar = dt M^-1 B,   step: s' = M^-1 (2 s + dt B u) - s   in O(N)

The paper sums the kernel at the roots of unity (Cauchy). Here it is factored like a Vandermonde matrix,
K_(Q i + j) = (C Abar^(Q i)) (Abar^j Bbar), which needs Q recurrences of one vector and Abar^Q. At H = N = 64 that is
faster at the lengths measured on CPU (256 and 1024), as exact in single precision as the step, and free of
C~ = C (I - Abar^L), which depends on a length. C is stored raw. The Cauchy form is the oracle of the tests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from dsbench.backbones.contract import Backbone, mark_dynamics, mark_rate
from dsbench.backbones.hippo import legs_nplr
from dsbench.backbones.residual import Block
from dsbench.backbones.time_invariant import TimeInvariantBackbone, TimeInvariantMixer
from dsbench.errors import UsageError

CHUNK = 64  # Q: up to here vectors are advanced one token at a time in O(N), above it in blocks by Abar^Q


@dataclass(frozen=True)
class LowRankSystem:
    """A discretised DPLR system; vectors are real, ``[real | imaginary]`` of N/2 modes. Made once per call.

    Attributes:
        dt: (H, 1) time steps.
        a: (H, N) Lambda.
        p: (H, N) low-rank factor P.
        b: (H, N) continuous B.
        c: (H, N) complex C; the output is twice the real part of C s.
    """

    dt: Tensor
    a: Tensor
    p: Tensor
    b: Tensor
    c: Tensor
    _memo: dict[int, Tensor] = field(default_factory=dict)

    def kernel(self, length: int) -> Tensor:
        width = min(length, CHUNK)
        rows = [self._readout.unsqueeze(1)]
        for _ in range((length - 1) // width):
            rows.append(rows[-1] @ self._jump)
        return (torch.cat(rows, 1) @ self._responses(width)).flatten(1)[:, :length]

    def drive(self, u: Tensor) -> Tensor:
        channels, rows, length = u.shape
        width = min(length, CHUNK)
        response = self._responses(width).flip(-1).mT  # (H, width, N): latest input last
        first = length % width or width
        state = u[..., :first] @ response[:, width - first :]
        if length > width:
            blocks = u[..., first:].reshape(channels, rows, -1, width) @ response.unsqueeze(1)
            for block in blocks.unbind(2):
                state = state @ self._jump.mT + block
        return state.transpose(0, 1)

    def advance(self, state: Tensor, length: int) -> Tensor:
        power: Tensor = torch.linalg.matrix_power(self._dense, length)
        return (state.transpose(0, 1) @ power.mT).transpose(0, 1)

    def free_response(self, state: Tensor, length: int) -> Tensor:
        width = min(length, CHUNK)
        rows = [(self._readout.unsqueeze(1) @ self._dense)]
        while len(rows) < width:
            rows.append(rows[-1] @ self._dense)
        states = [state.transpose(0, 1)]
        for _ in range((length - 1) // width):
            states.append(states[-1] @ self._jump.mT)
        read = torch.cat(rows, 1).mT  # (H, N, width)
        return torch.cat([s @ read for s in states], -1)[..., :length]

    def step(self, u: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        new = torch.addcmul(self._advance(state), u.unsqueeze(-1), self._bbar)
        return (new * self._readout).sum(-1), new

    def _responses(self, length: int) -> Tensor:
        """(H, N, length): ``Abar^l Bbar``; the kernel and the final state ask for the same one."""
        if length not in self._memo:
            columns = [self._bbar]
            while len(columns) < length:
                columns.append(self._advance(columns[-1]))
            self._memo[length] = torch.stack(columns, -1)
        return self._memo[length]

    def _advance(self, v: Tensor) -> Tensor:
        """``Abar v`` for v (..., H, N), in O(N)."""
        return self._resolve(2 * v) - v

    def _resolve(self, v: Tensor) -> Tensor:
        """``(I - dt/2 A)^-1 v`` for v (..., H, N)."""
        turned = _rotate(self._diagonal, v)
        return torch.addcmul(turned, self._gain, (self.p * turned).sum(-1, keepdim=True), value=-1)

    @cached_property
    def _diagonal(self) -> Tensor:
        """(H, N): ``1 / (1 - dt/2 Lambda)``."""
        real, imaginary = (self.dt / 2 * self.a).chunk(2, -1)
        square = (1 - real).square() + imaginary.square()
        return torch.cat([(1 - real) / square, imaginary / square], -1)

    @cached_property
    def _gain(self) -> Tensor:
        """(H, N): ``D p dt / (1 + dt p^T D p)`` of the Woodbury identity."""
        turned = _rotate(self._diagonal, self.p)
        return turned * (self.dt / (1 + self.dt * (self.p * turned).sum(-1, keepdim=True)))

    @cached_property
    def _bbar(self) -> Tensor:
        return self._resolve(self.dt * self.b)

    @cached_property
    def _readout(self) -> Tensor:
        real, imaginary = self.c.chunk(2, -1)
        return torch.cat([2 * real, -2 * imaginary], -1)

    @cached_property
    def _dense(self) -> Tensor:
        """(H, N, N): Abar."""
        size = self.a.shape[-1]
        identity = torch.eye(size, dtype=self.a.dtype, device=self.a.device)
        columns = self._resolve(2 * identity.unsqueeze(1).expand(-1, self.a.shape[0], -1))  # (N, H, N), column first
        return columns.permute(1, 2, 0) - identity

    @cached_property
    def _jump(self) -> Tensor:
        """(H, N, N): ``Abar^CHUNK``."""
        power: Tensor = torch.linalg.matrix_power(self._dense, CHUNK)
        return power


def _rotate(by: Tensor, v: Tensor) -> Tensor:
    """Complex product of packed vectors."""
    (a, b), (c, d) = by.chunk(2, -1), v.chunk(2, -1)
    return torch.cat([a * c - b * d, a * d + b * c], -1)


class S4Mixer(TimeInvariantMixer):
    """A DPLR system per channel. State: (B, H, N) ``[real | imaginary]``.

    Args:
        d_model: number of channels H.
        d_state: state size N.
        n_ssm: copies of (A, B); 1 ties all channels, d_model gives each its own. A divisor of d_model.
        dt_min: shortest time step at the start.
        dt_max: longest time step at the start.
    """

    def __init__(
        self, d_model: int, *, d_state: int = 64, n_ssm: int = 1, dt_min: float = 1e-3, dt_max: float = 0.1
    ) -> None:
        super().__init__(d_model, d_state=d_state, dt_min=dt_min, dt_max=dt_max)
        if not isinstance(n_ssm, int) or n_ssm < 1 or d_model % n_ssm:
            raise UsageError(f"n_ssm is {n_ssm!r}; expected a positive divisor of d_model={d_model}")
        self.n_ssm = n_ssm
        a, p, b = (torch.from_numpy(part) for part in legs_nplr(d_state))

        def parameter(*parts: Tensor) -> nn.Parameter:
            return nn.Parameter(torch.cat(parts).float().repeat(n_ssm, 1))

        self.log_a_real = mark_dynamics(parameter(torch.log(-a.real)))
        self.a_imag = mark_dynamics(parameter(a.imag))
        self.p = mark_dynamics(parameter(p.real, p.imag))
        self.b = mark_rate(parameter(b.real, b.imag))  # slow as in the authors' code, yet not part of A

    def discretise(self) -> LowRankSystem:
        a = torch.cat([-torch.exp(self._cast(self.log_a_real)), self._cast(self.a_imag)], -1)
        copies = self.d_model // self.n_ssm
        a, p, b = (self._cast(part).repeat_interleave(copies, 0) for part in (a, self.p, self.b))
        return LowRankSystem(torch.exp(self._cast(self.log_dt)).unsqueeze(1), a, p, b, self._cast(self.c))


class S4(TimeInvariantBackbone):
    """A stack of S4 layers (Gu et al. 2022). Options: see `S4Mixer` and `ResidualBackbone`."""

    def __init__(
        self, d_model: int, *, n_layers: int = 2, block: Block = "shared", d_state: int = 64, n_ssm: int = 1,
        dt_min: float = 1e-3, dt_max: float = 0.1,
    ) -> None:  # fmt: skip
        self._mixer_options = {"d_state": d_state, "n_ssm": n_ssm, "dt_min": dt_min, "dt_max": dt_max}
        super().__init__(d_model, n_layers=n_layers, block=block)

    def make_mixer(self) -> Backbone:
        return S4Mixer(self.d_model, **self._mixer_options)  # type: ignore[arg-type]
