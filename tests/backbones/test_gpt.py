"""GPT against transformers' GPT2Model with the same weights, and its window against its cache."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dsbench.backbones import build
from dsbench.errors import UsageError


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_paper_block_equals_gpt2_with_the_same_weights() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(
        vocab_size=1, n_positions=64, n_embd=32, n_layer=2, n_head=4, activation_function="gelu_new",
        resid_pdrop=0, embd_pdrop=0, attn_pdrop=0,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = transformers.GPT2Model(config).double().eval()
        ours = build("gpt", 32, n_layers=2, n_heads=4, context_len=64, block="paper").double()
    with torch.no_grad():
        theirs.wpe.weight.zero_()  # positions are the wrapper's business
        for mine, other in zip(ours.layers, theirs.h, strict=True):
            for linear, conv in [
                (mine.mixer.qkv, other.attn.c_attn),
                (mine.mixer.out, other.attn.c_proj),
                (mine.mlp[0], other.mlp.c_fc),
                (mine.mlp[2], other.mlp.c_proj),
            ]:
                linear.weight.copy_(conv.weight.T)  # transformers stores these transposed
                linear.bias.copy_(conv.bias)
            mine.mixer_norm.load_state_dict(other.ln_1.state_dict())
            mine.mlp_norm.load_state_dict(other.ln_2.state_dict())
        ours.norm.load_state_dict(theirs.ln_f.state_dict())
        x = randn(2, 33, 32)
        expected = theirs(inputs_embeds=x).last_hidden_state
        y, _ = ours(x)
    assert (y - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize("context_len", [1, 3, 8])
def test_an_output_of_one_layer_sees_exactly_the_last_context_len_tokens(context_len: int) -> None:
    backbone = build("gpt", 8, n_layers=1, context_len=context_len).double()
    x = randn(1, 12, 8).requires_grad_()
    y, _ = backbone(x)
    seen = torch.autograd.grad(y[0, -1].sum(), x)[0][0].abs().sum(-1) > 0
    assert seen.tolist() == [False] * (12 - context_len) + [True] * context_len


def test_a_window_longer_than_the_row_is_plain_causal_attention() -> None:
    narrow, wide = (build("gpt", 8, context_len=n).double() for n in (16, 99))
    wide.load_state_dict(narrow.state_dict())
    x = randn(2, 16, 8)
    assert torch.allclose(narrow(x)[0], wide(x)[0], rtol=0, atol=1e-12)


def test_the_cache_keeps_a_row_from_its_own_past_only_and_its_size_is_constant() -> None:
    backbone = build("gpt", 8, context_len=5).double()
    resets = torch.zeros(2, 9, dtype=torch.bool)
    resets[1, 7] = True
    _, state = backbone(randn(2, 9, 8), None, resets)
    layer = state[0]
    assert layer["count"].tolist() == [4, 2]
    assert layer["k"].shape == (2, 4, 8)
    assert (layer["k"][1, :2] == 0).all()


def test_the_ring_stepper_goes_round_many_times_with_resets_in_between() -> None:
    backbone = build("gpt", 8, context_len=4, n_heads=2).double()
    stepper, state = backbone.make_stepper(3), backbone.initial_state(3)
    generator = torch.Generator().manual_seed(1)
    for t in range(40):
        x = randn(3, 8, seed=t)
        done = torch.rand(3, generator=generator) < 0.15
        state = backbone.reset(state, done)
        stepper.reset(done)
        y, state = backbone.step(x, state)
        assert torch.allclose(stepper.step(x), y, rtol=0, atol=1e-12)


def test_a_nan_of_an_earlier_episode_is_wiped_from_the_cache() -> None:
    backbone = build("gpt", 8, context_len=6).double()
    x = randn(1, 8, 8)
    x[0, 2] = torch.nan
    resets = torch.zeros(1, 8, dtype=torch.bool)
    resets[0, 5] = True
    y, state = backbone(x, None, resets)
    assert y[:, 5:].isfinite().all()
    assert all(leaf.isfinite().all() for layer in state for leaf in (layer["k"], layer["v"]))


def test_live_parameters_have_a_closed_form() -> None:
    d, layers = 64, 2
    attention = 3 * d * d + 3 * d + d * d + d
    mlp = 2 * d * 2 * d + 2 * d + d
    assert sum(p.numel() for p in build("gpt", d).parameters()) == layers * (attention + mlp + 2 * d) + d


@pytest.mark.parametrize(("option", "value"), [("n_heads", 3), ("n_heads", 0), ("context_len", 0)])
def test_a_bad_option_is_named_with_its_value(option: str, value: int) -> None:
    with pytest.raises(UsageError, match=f"{option} is {value}"):
        build("gpt", 8, **{option: value})
