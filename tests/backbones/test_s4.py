"""S4: HiPPO identities, the kernel against dense linear algebra, the O(N) step, counts, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dsbench.backbones.hippo import legs, legs_nplr, low_rank
from dsbench.backbones.s4 import CHUNK, S4, S4Mixer
from dsbench.errors import UsageError

LENGTHS = [1, 2, 31, CHUNK, CHUNK + 1, 98, 130]


def test_legs_plus_low_rank_is_skew_up_to_minus_a_half() -> None:
    a, _ = legs(64)
    normal = a + np.outer(low_rank(64), low_rank(64))
    np.testing.assert_allclose(normal + normal.T, -np.eye(64), atol=1e-11)


def test_legs_spectrum_is_the_known_one() -> None:
    modes, _, _ = legs_nplr(64)
    np.testing.assert_allclose(modes.real, -0.5, atol=1e-9)
    assert (modes.imag < 0).all()
    assert np.abs(modes.imag).min() == pytest.approx(0.264, abs=5e-4)
    assert np.abs(modes.imag).max() == pytest.approx(1303, abs=0.5)


def test_nplr_form_has_the_eigenvalues_of_hippo() -> None:
    modes, p, _ = legs_nplr(8)
    full, q = np.concatenate([modes, modes.conj()]), np.concatenate([p, p.conj()])
    eigenvalues = np.linalg.eigvals(np.diag(full) - np.outer(q, q.conj()))
    np.testing.assert_allclose(np.sort(eigenvalues.real), np.arange(-8, 0), atol=1e-6)


def dense_kernel(mixer: S4Mixer, channel: int, length: int) -> np.ndarray:
    """Bilinear discretisation of the full complex matrix, by inverses and powers."""
    half = mixer.d_state // 2
    group = channel // (mixer.d_model // mixer.n_ssm)

    def both(packed: torch.Tensor) -> np.ndarray:
        value = packed[:half].detach().numpy() + 1j * packed[half:].detach().numpy()
        return np.concatenate([value, value.conj()])

    modes = both(torch.cat([-mixer.log_a_real[group].exp(), mixer.a_imag[group]]))
    p, b, c = both(mixer.p[group]), both(mixer.b[group]), both(mixer.c[channel])
    dt, identity = mixer.log_dt[channel].exp().item(), np.eye(2 * half)
    a = np.diag(modes) - np.outer(p, p.conj())
    inverse = np.linalg.inv(identity - dt / 2 * a)
    abar, state, taps = inverse @ (identity + dt / 2 * a), dt * inverse @ b, []
    for _ in range(length):
        taps.append((c @ state).real)
        state = abar @ state
    return np.array(taps)


@pytest.mark.parametrize("n_ssm", [1, 2, 4])
@pytest.mark.parametrize("length", LENGTHS)
def test_kernel_equals_the_dense_recurrence(n_ssm: int, length: int) -> None:
    torch.manual_seed(0)
    mixer = S4Mixer(4, d_state=16, n_ssm=n_ssm).double()
    with torch.no_grad():
        mixer.a_imag.add_(torch.randn_like(mixer.a_imag))  # so that copies differ
        kernel = mixer.discretise().kernel(length)
    for channel in range(4):
        assert np.abs(kernel[channel].numpy() - dense_kernel(mixer, channel, length)).max() < 1e-10


@pytest.mark.parametrize("length", LENGTHS)
def test_kernel_is_a_prefix_of_a_longer_one(length: int) -> None:
    torch.manual_seed(0)
    system = S4Mixer(4, d_state=16).double().discretise()
    assert (system.kernel(length) - system.kernel(257)[:, :length]).abs().max() < 1e-10


def cauchy_kernel(mixer: S4Mixer, length: int) -> torch.Tensor:
    """The paper's kernel (arXiv:2111.00396, appendix C.3) in complex128: a generating function at the roots of unity.

    ``K^ = 2 / (1 + omega) [r_CB - r_CP r_PB / (1 + r_PP)]``, ``r_XY = sum dt X Y / (z - dt Lambda)``, with C~ for C;
    at the Nyquist node z is infinite and the limit is ``dt / 2 sum(C~ B)``.
    """

    def both(packed: torch.Tensor) -> torch.Tensor:
        half = torch.complex(*packed.chunk(2, -1))
        return torch.cat([half, half.conj()], -1)

    modes = both(torch.cat([-mixer.log_a_real.exp(), mixer.a_imag], -1))
    p, b, c, dt = both(mixer.p), both(mixer.b), both(mixer.c), mixer.log_dt.exp().unsqueeze(1)
    identity = torch.eye(mixer.d_state, dtype=torch.complex128)
    a = torch.diag_embed(modes) - p.unsqueeze(2) * p.conj().unsqueeze(1)
    abar = torch.linalg.solve(identity - dt.unsqueeze(2) / 2 * a, identity + dt.unsqueeze(2) / 2 * a)
    c = c - (c.unsqueeze(1) @ torch.linalg.matrix_power(abar, length)).squeeze(1)
    tangent = torch.tan(torch.pi / length * torch.arange((length + 1) // 2, dtype=torch.float64))
    table = dt.unsqueeze(1) / (2j * tangent.view(1, -1, 1) - (dt * modes).unsqueeze(1))
    products = [c * b, c * p, p.conj() * b, p.conj() * p]
    cb, cp, pb, pp = (table @ torch.stack([v.expand(len(dt), -1) for v in products], -1)).unbind(-1)
    spectrum = (1 + 1j * tangent) * (cb - cp * pb / (1 + pp))
    if length % 2 == 0:
        spectrum = torch.cat([spectrum, dt / 2 * (c * b).sum(-1, keepdim=True)], -1)
    kernel: torch.Tensor = torch.fft.irfft(spectrum, n=length)
    return kernel


@pytest.mark.parametrize("length", [*LENGTHS, 999, 1000])
def test_kernel_equals_the_cauchy_sums_of_the_paper(length: int) -> None:
    torch.manual_seed(0)
    mixer = S4Mixer(4, d_state=64).double()
    with torch.no_grad():
        kernel, expected = mixer.discretise().kernel(length), cauchy_kernel(mixer, length)
    assert (kernel - expected).abs().max() < 1e-10


@pytest.mark.parametrize(("d_model", "d_state", "n_ssm"), [(64, 64, 1), (6, 8, 3)])
def test_parameter_count_is_the_closed_form(d_model: int, d_state: int, n_ssm: int) -> None:
    h, n = d_model, d_state
    mixer = 2 * h + 3 * n_ssm * n + h * n + (2 * h * h + 2 * h)  # dt, D; Lambda, P, B; C; output projection
    block = mixer + 2 * h + (4 * h * h + 3 * h)  # two norms, MLP of ratio 2
    model = S4(d_model, n_layers=2, d_state=d_state, n_ssm=n_ssm)
    assert sum(p.numel() for p in model.parameters()) == 2 * block + h
    paper = S4(d_model, n_layers=2, d_state=d_state, n_ssm=n_ssm, block="paper")
    assert sum(p.numel() for p in paper.parameters()) == 2 * (mixer + 2 * h)


@pytest.mark.parametrize("options", [{"d_state": 7}, {"n_ssm": 3}, {"n_ssm": 0}, {"dt_max": 0.0}])
def test_options_that_make_no_sense_are_refused_with_their_value(options: dict[str, object]) -> None:
    (value,) = options.values()
    with pytest.raises(UsageError, match=str(value)):
        S4(4, **options)  # type: ignore[arg-type]
