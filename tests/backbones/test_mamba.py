"""Mamba against the paper's recurrence in float64 and against transformers with the same weights."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from dsbench.backbones import build
from dsbench.errors import UsageError


def test_the_mixer_equals_transformers_with_the_same_weights() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.MambaConfig(
        vocab_size=8, hidden_size=32, state_size=16, num_hidden_layers=1, expand=2, conv_kernel=4, use_bias=False,
        time_step_rank=2, layer_norm_epsilon=1e-5, residual_in_fp32=False,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = transformers.MambaModel(config).eval()
        ours = build("mamba", 32, n_layers=1, block="paper", dt_rank=2).eval()
        x = torch.randn(2, 21, 32)
    copy_weights(ours, theirs)
    with torch.no_grad():
        expected = theirs(inputs_embeds=x, use_cache=False).last_hidden_state
        y, _ = ours(x)
    assert (y - expected).abs().max() <= 1e-5 * expected.abs().max()


def copy_weights(ours: torch.nn.Module, theirs: torch.nn.Module) -> None:
    mixer, source = ours.layers[0].mixer, theirs.layers[0].mixer
    with torch.no_grad():
        for target, value in [
            (mixer.in_proj.weight, source.in_proj.weight),
            (mixer.conv_weight, source.conv1d.weight.squeeze(1).T),
            (mixer.conv_bias, source.conv1d.bias),
            (mixer.x_proj.weight, source.x_proj.weight),
            (mixer.dt_weight, source.dt_proj.weight),
            (mixer.dt_bias, source.dt_proj.bias),
            (mixer.a_log, source.A_log),
            (mixer.d, source.D),
            (mixer.out_proj.weight, source.out_proj.weight),
            (ours.layers[0].norm.weight, theirs.layers[0].norm.weight),
            (ours.norm.weight, theirs.norm_f.weight),
        ]:
            target.copy_(value)


def test_step_sizes_start_in_their_range_and_a_is_1_to_n_after_all_initialisation() -> None:
    mixer = build("mamba", 64, dt_min=1e-3, dt_max=0.1).layers[0].mixer
    dt = F.softplus(mixer.dt_bias)
    assert dt.min() >= 1e-3 * 0.999
    assert dt.max() <= 0.1 * 1.001
    assert torch.allclose(mixer.a_log.exp(), torch.arange(1.0, 17.0).expand(128, 16))


def test_live_parameters_have_a_closed_form() -> None:
    d, n, k, layers = 64, 16, 4, 2
    e, r = 2 * d, math.ceil(d / 16)
    mixer = d * 2 * e + k * e + e + e * (r + 2 * n) + r * e + e + e * n + e + e * d
    mlp = 2 * d * 2 * d + 2 * d + d
    assert sum(p.numel() for p in build("mamba", d).parameters()) == layers * (mixer + mlp + 2 * d) + d


def test_under_autocast_the_state_stays_in_float32() -> None:
    backbone = build("mamba", 8)
    with torch.autocast("cpu", torch.bfloat16):
        y, state = backbone(torch.randn(2, 5, 8))
    assert y.isfinite().all()
    assert {leaf.dtype for layer in state for leaf in layer.values()} == {torch.float32}


@pytest.mark.parametrize(("option", "value"), [("d_state", 0), ("d_conv", -1), ("expand", 1.5), ("dt_min", 0.0)])
def test_a_bad_option_is_named_with_its_value(option: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"{option} is {value}"):
        build("mamba", 8, **{option: value})
