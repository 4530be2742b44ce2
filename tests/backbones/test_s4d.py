"""S4D: kernels against dense definitions, initialisations, counts, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dsbench.backbones import build
from dsbench.backbones.convolution import causal_convolution
from dsbench.backbones.hippo import legs, low_rank
from dsbench.backbones.s4d import S4D, S4DMixer, zero_order_hold
from dsbench.errors import UsageError


@pytest.mark.parametrize("init", ["lin", "legs", "inv", "real"])
@pytest.mark.parametrize("discretisation", ["zoh", "bilinear"])
@pytest.mark.parametrize("length", [1, 2, 50, 127])
def test_kernel_equals_the_dense_recurrence(init: str, discretisation: str, length: int) -> None:
    torch.manual_seed(0)
    mixer = S4DMixer(3, d_state=16, init=init, discretisation=discretisation).double()  # type: ignore[arg-type]
    kernel = mixer.discretise().kernel(length).detach().numpy()
    modes = (-mixer.log_a_real.exp() + 1j * mixer.a_imag).detach().numpy()
    inputs = mixer.input[:8].numpy() + 1j * mixer.input[8:].numpy()
    for h, dt in enumerate(mixer.log_dt.exp().tolist()):
        a = modes[h]
        if discretisation == "zoh":
            abar, bbar = np.exp(dt * a), (np.exp(dt * a) - 1) / a * inputs
        else:
            abar, bbar = (1 + dt * a / 2) / (1 - dt * a / 2), dt / (1 - dt * a / 2) * inputs
        c = mixer.c[h, :8].detach().numpy() + 1j * mixer.c[h, 8:].detach().numpy()
        state, expected = bbar, []
        for _ in range(length):
            expected.append(2 * (c * state).sum().real)
            state = abar * state
        assert np.abs(kernel[h] - expected).max() < 1e-10


def test_initial_modes_are_those_of_the_paper() -> None:
    def imaginary(init: str) -> np.ndarray:
        return S4DMixer(1, d_state=8, init=init).a_imag[0].detach().numpy()  # type: ignore[arg-type]

    np.testing.assert_allclose(imaginary("lin"), np.pi * np.arange(4), rtol=1e-6)
    np.testing.assert_allclose(imaginary("inv"), 8 / np.pi * (8 / np.array([1, 3, 5, 7]) - 1), rtol=1e-6)
    np.testing.assert_allclose(S4DMixer(1, d_state=8).log_a_real.exp().detach(), 0.5, rtol=1e-6)
    real = S4DMixer(1, d_state=8, init="real")
    np.testing.assert_allclose(real.log_a_real[0].exp().detach(), [1, 2, 3, 4], rtol=1e-6)
    assert not real.a_imag.any()


def test_modes_of_hippo_are_the_eigenvalues_of_its_normal_part() -> None:
    size = 8
    normal = legs(size)[0] + np.outer(low_rank(size), low_rank(size))
    expected = np.sort(np.linalg.eigvals(normal).imag)[: size // 2]  # one of each pair
    for mixer in (S4DMixer(1, d_state=size, init="legs"), S4DMixer(1, d_state=size // 2, init="dss", conjugate=False)):
        np.testing.assert_allclose(np.sort(mixer.a_imag[0].detach()), expected, rtol=1e-5)
        np.testing.assert_allclose(mixer.log_a_real.exp().detach(), 0.5, rtol=1e-5)
    assert torch.equal(mixer.input, torch.tensor([1.0] * 4 + [0.0] * 4))


@pytest.mark.parametrize("length", [1, 50])
def test_states_without_partners_count_once_and_a_tied_matrix_serves_all_channels(length: int) -> None:
    torch.manual_seed(0)
    mixer = S4DMixer(3, d_state=5, tie_A=True, conjugate=False).double()
    assert mixer.log_a_real.shape == mixer.a_imag.shape == (1, 5)
    kernel = mixer.discretise().kernel(length).detach().numpy()
    a = (-mixer.log_a_real.exp() + 1j * mixer.a_imag)[0].detach().numpy()
    c = mixer.c[:, :5].detach().numpy() + 1j * mixer.c[:, 5:].detach().numpy()
    for h, dt in enumerate(mixer.log_dt.exp().tolist()):
        taps = np.exp(dt * np.outer(np.arange(length), a)) @ (c[h] * (np.exp(dt * a) - 1) / a)
        assert np.abs(kernel[h] - taps.real).max() < 1e-10


@pytest.mark.parametrize(("d_model", "d_state"), [(64, 64), (16, 64), (64, 16)])
def test_decision_s4_has_the_parameters_of_its_paper(d_model: int, d_state: int) -> None:
    h, n = d_model, d_state
    kernel = 2 * n + 2 * h * n + 2 * h + h  # of DSS: A of all channels; C; dt of both parts; D
    mixing, norm = 2 * h * h + 2 * h, 2 * h
    model = build("s4d", d_model, preset="decision-s4", n_layers=3, d_state=d_state)
    assert sum(p.numel() for p in model.parameters()) == 3 * (kernel - h + mixing + norm)  # one dt for both parts


def test_decision_s4_at_the_size_of_table_3_is_within_the_second_time_steps_of_it() -> None:
    encoders = (17 + 1) * 256 + (6 + 1) * 256 + (1 + 1) * 256  # HalfCheetah: observation, action, return
    around = encoders + (3 * 256 + 1) * 64 + 64 * 6
    model = build("s4d", 64, preset="decision-s4", n_layers=3)
    assert around + sum(p.numel() for p in model.parameters()) + 3 * 64 == 107_392


def test_a_preset_leaves_free_what_it_does_not_name_and_refuses_what_contradicts_it() -> None:
    model = S4D(4, preset="decision-s4", d_state=3, block="paper")
    assert model.initial_state(2)[0].shape == (2, 4, 6)  # type: ignore[index,union-attr]
    with pytest.raises(UsageError, match="init is 'inv' beside preset='decision-s4', which means 'dss'"):
        S4D(4, preset="decision-s4", init="inv")
    with pytest.raises(UsageError, match="'decision-s5'; expected one of decision-s4"):
        S4D(4, preset="decision-s5")  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [1e-8, 1e-6, 1e-4])
def test_zero_order_hold_keeps_its_digits_for_slow_modes(size: float) -> None:
    dt = torch.tensor([[1.0]])
    a = torch.tensor([[-size]]), torch.tensor([[size]])
    _, (real, imaginary) = zero_order_hold(dt, a)
    z = complex(-size, size)
    expected = 1 + z / 2 + z**2 / 6
    assert abs(complex(real.item(), imaginary.item()) - expected) < 3e-7


@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 97, 128])
def test_convolution_equals_numpy_for_both_routes(length: int) -> None:
    generator = torch.Generator().manual_seed(length)
    u = torch.randn(2, 3, length, dtype=torch.float64, generator=generator)
    kernel = torch.randn(2, length, dtype=torch.float64, generator=generator)
    y = causal_convolution(u, kernel)
    for h in range(2):
        for r in range(3):
            np.testing.assert_allclose(y[h, r], np.convolve(u[h, r], kernel[h])[:length], atol=1e-12)


@pytest.mark.parametrize(("d_model", "d_state", "n_layers"), [(64, 64, 2), (6, 8, 3)])
def test_parameter_count_is_the_closed_form(d_model: int, d_state: int, n_layers: int) -> None:
    h, n = d_model, d_state
    mixer = 2 * h + h * n + h * n + (2 * h * h + 2 * h)  # dt, D; A; C; output projection
    block = mixer + 2 * h + (4 * h * h + 3 * h)  # two norms, MLP of ratio 2
    model = S4D(d_model, n_layers=n_layers, d_state=d_state)
    assert sum(p.numel() for p in model.parameters()) == n_layers * block + h
    paper = S4D(d_model, n_layers=n_layers, d_state=d_state, block="paper")
    assert sum(p.numel() for p in paper.parameters()) == n_layers * (mixer + 2 * h)


@pytest.mark.parametrize(
    "options",
    [
        {"d_state": 7},
        {"d_state": 0},
        {"init": "fourier"},
        {"discretisation": "euler"},
        {"dt_min": 0.0},
        {"dt_min": 1.0},
        {"tie_A": "all"},
        {"conjugate": 2},
    ],
)
def test_options_that_make_no_sense_are_refused_with_their_value(options: dict[str, object]) -> None:
    (value,) = options.values()
    with pytest.raises(UsageError, match=str(value)):
        S4D(4, **options)  # type: ignore[arg-type]
