"""S4D: kernels against dense definitions, initialisations, counts, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dsbench.backbones.convolution import causal_convolution
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
    ],
)
def test_options_that_make_no_sense_are_refused_with_their_value(options: dict[str, object]) -> None:
    (value,) = options.values()
    with pytest.raises(UsageError, match=str(value)):
        S4D(4, **options)  # type: ignore[arg-type]
