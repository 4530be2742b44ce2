"""Eigenvalues and kernels are those of the system that really runs: against its step, and against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from dsbench.backbones import build
from dsbench.inspection.systems import Dynamics, dynamics_of, half_lives, powers, time_invariant_mixers, transition

LENGTH = 20
VARIANTS = [
    ("s4", {}),
    ("s4", {"n_ssm": 4}),
    ("s4d", {}),
    ("s4d", {"init": "legs", "discretisation": "bilinear"}),
    ("s4d", {"preset": "decision-s4"}),
    ("s4d", {"init": "dss", "conjugate": False, "dt_per_part": True}),
    ("s5", {}),
    ("s5", {"blocks": 2, "discretisation": "bilinear"}),
]


def first_mixer(name: str, d_state: int = 8, **options: object):  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    mixers = time_invariant_mixers(build(name, 4, d_state=d_state, **options).double().eval())
    return next(iter(mixers.values()))


def impulse_response(mixer) -> np.ndarray:  # type: ignore[no-untyped-def]
    """(H, LENGTH): what channel h says to a one in channel h alone, by stepping the bare system, without the skip."""
    rows = torch.eye(4, dtype=torch.float64)
    state, system, seen = mixer.initial_state(4), mixer.discretise(), []
    before = mixer._project
    mixer._project = lambda y: y  # what stands after the system
    with torch.no_grad():
        for t in range(LENGTH):
            u = rows if t == 0 else torch.zeros_like(rows)
            y, state = mixer.step_with(system, u, state)
            seen.append((y - mixer.d * u).diagonal())
    mixer._project = before
    return torch.stack(seen, -1).numpy()


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_the_kernel_is_the_impulse_response_of_the_recurrence(name: str, options: dict[str, object]) -> None:
    mixer = first_mixer(name, **options)
    assert dynamics_of(mixer, LENGTH).kernel == pytest.approx(impulse_response(mixer), abs=1e-12)


@pytest.mark.parametrize(("name", "options"), [each for each in VARIANTS if each[0] != "s5"])
def test_the_eigenvalues_are_those_of_the_matrix_that_advances_the_state(name: str, options: dict[str, object]) -> None:
    mixer = first_mixer(name, **options)
    found, matrices = dynamics_of(mixer, 1), transition(mixer)
    for values, matrix in zip(found.eigenvalues, matrices, strict=True):
        assert values.shape == (8,)
        for value in values:
            assert np.linalg.svd(matrix - value * np.eye(len(matrix)), compute_uv=False)[-1] < 1e-12


def test_those_of_s5_advance_its_state() -> None:
    mixer = first_mixer("s5")
    (values,) = dynamics_of(mixer, 1).eigenvalues
    state = torch.eye(8, dtype=torch.float64)
    with torch.no_grad():
        _, after = mixer.step_with(mixer.discretise(), torch.zeros(8, 4, dtype=torch.float64), state)
    assert np.sort_complex(values) == pytest.approx(np.sort_complex(np.linalg.eigvals(after.T.numpy())), abs=1e-12)


def test_s4_begins_with_the_eigenvalues_of_hippo_legs_under_the_bilinear_map() -> None:
    # A = HiPPO-LegS has the eigenvalues -1 ... -N; the bilinear map takes a to (1 + dt a / 2) / (1 - dt a / 2).
    mixer = first_mixer("s4", d_state=4)
    found = dynamics_of(mixer, 1).eigenvalues
    for values, log_dt in zip(found, mixer.log_dt.tolist(), strict=True):
        half = math.exp(log_dt) / 2 * np.arange(1, 5)
        assert np.sort(values.real) == pytest.approx(np.sort((1 - half) / (1 + half)), abs=1e-4)
        assert abs(values.imag).max() < 1e-4


def test_s4d_lin_begins_where_its_paper_says() -> None:
    mixer = first_mixer("s4d")
    for values, log_dt in zip(dynamics_of(mixer, 1).eigenvalues, mixer.log_dt.tolist(), strict=True):
        n = np.arange(4)
        modes = np.exp(math.exp(log_dt) * (-0.5 + 1j * math.pi * n))
        expected = np.concatenate([modes, modes.conj()])
        assert np.sort_complex(values) == pytest.approx(np.sort_complex(expected), abs=1e-6)


def test_powers_and_half_lives_agree() -> None:
    radii = np.array([0.5, 0.9, 1.0, 1.005])
    lives = half_lives(radii)
    assert lives[0] == pytest.approx(1) and lives[2:].tolist() == [math.inf, math.inf]
    assert radii[:2] ** lives[:2] == pytest.approx(0.5)
    assert powers(radii, 3) == pytest.approx(np.stack([radii**0, radii, radii**2], -1))


def test_others_have_no_system_to_show() -> None:
    for name in ("gpt", "mamba", "lstm", "mlp"):
        assert time_invariant_mixers(build(name, 8)) == {}
    assert Dynamics(np.array([[3 + 4j]]), np.zeros((1, 1)), np.ones(1)).radii == pytest.approx(5)
