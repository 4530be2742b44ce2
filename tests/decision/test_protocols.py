"""Protocols as presets: the sizes of the originals to the parameter, their function, and what they leave alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from dsbench.batches import whole_batch
from dsbench.config import RunConfig, from_dict, resolve, to_dict
from dsbench.config.presets import PRESETS
from dsbench.config.protocols import HIGH, PROTOCOLS
from dsbench.decision import DecisionSequence
from dsbench.decision.policy import build_policy, policy_spec
from dsbench.envs.tasks.mujoco_reference import TARGETS
from dsbench.episodes import Episodes
from dsbench.errors import UsageError
from dsbench.train import learning_rate_factor, make_optimizer

SIZES = {"hopper": (11, 3), "halfcheetah": (17, 6), "walker2d": (17, 6)}  # entries of an observation and of an action
DEAD = {  # of kzl/decision-transformer, by size of the observation: parameters that no gradient reaches
    "wte: a table of one word that is never read": lambda observation: 128,
    "predict_state: a map from the action's place, without a loss": lambda observation: 129 * observation,
    "predict_return: the same": lambda observation: 129,
}


def model_of(config: RunConfig, env: str) -> DecisionSequence:
    observation, action = SIZES[env]
    options = config.wrapper.model_dump() | {"previous_action": True}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_policy(
            policy_spec(
                observation_space=spaces.Box(-np.inf, np.inf, (observation,)),
                action_space=spaces.Box(-1, 1, (action,), np.float32),
                backbone=config.backbone.name,
                d_model=config.backbone.d_model,
                backbone_options=config.backbone.options,
                **options,
            )
        )


def protocol(preset: str, *overrides: str, backbone: str | None = None, env: str = "umbrella") -> RunConfig:
    return resolve(preset=preset, backbone=backbone, env=env, overrides=overrides)


def live(preset: str, env: str, *overrides: str, backbone: str | None = None) -> int:
    """Parameters of the model, every one of which a loss reaches (there is no other way for one to be dead)."""
    model = model_of(protocol(preset, *overrides, backbone=backbone, env=env), env).train()
    model.loss(whole_batch(episodes_of(env))).backward()
    unreached = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert not unreached
    return sum(parameter.numel() for parameter in model.parameters())


def episodes_of(env: str, lengths: tuple[int, ...] = (7, 20)) -> Episodes:
    """Episodes that end by the limit, of numbers alone."""
    observation, action = SIZES[env]
    rng, total = np.random.default_rng(0), sum(lengths)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    return Episodes(
        observations=rng.normal(size=(total, observation)),
        actions=rng.uniform(-1, 1, size=(total, action)).astype(np.float32),
        rewards=rng.normal(size=total).astype(np.float32),
        terminated=np.zeros(total, bool),
        truncated=np.isin(np.arange(total), starts[1:] - 1),
        starts=starts,
        final_observations=rng.normal(size=(len(lengths), observation)),
    )


# ---------------------------------------------------------------------- sizes


@pytest.mark.parametrize(
    ("env", "alive", "original"),
    [("hopper", 726_019, 727_695), ("halfcheetah", 727_558, 730_008), ("walker2d", 727_558, 730_008)],
)
def test_decision_transformer_is_the_original_without_what_is_dead_there(env: str, alive: int, original: int) -> None:
    assert live("decision-transformer", env) == alive
    assert alive + sum(size(SIZES[env][0]) for size in DEAD.values()) == original


def test_decision_mamba_has_the_parameters_of_the_original_whichever_way_it_begins() -> None:
    assert live("decision-mamba", "hopper") == live("decision-mamba", "hopper", "backbone.init=mamba") == 877_315
    assert live("decision-mamba", "hopper", "backbone.d_model=256") == 3_155_459


TABLE_3 = [(64, 64, 1.0), (32, 64, 0.88), (16, 64, 0.82), (64, 32, 0.47), (64, 16, 0.25), (32, 32, 0.41)]


def test_decision_s4_has_the_sizes_of_its_table_3() -> None:
    """The table prints shares of two digits, cut and not rounded: 0.477 stands there as 0.47."""
    counts = {
        (n, h): live("decision-s4", "halfcheetah", f"backbone.d_state={n}", f"backbone.d_model={h}")
        for n, h, _ in TABLE_3
    }
    assert (counts[64, 64], counts[64, 16]) == (107_392, 27_712)
    for n, h, share in TABLE_3:
        assert counts[n, h] / counts[64, 64] == pytest.approx(share, abs=0.01)
    assert counts[64, 64] / 730_008 == pytest.approx(0.15, abs=0.01)  # "vs DT", the original's dead ones counted


def test_the_report_s_models_have_the_sizes_that_it_rounds() -> None:
    """0.9M of Mamba, and 1.2M of transformers' model, which has a table of 1,024 positions and the same dead parts."""
    assert live("ssm-for-offline-rl", "hopper") == 877_187
    gpt = live("ssm-for-offline-rl", "hopper", backbone="gpt")
    assert gpt == 1_122_307
    theirs = huggingface(max_ep_len=4_096)
    positions = 1_024 * 128  # one row of which is read, for every token, beside a bias that does the same
    assert gpt + sum(size(11) for size in DEAD.values()) + positions == count(theirs) == 1_255_055


# ---------------------------------------------------------------------- the same function


def huggingface(env: str = "hopper", max_ep_len: int = 1_000) -> Any:
    transformers = pytest.importorskip("transformers")
    observation, action = SIZES[env]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return transformers.DecisionTransformerModel(
            transformers.DecisionTransformerConfig(
                state_dim=observation, act_dim=action, hidden_size=128, max_ep_len=max_ep_len, n_layer=3, n_head=1,
                activation_function="relu",
            )
        ).eval()  # fmt: skip


def count(model: Any) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@torch.no_grad()
def copy_weights(ours: DecisionSequence, theirs: Any) -> None:
    """All weights of transformers' model that have a place in ours; those of its positions become zero."""
    encoder = theirs.encoder
    encoder.wpe.weight.zero_()
    pairs: list[tuple[Any, Any]] = [
        (ours.return_encoder.linear, theirs.embed_return),  # type: ignore[union-attr]
        (ours.observation_encoder.linear, theirs.embed_state),
        (ours.action_encoder.body, theirs.embed_action),  # type: ignore[union-attr]
        (ours.time.table, theirs.embed_timestep),  # type: ignore[union-attr]
        (ours.norm, theirs.embed_ln),
        (ours.head, theirs.predict_action[0]),
        (ours.backbone.norm, encoder.ln_f),
    ]
    for mine, other in zip(ours.backbone.layers, encoder.h, strict=True):  # type: ignore[arg-type]
        pairs += [(mine.mixer_norm, other.ln_1), (mine.mlp_norm, other.ln_2)]
        for linear, conv in (
            (mine.mixer.qkv, other.attn.c_attn), (mine.mixer.out, other.attn.c_proj),
            (mine.mlp[0], other.mlp.c_fc), (mine.mlp[2], other.mlp.c_proj),
        ):  # fmt: skip
            linear.weight.copy_(conv.weight.T)  # transformers stores these transposed
            linear.bias.copy_(conv.bias)
    for mine, other in pairs:
        mine.load_state_dict(other.state_dict())


@pytest.mark.parametrize("env", ["hopper", "halfcheetah"])
def test_decision_transformer_equals_transformers_with_the_same_weights(env: str) -> None:
    ours = model_of(protocol("decision-transformer", "wrapper.return_scale=1000"), env).double().eval()
    theirs = huggingface(env).double()
    assert count(theirs) - 1_024 * 128 == count(ours) + sum(size(SIZES[env][0]) for size in DEAD.values())
    copy_weights(ours, theirs)
    episodes = episodes_of(env, (20, 20))
    ours.fit_normalisers(episodes)
    batch = whole_batch(episodes)
    mean, std = episodes.observations.mean(0), episodes.observations.std(0)  # type: ignore[union-attr]
    with torch.no_grad():
        mine = ours(batch)[0].mode()
        _, other, _ = theirs(
            states=(batch.observation - torch.from_numpy(mean)) / torch.from_numpy(std),
            actions=batch.action.double(),
            rewards=None,
            returns_to_go=(batch.return_to_go.double() / 1000).unsqueeze(-1),
            timesteps=batch.timestep,
            attention_mask=torch.ones_like(batch.timestep),
            return_dict=False,
        )
    assert (mine - other).abs().max() < 1e-12


# ---------------------------------------------------------------------- training and evaluation


@pytest.mark.parametrize("preset", [one.name for one in PROTOCOLS])
def test_one_rate_and_one_decay_hold_for_every_parameter(preset: str) -> None:
    config = protocol(preset)
    model = model_of(config, "hopper")
    groups = make_optimizer(model, config.train).param_groups
    assert sum(parameter.numel() for group in groups for parameter in group["params"]) == count(model)
    assert {(group["lr_scale"], group["weight_decay"]) for group in groups} == {(1.0, 1e-4)}
    factors = [learning_rate_factor(update, config.train) for update in (0, 4_999, 9_999, 50_000, 99_999)]
    assert factors == [1e-4, 0.5, 1, 1, 1]
    assert config.train.updates // (config.train.eval_every or 1) == 10 > config.train.mean_last_k


@pytest.mark.parametrize(
    ("preset", "env", "headline", "sweep"),
    [
        ("decision-transformer", "hopper", 3_600, (1_800,)),
        ("decision-transformer", "walker2d", 5_000, (2_500,)),
        ("decision-s4", "halfcheetah", 12_000, (6_000, 9_000)),
        ("decision-mamba", "hopper", 3_600, (1_800, 7_200, 36_000, 72_000)),
        ("ssm-for-offline-rl", "walker2d", 5_000, ()),
        ("decision-transformer", "antmaze-umaze", 1, (0.5,)),
    ],
)
def test_returns_asked_for_are_those_of_the_environment(
    preset: str, env: str, headline: float, sweep: tuple[float, ...]
) -> None:
    config = protocol(preset, env=env)
    assert (config.eval.target_return, config.eval.target_sweep) == (headline, sweep)
    assert config.wrapper.return_scale == (1 if env.startswith("antmaze") else 1_000)


def test_the_high_targets_are_those_that_the_environments_know() -> None:
    assert {name: high for name, (high, _) in TARGETS.items()} == HIGH


def test_a_backbone_s_own_settings_go_to_it_alone() -> None:
    transformer, other = (protocol("decision-transformer", backbone=name) for name in ("gpt", "lstm"))
    assert (protocol("decision-transformer").backbone, other.backbone.options) == (transformer.backbone, {})
    assert (other.train, other.wrapper, other.eval) == (transformer.train, transformer.wrapper, transformer.eval)
    assert other.backbone.d_model == transformer.backbone.d_model
    control = protocol("decision-transformer", backbone="mlp")
    assert (control.wrapper.tokens, control.train) == ("joint", transformer.train)


def test_only_a_protocol_names_a_backbone() -> None:
    with pytest.raises(UsageError, match="backbone is missing"):
        resolve(env="umbrella", preset="quick")
    assert {name for name, preset in PRESETS.items() if preset.backbone} == {one.name for one in PROTOCOLS}


@pytest.mark.parametrize("preset", ["smoke", "quick", "paper"])
@pytest.mark.parametrize("env", ["umbrella", "hopper", "antmaze-umaze"])
def test_nothing_of_a_protocol_reaches_other_presets(preset: str, env: str) -> None:
    before = to_dict(resolve(preset=preset, backbone="s4d", env=env))
    for one in PROTOCOLS:
        resolve(preset=one.name, env=env)
    after = resolve(preset=preset, backbone="s4d", env=env)
    assert to_dict(after) == before
    assert (after.backbone.options, after.wrapper.return_scale, after.eval.target_sweep) == ({}, None, ())
    for name in ("weight_decay_on", "one_rate", "window_anchor", "length_weighted", "schedule", "lr", "clip"):
        plain = from_dict({"backbone": "s4d", "env": "umbrella"}).train
        assert getattr(after.train, name) == getattr(plain, name) or (preset, name) == ("paper", "lr")
