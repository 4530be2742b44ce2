"""S5: against the dense real state space it diagonalises, the distributions it starts from, refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import block_diag, expm

from dsbench.backbones.hippo import legs, legs_normal, low_rank
from dsbench.backbones.s5 import LARGEST_REAL, S5, S5Mixer, initial_modes
from dsbench.errors import UsageError

OPTIONS: dict[str, Any] = {
    "d_state": 8, "blocks": 1, "dt_min": 1e-3, "dt_max": 0.1, "discretisation": "zoh", "clip_eigs": True,
    "implementation": "auto",
}  # fmt: skip


def _mixer(d_model: int, seed: int = 0, **options: Any) -> S5Mixer:
    torch.manual_seed(seed)
    return S5Mixer(d_model, **OPTIONS | options).double()


def _complex(packed: torch.Tensor, axis: int) -> np.ndarray:
    real, imaginary = packed.detach().double().chunk(2, axis)
    return real.numpy() + 1j * imaginary.numpy()


@pytest.mark.parametrize("size", [2, 16, 64])
def test_modes_and_vectors_rebuild_the_normal_part_of_hippo(size: int) -> None:
    modes, vectors = legs_normal(size)
    normal = legs(size)[0] + np.outer(low_rank(size), low_rank(size))
    np.testing.assert_allclose(normal + normal.T, -np.eye(size), atol=1e-9 * size)
    np.testing.assert_allclose(2 * ((vectors * modes) @ vectors.conj().T).real, normal, atol=1e-9 * size)
    np.testing.assert_allclose(vectors.conj().T @ vectors, np.eye(size // 2), atol=1e-10)
    np.testing.assert_allclose(vectors.T @ vectors, 0, atol=1e-10)  # a mode is orthogonal to every mode's conjugate
    assert (modes.imag < 0).all() and (modes.real == -0.5).all()


@pytest.mark.parametrize("blocks", [1, 2])
@pytest.mark.parametrize("discretisation", ["zoh", "bilinear"])
def test_outputs_are_those_of_the_dense_real_system(blocks: int, discretisation: str) -> None:
    """Independent of the diagonalisation: matrix exponential (or Cayley map) of the real block-diagonal HiPPO part."""
    size, channels, length, dt = 8, 3, 40, 0.07
    mixer = _mixer(channels, d_state=size, blocks=blocks, discretisation=discretisation)
    modes, vectors = initial_modes(size, blocks)
    with torch.no_grad():  # the exact modes, which float32 rounds
        mixer.log_dt.fill_(math.log(dt))
        mixer.lambda_real.copy_(modes.real)
        mixer.lambda_imag.copy_(modes.imag)
    one = legs(size // blocks)[0] + np.outer(low_rank(size // blocks), low_rank(size // blocks))
    a, v = block_diag(*[one] * blocks), vectors.numpy()
    b = 2 * (v @ _complex(mixer.b, 0)).real
    c = 2 * (_complex(mixer.c, -1) @ v.conj().T).real
    if discretisation == "zoh":
        abar = expm(dt * a)
        bbar = np.linalg.solve(a, (abar - np.eye(size)) @ b)
    else:
        inverse = np.linalg.inv(np.eye(size) - dt / 2 * a)
        abar, bbar = inverse @ (np.eye(size) + dt / 2 * a), dt * inverse @ b
    u = torch.randn(1, length, channels, dtype=torch.float64)
    h, expected = np.zeros(size), []
    for u_t in u[0].numpy():
        h = abar @ h + bbar @ u_t
        expected.append(c @ h + mixer.d.detach().numpy() * u_t)
    y = mixer._project(torch.from_numpy(np.stack(expected)))
    torch.testing.assert_close(mixer(u)[0][0], y, rtol=0, atol=1e-8)


@settings(max_examples=10, deadline=None)
@given(
    length=st.integers(1, 40), pairs=st.integers(1, 3), blocks=st.integers(1, 2), clip=st.booleans(), seed=st.integers(0, 9)
)  # fmt: skip
def test_state_is_the_complex_recurrence(length: int, pairs: int, blocks: int, clip: bool, seed: int) -> None:
    mixer = _mixer(2, seed, d_state=2 * pairs * blocks, blocks=blocks, clip_eigs=clip)
    with torch.no_grad():
        mixer.lambda_real[0] = 0.3  # unstable unless clipped
    modes = mixer.lambda_real.detach().numpy() + 1j * mixer.lambda_imag.detach().numpy()
    modes = np.minimum(modes.real, LARGEST_REAL) + 1j * modes.imag if clip else modes
    z = np.exp(mixer.log_dt.exp().detach().numpy() * modes)
    bbar = ((z - 1) / modes)[:, None] * _complex(mixer.b, 0)
    u = torch.randn(1, length, 2, dtype=torch.float64)
    h = np.zeros(len(z), dtype=complex)
    for u_t in u[0].numpy():
        h = z * h + bbar @ u_t
    _, state = mixer(u)
    assert isinstance(state, torch.Tensor)
    np.testing.assert_allclose(_complex(state, -1)[0], h, atol=1e-10)


def test_input_and_output_maps_start_as_rotated_truncated_normals() -> None:
    size, channels, blocks = 64, 200, 4
    mixer = _mixer(channels, d_state=size, blocks=blocks)
    _, vectors = initial_modes(size, blocks)
    v = vectors.numpy()
    b = 2 * (v @ _complex(mixer.b, 0)).real
    np.testing.assert_allclose(v.conj().T @ b, _complex(mixer.b, 0), atol=1e-6)  # B~ = V* B of a real B
    assert b.std() == pytest.approx(1 / math.sqrt(size), rel=0.03)
    assert np.abs(b).max() <= 2 / math.sqrt(size) / 0.87962566 + 1e-5
    c = _complex(mixer.c, -1)  # rotation keeps the variance: 1 / N in each part of C, of which half the columns
    assert c.real.std() == pytest.approx(1 / math.sqrt(size), rel=0.03)
    assert c.imag.std() == pytest.approx(1 / math.sqrt(size), rel=0.03)
    assert mixer.d.std().item() == pytest.approx(1, rel=0.2)


def test_modes_and_step_sizes_start_where_the_options_say() -> None:
    mixer = _mixer(4, d_state=256, blocks=4, dt_min=0.01, dt_max=0.5)
    assert (mixer.lambda_real == -0.5).all() and (mixer.lambda_imag < 0).all()
    tiles = mixer.lambda_imag.view(4, 32)
    assert (tiles == tiles[0]).all()
    log_dt = mixer.log_dt
    assert log_dt.shape == (128,) and log_dt.min() >= math.log(0.01) - 1e-6 and log_dt.max() <= math.log(0.5) + 1e-6
    middle = (math.log(0.01) + math.log(0.5)) / 2  # log-uniform: mean and spread of a uniform
    assert log_dt.mean().item() == pytest.approx(middle, abs=0.3)
    assert log_dt.std().item() == pytest.approx(math.log(50) / math.sqrt(12), rel=0.15)


@pytest.mark.parametrize("clip", [True, False])
def test_only_clipping_keeps_a_long_run_bounded(clip: bool) -> None:
    mixer = _mixer(2, clip_eigs=clip, dt_min=0.1)
    with torch.no_grad():
        mixer.lambda_real.fill_(0.1)
        _, state = mixer(torch.ones(1, 20_000, 2, dtype=torch.float64))
    assert isinstance(state, torch.Tensor)
    assert bool((state.abs() < 1e3).all()) == clip


def test_dynamics_and_input_map_train_slowly_and_without_decay() -> None:
    model = S5(4, n_layers=1, d_state=8)
    slow = {id(p) for group in model.param_groups() if group["name"].startswith("rate_") for p in group["params"]}
    names = {name.rsplit(".", 1)[1] for name, parameter in model.named_parameters() if id(parameter) in slow}
    assert names == {"lambda_real", "lambda_imag", "log_dt", "b"}
    model.freeze_dynamics()
    frozen = {name.rsplit(".", 1)[1] for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen == {"lambda_real", "lambda_imag", "log_dt"}


@pytest.mark.parametrize(("d_model", "d_state", "n_layers"), [(64, 64, 2), (6, 8, 3)])
def test_parameter_count_is_the_closed_form(d_model: int, d_state: int, n_layers: int) -> None:
    h, n = d_model, d_state
    mixer = 3 * n // 2 + 2 * n * h + h + (h * h + h)  # Lambda, dt; B, C; D; gate
    block = mixer + 2 * h + (4 * h * h + 3 * h)  # two norms, MLP of ratio 2
    model = S5(d_model, n_layers=n_layers, d_state=d_state)
    assert sum(p.numel() for p in model.parameters()) == n_layers * block + h
    paper = S5(d_model, n_layers=n_layers, d_state=d_state, block="paper")
    assert sum(p.numel() for p in paper.parameters()) == n_layers * (mixer + 2 * h)


def test_autocast_leaves_state_and_recurrence_in_float32() -> None:
    mixer = _mixer(4).float()
    x = torch.randn(2, 30, 4)
    _, exact = mixer(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, state = mixer(x)
    assert state.dtype == torch.float32
    assert torch.equal(state, exact)


def test_kernel_says_what_runs() -> None:
    assert S5(4, implementation="torch").kernel().name == "torch"


@pytest.mark.parametrize(
    "options",
    [
        {"d_state": 7},
        {"d_state": 0},
        {"blocks": 3},
        {"blocks": 0},
        {"blocks": 64},
        {"discretisation": "euler"},
        {"dt_min": 0.0},
        {"dt_min": 1.0},
        {"implementation": "cobol"},
    ],
)
def test_options_that_make_no_sense_are_refused_with_their_value(options: dict[str, Any]) -> None:
    (value,) = options.values()
    with pytest.raises(UsageError, match=str(value)):
        S5(4, **options)
