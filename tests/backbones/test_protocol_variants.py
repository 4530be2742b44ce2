"""Variants of backbones that published protocols ask for: their options, their sizes and how they begin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from dsbench.backbones import Backbone, build
from dsbench.backbones.check import check_backbone
from dsbench.backbones.s4d import S4DMixer
from dsbench.errors import UsageError


def made(name: str, **options: Any) -> Backbone:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build(name, 32, **options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gpt", {"block": "paper", "context_len": 5, "activation": "relu", "dropout": 0.1, "scaled_init": False}),
        ("mamba", {"preset": "decision-mamba", "dropout": 0.1, "init": "overwritten"}),
    ],
)
def test_a_variant_passes_the_check_of_backbones(name: str, options: dict[str, Any]) -> None:
    report = check_backbone(name, options=options)
    assert report.ok, report.failures()


@pytest.mark.parametrize("name", ["gpt", "mamba"])
def test_dropout_acts_in_training_and_never_while_acting(name: str) -> None:
    options = {"block": "paper"} if name == "gpt" else {"preset": "decision-mamba"}
    with_it, without = made(name, dropout=0.5, **options), made(name, **options)
    x = torch.linspace(-99, 99, 2 * 6 * 32).sin().view(2, 6, 32)
    assert torch.equal(with_it.eval()(x)[0], without.eval()(x)[0])
    assert not torch.equal(with_it.train()(x)[0], without.train()(x)[0])


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("gpt", {"dropout": 0.1}, "dropout is 0.1, which belongs to GPT-2's own block; add block='paper'"),
        ("gpt", {"activation": "tanh"}, "activation is 'tanh'; expected 'gelu' or 'relu'"),
        ("gpt", {"block": "paper", "dropout": 1.0}, "dropout is 1.0; expected a number from 0 to below 1"),
        ("gpt", {"scaled_init": 1}, "scaled_init is 1; expected true or false"),
        ("mamba", {"preset": "decision-s4"}, "preset is 'decision-s4'; expected 'decision-mamba'"),
        ("mamba", {"preset": "decision-mamba", "block": "paper"}, "block is 'paper' beside preset='decision-mamba'"),
        ("mamba", {"dropout": 0.1}, "add preset='decision-mamba'"),
        ("mamba", {"init": "gpt2"}, "init is 'gpt2'; expected 'mamba' or 'overwritten'"),
        ("s4d", {"dt_per_part": True, "discretisation": "bilinear"}, "it needs 'zoh'"),
    ],
)
def test_an_option_that_has_no_meaning_here_is_refused(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words.replace("(", r"\(")):
        build(name, 32, **options)


def test_plain_initialisation_has_the_same_spread_everywhere() -> None:
    plain = made("gpt", block="paper", scaled_init=False, n_layers=3)
    scaled = made("gpt", block="paper", n_layers=3)
    for model, expected in ((plain, 0.02), (scaled, 0.02 / 6**0.5)):
        weights = torch.cat([model.layers[i].mixer.out.weight.flatten() for i in range(3)])
        assert weights.std().item() == pytest.approx(expected, rel=0.05)


def test_overwritten_step_sizes_forget_by_half_with_every_token() -> None:
    """softplus(0) = ln 2, so that the slowest state, A = -1, is multiplied by exp(-ln 2); see references.md 1.7."""
    mixer = made("mamba", preset="decision-mamba", init="overwritten", n_layers=1).layers[0].mixer
    dt = torch.nn.functional.softplus(mixer.dt_bias)
    assert torch.allclose(torch.exp(-dt), torch.full_like(dt, 0.5))
    own = torch.nn.functional.softplus(made("mamba", n_layers=1).layers[0].mixer.dt_bias)
    assert own.min() > 9e-4
    assert own.max() < 0.11


def test_a_second_time_step_moves_the_imaginary_parts_alone() -> None:
    torch.manual_seed(0)
    mixer = S4DMixer(3, d_state=5, init="dss", tie_A=True, conjugate=False, dt_per_part=True).double()
    with torch.no_grad():
        mixer.log_dt_imag.add_(0.7)
    kernel = mixer.discretise().kernel(20).detach().numpy()
    real, imaginary = (-mixer.log_a_real.exp()[0]).detach().numpy(), mixer.a_imag[0].detach().numpy()
    c = mixer.c[:, :5].detach().numpy() + 1j * mixer.c[:, 5:].detach().numpy()
    for h in range(3):
        z = mixer.log_dt[h].exp().item() * real + 1j * mixer.log_dt_imag[h].exp().item() * imaginary
        taps = np.exp(np.outer(np.arange(20), z)) @ (c[h] * (np.exp(z) - 1) / (real + 1j * imaginary))
        assert np.abs(kernel[h] - taps.real).max() < 1e-10
