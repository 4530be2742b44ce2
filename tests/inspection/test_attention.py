"""Attention maps are those that the layer really used."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from dsbench.backbones.gpt import AttentionMixer
from dsbench.decision import DecisionSequence
from dsbench.episodes import Episodes
from dsbench.inspection.attention import attention_maps, mean_lag, weights


@pytest.mark.parametrize("context_len", [3, 16])
def test_the_maps_times_the_values_are_what_the_layer_puts_out(context_len: int) -> None:
    torch.manual_seed(0)
    mixer = AttentionMixer(12, n_heads=3, context_len=context_len, residual_std=0.02).double().eval()
    x = 30 * torch.randn(1, 9, 12, dtype=torch.float64)
    with torch.no_grad():
        qkv = mixer.qkv(x)[0]
        shown = weights(mixer, qkv)
        values = qkv[:, 24:].unflatten(-1, (3, -1)).transpose(0, 1)
        rebuilt = mixer.out((shown @ values).transpose(0, 1).flatten(1))
        torch.testing.assert_close(rebuilt, mixer(x)[0][0], rtol=1e-12, atol=1e-12)
    place = np.arange(9)
    outside = (place[None] > place[:, None]) | (place[None] <= place[:, None] - context_len)
    assert shown.sum(-1).numpy() == pytest.approx(1)
    assert (shown.numpy()[:, outside] == 0).all()
    assert (shown.numpy()[:, ~outside] > 0).all()


def test_they_are_those_of_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    mixer = AttentionMixer(12, n_heads=3, context_len=16, residual_std=0.02).eval()
    config = transformers.GPT2Config(n_embd=12, n_head=3, n_layer=1, n_positions=16, attn_implementation="eager")
    model = transformers.GPT2Model(config).eval()
    block = model.h[0]
    with torch.no_grad():
        block.attn.c_attn.weight.copy_(20 * mixer.qkv.weight.T)
        block.attn.c_attn.bias.copy_(mixer.qkv.bias)
        mixer.qkv.weight.mul_(20)
        x = torch.randn(1, 9, 12)
        theirs = model(inputs_embeds=x, output_attentions=True).attentions[0][0]
        normal = block.ln_1(x + model.wpe(torch.arange(9)))
        ours = weights(mixer, mixer.qkv(normal)[0])
    assert theirs.std() > 0.1
    torch.testing.assert_close(ours.float(), theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("tokens", ["joint", "separate"])
def test_a_policy_has_a_map_a_layer_over_its_tokens(
    make_episodes: Callable[..., Episodes], make_policy: Callable[..., DecisionSequence], tokens: str
) -> None:
    episodes = make_episodes([4, 6])
    policy = make_policy("gpt", episodes, tokens=tokens).double().eval()
    maps = attention_maps(policy, episodes, 1)
    length = 6 * policy.tokens_per_decision
    assert [each.layer for each in maps] == ["layers.0.mixer", "layers.1.mixer"]
    assert all(each.weights.shape == (1, length, length) for each in maps)
    assert attention_maps(make_policy("lstm", episodes).double().eval(), episodes) == []


def test_the_mean_lag_of_a_known_map() -> None:
    looks_back = np.array([[[1, 0, 0], [1, 0, 0], [0.5, 0.5, 0]]])
    assert mean_lag(looks_back) == pytest.approx([(0 + 1 + 1.5) / 3])
