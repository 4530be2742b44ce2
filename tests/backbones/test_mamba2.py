"""Mamba-2 against transformers with the same weights, its parameters and its options."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dsbench.backbones import build
from dsbench.backbones.mamba2 import Mamba2Mixer
from dsbench.errors import UsageError


def mixer_of(d_model: int = 8, **options: Any) -> Mamba2Mixer:
    torch.manual_seed(0)
    mixer = build("mamba2", d_model, n_layers=1, **options).layers[0].mixer  # type: ignore[union-attr]
    assert isinstance(mixer, Mamba2Mixer)
    return mixer


def test_the_model_equals_transformers_with_the_same_weights() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.Mamba2Config(
        vocab_size=8, hidden_size=32, state_size=16, num_hidden_layers=1, expand=2, num_heads=4, head_dim=16,
        n_groups=1, conv_kernel=4, use_bias=False, use_conv_bias=True, layer_norm_epsilon=1e-5, chunk_size=8,
        residual_in_fp32=False,
    )  # fmt: skip
    torch.manual_seed(0)
    theirs = transformers.Mamba2Model(config).eval()
    ours = build("mamba2", 32, n_layers=1, block="paper").eval()
    mixer, source = ours.layers[0].mixer, theirs.layers[0].mixer  # type: ignore[union-attr]
    with torch.no_grad():
        for target, value in [
            (mixer.in_proj.weight, source.in_proj.weight),
            (mixer.conv_weight, source.conv1d.weight.squeeze(1).T),
            (mixer.conv_bias, source.conv1d.bias),
            (mixer.dt_bias, source.dt_bias),
            (mixer.a_log, source.A_log),
            (mixer.d, source.D),
            (mixer.norm_weight, source.norm.weight),
            (mixer.out_proj.weight, source.out_proj.weight),
            (ours.layers[0].norm.weight, theirs.layers[0].norm.weight),  # type: ignore[union-attr]
            (ours.norm.weight, theirs.norm_f.weight),
        ]:
            target.copy_(value * 1.5)  # so that ones and zeros of the initialisation count too
            value.copy_(target)
        x = torch.randn(2, 21, 32)
        expected = theirs(inputs_embeds=x, use_cache=False).last_hidden_state
        y, _ = ours(x)
    assert (y - expected).abs().max() <= 1e-5 * expected.abs().max()


def written_out(mixer: Mamba2Mixer, x: Tensor) -> Tensor:
    """The formulas of the module, a token and a head at a time, for one row (L, D)."""
    inner, state, heads = mixer.d_inner, mixer.d_state, mixer.n_heads
    z, mixed, raw = (x @ mixer.in_proj.weight.T).split([inner, mixer.d_mixed, heads], -1)
    padded = F.pad(mixed, (0, 0, mixer.d_conv - 1, 0))
    states = [torch.zeros(mixer.head_dim, state, dtype=x.dtype) for _ in range(heads)]
    outputs = []
    for t in range(len(x)):
        taps = F.silu((padded[t : t + mixer.d_conv] * mixer.conv_weight).sum(0) + mixer.conv_bias)
        u, b, c = taps.split([inner, mixer.n_groups * state, mixer.n_groups * state])
        dt = F.softplus(raw[t] + mixer.dt_bias)
        y = []
        for h in range(heads):
            group = h * mixer.n_groups // heads
            own = slice(group * state, (group + 1) * state)
            u_h = u[h * mixer.head_dim : (h + 1) * mixer.head_dim]
            states[h] = torch.exp(-dt[h] * mixer.a_log[h].exp()) * states[h] + dt[h] * torch.outer(u_h, b[own])
            y.append(states[h] @ c[own] + mixer.d[h] * u_h)
        gated = (torch.cat(y) * F.silu(z[t])).view(mixer.n_groups, -1)
        normed = gated / (gated.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        outputs.append(mixer.out_proj.weight @ (normed.flatten() * mixer.norm_weight))
    return torch.stack(outputs)


@pytest.mark.parametrize("options", [{}, {"n_groups": 2, "head_dim": 4}, {"head_dim": 2, "chunk": 3, "d_conv": 1}])
def test_the_mixer_is_the_formulas_written_out(options: dict[str, Any]) -> None:
    mixer, x = mixer_of(**options).double(), torch.randn(2, 11, 8, dtype=torch.float64)
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        y, _ = mixer(x)
        for row in range(2):
            assert (y[row] - written_out(mixer, x[row])).abs().max() <= 1e-12


def test_step_sizes_and_decays_start_in_their_ranges() -> None:
    mixer = mixer_of(256, dt_min=1e-3, dt_max=0.1)
    dt, a = F.softplus(mixer.dt_bias), mixer.a_log.exp()
    assert dt.min() >= 1e-3 * 0.999 and dt.max() <= 0.1 * 1.001
    assert a.min() >= 1 and a.max() <= 16
    assert a.std() > 3  # uniform: 4.3


@pytest.mark.parametrize(("d_model", "n_groups"), [(64, 1), (32, 2)])
def test_parameter_count_is_the_closed_form(d_model: int, n_groups: int) -> None:
    d, e, n, k = d_model, 2 * d_model, 16, 4
    heads, mixed = e // 16, e + 2 * n_groups * n
    mixer = d * (e + mixed + heads) + (k + 1) * mixed + 3 * heads + e + e * d
    model = build("mamba2", d, n_layers=2, n_groups=n_groups)
    assert sum(p.numel() for p in model.parameters()) == 2 * (mixer + 4 * d * d + 3 * d + 2 * d) + d


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head_dim": 5}, "head_dim is 5"),
        ({"n_groups": 3, "head_dim": 4}, "n_groups is 3"),
        ({"d_state": 0}, "d_state is 0"),
        ({"chunk": True}, "chunk is True"),
        ({"dt_min": 0.0}, "dt_min is 0.0"),
    ],
)
def test_options_that_make_no_sense_are_refused_with_their_value(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build("mamba2", 8, **options)
