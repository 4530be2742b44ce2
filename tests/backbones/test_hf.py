"""Models of transformers as backbones: against the bare models, in steps, packed, and by name."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dsbench.backbones import BACKBONES, build, check_backbone
from dsbench.backbones.check.probe import unroll
from dsbench.backbones.state import leaves, reset_state
from dsbench.config import resolve, run_id
from dsbench.errors import MissingExtra, UnknownName, UsageError

transformers = pytest.importorskip("transformers")
transformers.logging.set_verbosity_error()

NAMES = ["hf:gpt2", "hf:llama", "hf:mamba", "hf:mamba2"]
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("hf:gpt2", {"n_head": 2, "context_len": 3}),
    ("hf:gpt2", {"context_len": 1, "scale_attn_by_inverse_layer_idx": True}),
    ("hf:llama", {"num_attention_heads": 2, "num_key_value_heads": 1, "context_len": 4}),
    ("hf:mamba", {"state_size": 3, "conv_kernel": 2}),
    ("hf:mamba", {"use_bias": True}),
    ("hf:mamba2", {"num_heads": 4, "n_groups": 2, "chunk_size": 3}),
    ("hf:mamba2", {"use_bias": True, "expand": 1}),
]


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("name", NAMES)
def test_a_backbone_of_transformers_keeps_the_contract(name: str) -> None:
    report = check_backbone(name, options={"n_layers": 1})
    assert report.ok, report.failures()


@pytest.mark.parametrize("name", NAMES)
def test_plain_rows_give_what_the_bare_model_gives(name: str) -> None:
    backbone = build(name, 16)
    model = getattr(transformers, type(backbone.model).__name__)(backbone.config).eval()
    weights = backbone.model.state_dict()
    missing = model.load_state_dict(weights, strict=False).missing_keys
    assert missing in (["wte.weight"], ["embed_tokens.weight"], ["embeddings.weight"])
    x = randn(3, 21, 16).float()
    y, _ = backbone.eval()(x)
    torch.testing.assert_close(y, model(inputs_embeds=x).last_hidden_state, rtol=0, atol=1e-6)


def test_llama_over_a_window_is_mistral() -> None:
    ours = build("hf:llama", 16, context_len=5, num_attention_heads=2)
    sizes = {key: getattr(ours.config, key) for key in ("hidden_size", "intermediate_size", "num_attention_heads")}
    config = transformers.MistralConfig(
        **sizes,
        vocab_size=1,
        num_hidden_layers=2,
        num_key_value_heads=2,
        sliding_window=5,
        rms_norm_eps=1e-6,
        rope_parameters=ours.config.rope_parameters,
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=None,
    )
    theirs = transformers.MistralModel(config)
    theirs.load_state_dict(ours.model.state_dict(), strict=False)
    x = randn(2, 23, 16).float()
    torch.testing.assert_close(ours(x)[0], theirs(inputs_embeds=x).last_hidden_state, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("name", "options"), VARIANTS)
@settings(max_examples=5, deadline=None)
@given(rows=st.integers(1, 3), length=st.integers(1, 9), share=st.sampled_from([0.1, 0.5]), seed=st.integers(0, 99))
def test_packed_rows_equal_steps_with_resets(
    name: str, options: dict[str, Any], rows: int, length: int, share: float, seed: int
) -> None:
    torch.manual_seed(seed)
    backbone = build(name, 8, n_layers=2, **options).double()
    x, resets = randn(rows, length, 8, seed=seed), torch.rand(rows, length) < share
    state, outputs = backbone.initial_state(rows), []
    for i in range(length):
        state = reset_state(state, resets[:, i], backbone.initial_state(rows))
        y_t, state = backbone.step(x[:, i], state)
        outputs.append(y_t)
    y, last = backbone(x, resets=resets)
    torch.testing.assert_close(y, torch.stack(outputs, 1), rtol=0, atol=1e-10)
    for ours, expected in zip(leaves(last), leaves(state), strict=True):
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-10)


def test_transformers_still_starts_mambas_scan_anew_when_it_gets_a_cache_and_several_tokens() -> None:
    """Why a carried state goes token by token; once this fails, it need not."""
    backbone = build("hf:mamba", 8, n_layers=1, time_step_min=1.0, time_step_max=2.0)
    torch.nn.init.normal_(backbone.model.layers[0].mixer.x_proj.weight)
    torch.nn.init.constant_(backbone.model.layers[0].mixer.A_log, -2.0)  # a long memory, so that losing it shows
    x = 3 * randn(1, 8, 8).float()
    cache = backbone.model(inputs_embeds=x[:, :4], use_cache=True).cache_params
    late = backbone.model(inputs_embeds=x[:, 4:], cache_params=cache, use_cache=True).last_hidden_state
    y, _ = backbone(x)
    assert (late - y[:, 4:]).abs().max() > 1e-4
    torch.testing.assert_close(backbone(x[:, 4:], backbone(x[:, :4])[1])[0], y[:, 4:], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_flow_through_carried_states_in_float32(name: str) -> None:
    backbone, x = build(name, 8), randn(2, 6, 8).float()
    gradients = []
    for y in (backbone(x)[0], unroll(backbone, x)[0]):
        gradients.append(torch.autograd.grad(y.square().sum(), list(backbone.parameters())))
    for whole, stepped in zip(*gradients, strict=True):
        torch.testing.assert_close(stepped, whole, rtol=1e-3, atol=1e-3 * max(1.0, float(whole.abs().max())))


@pytest.mark.parametrize("name", NAMES)
def test_states_stay_float32_under_autocast(name: str) -> None:
    backbone, x = build(name, 8), randn(2, 6, 8).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, state = backbone(x)
        y_t, later = backbone.step(x[:, 0], state)
    assert y.isfinite().all() and y_t.isfinite().all()
    assert {leaf.dtype for one in (state, later) for leaf in leaves(one)} <= {torch.float32, torch.int64}


def test_a_model_has_no_token_table_and_no_dropout_and_its_dynamics_can_be_frozen() -> None:
    for name in NAMES:
        backbone = build(name, 16)
        assert not any("emb" in key or "wte" in key for key, _ in backbone.named_parameters())
        assert all(module.p == 0 for module in backbone.modules() if isinstance(module, torch.nn.Dropout))
        backbone.freeze_dynamics()
        frozen = {key.rpartition("mixer.")[2] for key, p in backbone.named_parameters() if not p.requires_grad}
        expected: dict[str, set[str]] = {"hf:mamba": {"A_log", "dt_proj.bias"}, "hf:mamba2": {"A_log", "dt_bias"}}
        assert frozen == expected.get(name, set())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("hf:gpt2", {"n_heads": 2}, "no option 'n_heads'. Did you mean 'n_head'?"),
        ("hf:mamba", {"stat_size": 2}, "no option 'stat_size'. Did you mean 'state_size'?"),
        ("hf:gpt2", {"n_head": 3}, "transformers refuses this gpt2 of width 8 with {'n_head': 3}"),
        ("hf:mamba2", {"num_heads": 3, "head_dim": 4}, "must equal num_heads * head_dim"),
        ("hf:mamba2", {"n_groups": 3}, "transformers refuses this mamba2"),
        ("hf:llama", {"num_attention_heads": 4, "num_key_value_heads": 3}, "transformers refuses this llama"),
        ("hf:mamba2", {"head_dim": 0}, "transformers refuses this mamba2"),
        ("hf:mamba", {"state_size": "many"}, "transformers refuses this mamba"),
        ("hf:gpt2", {"activation_function": "nosuch"}, "transformers refuses this gpt2"),
        ("hf:gpt2", {"hidden_size": 9}, "no option 'hidden_size'"),
        ("hf:llama", {"context_len": 0}, "context_len is 0; expected a positive number of tokens"),
    ],
)
def test_an_option_that_the_model_does_not_take_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        build(name, 8, **options)


def test_an_episode_longer_than_the_table_of_positions_is_refused_with_the_way_out() -> None:
    backbone, x = build("hf:gpt2", 8, n_positions=6), randn(2, 10, 8).float()
    resets = torch.zeros(2, 10, dtype=torch.bool)
    resets[:, 5] = True
    assert backbone(x, resets=resets)[0].isfinite().all()
    with pytest.raises(UsageError, match="longer than the n_positions=6 .* --set backbone.n_positions=12"):
        backbone(x)
    with pytest.raises(UsageError, match="an episode of 7 tokens"):
        unroll(backbone, x)


def test_names_are_checked_without_importing_the_model() -> None:
    with pytest.raises(UnknownName, match="unknown backbone 'hf:mmba'. Did you mean 'hf:mamba'"):
        BACKBONES.entry("hf:mmba")
    with pytest.raises(UnknownName, match="unknown backbone 'hf:bert'. Known: hf:gpt2, hf:llama, hf:mamba, hf:mamba2"):
        BACKBONES.entry("hf:bert")
    assert "hf:<model_type>" in [line.name for line in BACKBONES.lines()]
    assert run_id(resolve(backbone="hf:gpt2", env="umbrella")).startswith("hf_gpt2-umbrella-s0-")


@pytest.mark.parametrize("name", NAMES)
def test_a_compiled_step_is_the_models_own(name: str) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    backbone = build(name, 16, n_layers=1).eval()
    compiled, state, x = backbone.make_stepper(2, compiled=True), backbone.initial_state(2), torch.randn(5, 2, 16)
    with torch.no_grad():
        for x_t in x:
            y_t, state = backbone.step(x_t, state)
            torch.testing.assert_close(compiled.step(x_t), y_t, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the advice is for machines with CUDA")
def test_without_cuda_nobody_is_told_to_install_cuda_packages() -> None:
    logger, heard = logging.getLogger("transformers.integrations.hub_kernels"), []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    try:
        logger.error("`scan` is falling back to its reference PyTorch implementation because `x` is not installed.")
        logger.error("anything else")
    finally:
        logger.removeHandler(handler)
    assert heard == ["anything else"]


def test_without_transformers_the_install_line_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    for module in ("attention", "bridge", "recurrent"):
        monkeypatch.delitem(sys.modules, f"dsbench.backbones.hf.{module}", raising=False)
    with pytest.raises(MissingExtra, match=r"install .*\[hf\]"):
        build("hf:gpt2", 8)
