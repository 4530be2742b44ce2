"""Published protocols as presets: what a paper or its code trained and evaluated with, each constant with its source.

Sources: [DT] Chen et al. 2021 (arXiv:2106.01345) with kzl/decision-transformer gym/experiment.py; [S4] David et al. 2023
(arXiv:2306.05167); [S4-code] ashmita695/MADS4, which keeps Decision S4's code; [DM] Ota 2024 (arXiv:2403.19925) with
Toshihiro-Ota/decision-mamba gym/experiment.py; [SSM] "State Space Models for Improved Offline RL"; [HF] transformers'
DecisionTransformerConfig; [CORL] tinkoff-ai/CORL. "Not stated" marks what a source leaves open and what is taken instead.

What the originals do by their padding is left out: windows that are short are padded on the right and masked, so that no
padding enters a recurrent state (Decision Mamba's does, with other values in training than while acting).

A protocol says nothing of the backbone's name: `Preset.backbone` is the one it was published with, any other one learns by
the same protocol, in a stack of the same width. What belongs to one backbone stands in `Preset.per_backbone`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dsbench.config.preset import Preset

HIGH = {"hopper": 3_600.0, "halfcheetah": 12_000.0, "walker2d": 5_000.0}  # [DT] the higher target of each environment
MAZES = ("antmaze-umaze", "antmaze-umaze-diverse")  # learned from files alone
PUBLISHED = (*HIGH, *MAZES)
RETURN_SCALE, MAZE_SCALE = 1_000.0, 1.0  # [DT] for the three; [CORL] configs/offline/dt/antmaze reward_scale

# Memoryless controls see one token at a time, so that a timestep has to be one.
JOINT = {name: {"wrapper": {"tokens": "joint"}} for name in ("mlp", "framestack")}

TRAINING: Mapping[str, Any] = {
    "updates": 100_000,  # [DT] 10 iterations of 10,000; [S4] not stated, taken from [DT]
    "warmup": 10_000,  # [DT] the code (the paper says 1e5); [S4] C.2; [DM]
    "schedule": "constant",  # [DT] min((step + 1) / warmup, 1)
    "weight_decay": 1e-4,  # [DT], [S4] C.2, [DM]
    "weight_decay_on": "all",  # [DT], [S4-code], [DM]: one group of all parameters
    "one_rate": True,  # [S4] names one rate alone; [DM]
    "clip": 0.25,  # [DT] seq_trainer.py; [S4-code]; [DM]
    "eval_every": 10_000,  # [DT] after each iteration
    "log_every": 100,
    "checkpoint_every": 5_000,
}
EVALUATION: Mapping[str, Any] = {
    "episodes": 100,  # [DT] num_eval_episodes; [S4] not stated
    "selection_episodes": 100,  # ours: others choose the best weights by the episodes that they report
    "decode": ["argmax"],
}
WINDOWS: Mapping[str, Any] = {
    "batch_size": 64,  # [DT], [DM]
    "window": 20,  # [DT], [DM] K
    "window_anchor": "start",  # [DT] an episode in proportion to its length, then a start in it, uniformly
}
WINDOWED: Mapping[str, Any] = {"acting": "windowed", "window": 20}  # [DT] the last K timesteps are encoded anew
TOKENS: Mapping[str, Any] = {
    "tokens": "separate",  # [DT] (R_t, s_t, a_t), the action read at s_t
    "previous_action": None,  # [DT] seen, on tasks too that hide it from everybody otherwise
    "time": "table",  # [DT] a learned row per timestep, added to its three tokens
    "max_timestep": 1_000,  # [DT] max_ep_len
    "time_std": 1.0,  # [DT] the table lies outside of GPT-2 and keeps torch's start
    "embedding_norm": True,  # [DT] embed_ln
    "embedding_dropout": 0.1,  # [DT] GPT2Config's embd_pdrop, never overridden
    "action_tanh": True,  # [DT]
}
MAMBA: Mapping[str, Any] = {
    "n_layers": 3,  # [DM] n_layer
    "d_state": 16, "d_conv": 4, "expand": 2,  # [DM] mamba_ssm's own defaults
}  # fmt: skip


def _gpt(context_timesteps: int) -> dict[str, Any]:
    return {
        "n_layers": 3,  # [DT] n_layer
        "n_heads": 1,  # [DT] n_head
        "context_len": 3 * context_timesteps,  # three tokens a timestep
        "block": "paper",  # [DT] GPT-2's: LayerNorm, MLP of ratio 4
        "activation": "relu",  # [DT] activation_function
        "dropout": 0.1,  # [DT] dropout, of attention and of both halves of a block
        "scaled_init": False,  # [DT] Normal(0, 0.02) throughout
    }


def _asked(shares: Sequence[float]) -> dict[str, dict[str, Any]]:
    """Per environment: the high target as the headline, `shares` of it as the sweep, D4RL's amount of data."""
    settings: dict[str, dict[str, Any]] = {
        name: {
            "eval": {"target_return": high, "target_sweep": [share * high for share in shares]},
            "data": {"timesteps": 1_000_000},  # D4RL's medium and expert sets
            "wrapper": {"return_scale": RETURN_SCALE},
        }
        for name, high in HIGH.items()
    }
    for name in MAZES:
        settings[name] = {
            "eval": {"target_return": 1.0, "target_sweep": [0.5]},  # [CORL] target_returns
            "wrapper": {"return_scale": MAZE_SCALE},
        }
    return settings


DECISION_TRANSFORMER = Preset(
    "decision-transformer",
    "as Chen et al. 2021: separate tokens, windows of 20 timesteps, 100,000 updates",
    {
        "backbone": {"d_model": 128},  # [DT] embed_dim
        "wrapper": TOKENS,
        "train": {**TRAINING, **WINDOWS, "lr": 1e-4},  # [DT] learning_rate
        "eval": {**EVALUATION, **WINDOWED},
    },
    per_env=_asked([0.5]),  # [DT] env_targets: 1,800, 6,000 and 2,500
    per_backbone={"gpt": {"backbone": _gpt(20)}, **JOINT},
    backbone="gpt",
    envs=PUBLISHED,
)

DECISION_S4 = Preset(
    "decision-s4",
    "as David et al. 2023: whole episodes, one token a timestep, stateful acting",
    {
        "backbone": {"d_model": 64},  # [S4] H
        "wrapper": {
            "tokens": "joint",  # [S4] (s_t, a_{t-1}, R_t), with the return that is left at t
            "previous_action": None,  # the same, on tasks too that hide it from everybody otherwise
            "combine": "concat",  # reconstructed from [S4] Table 3 (see tests/decision/test_protocols.py)
            "encoder_width": 256,  # the same
            "encoder_activation": "relu",  # [S4] 4.1.1
            "token_activation": "relu",  # [S4] 4.1.1 "input and output projection layers, [...] and ReLu activations"
            "time": "none",  # [S4] has none
            "action_tanh": False,  # [S4-code]; [S4]'s ReLU on the output would forbid negative actions
            "head_bias": False,  # [S4-code]
        },
        "train": {
            **TRAINING,
            "lr": 1e-5,  # [S4] C.2
            "batch_size": 32,  # [S4] C.2
            "window": None,  # [S4] Alg. 1: whole trajectories
            "length_weighted": True,  # [S4-code] get_batch_recurrent; [S4] not stated
        },
        "eval": {**EVALUATION, "acting": "stateful"},  # [S4] the recurrent view at test
    },
    # [S4] takes the best of {0.5, 0.75, 1.0} by evaluation; here 1.0 is the headline and the choice is left to the reader.
    per_env=_asked([0.5, 0.75]),
    per_backbone={
        "s4d": {
            "backbone": {
                "preset": "decision-s4",  # [S4] 4.1.1, the diagonal system of Gupta et al. 2022
                "n_layers": 3,  # [S4] 4.1.1
                "d_state": 64,  # [S4] N
                "dt_per_part": True,  # DSS's code (ag1988/dss)
            }
        },
        "s4": {"backbone": {"n_layers": 3, "d_state": 64, "block": "paper"}},  # the ablation with the full matrix
    },
    backbone="s4d",
    envs=PUBLISHED,
)

DECISION_MAMBA = Preset(
    "decision-mamba",
    "as Ota 2024: Decision Transformer's protocol with its Mamba block",
    {
        "backbone": {"d_model": 128},  # [DM] embed_dim; hopper medium and medium-replay: 256 with lr 1e-4
        "wrapper": TOKENS,
        "train": {**TRAINING, **WINDOWS, "lr": 1e-3},  # [DM] learning_rate; walker2d medium: 1e-4
        "eval": {**EVALUATION, **WINDOWED},
    },
    per_env=_asked([0.5, 2.0, 10.0, 20.0]),  # [DM] env_targets
    per_backbone={
        "mamba": {
            "backbone": {
                **MAMBA,
                "preset": "decision-mamba",  # [DM] gym/models/layers.py Block
                "dropout": 0.1,  # [DM] dropout, of the MLP
                "init": "overwritten",  # [DM] gym/models/decision_mamba.py; backbone.init=mamba is the mended start
            }
        },
        "gpt": {"backbone": _gpt(20)},
        **JOINT,
    },
    backbone="mamba",
    envs=PUBLISHED,
)

SSM_FOR_OFFLINE_RL = Preset(
    "ssm-for-offline-rl",
    "as the report of that name: Mamba of 0.9M parameters against a Decision Transformer of 1.2M (gpt)",
    {
        "backbone": {"d_model": 128},  # [HF] hidden_size
        "wrapper": {**TOKENS, "max_timestep": 4_096, "time_std": 0.02},  # [HF] max_ep_len, initializer_range
        "train": {**TRAINING, **WINDOWS, "lr": 1e-4},  # [SSM] not stated: [DT]'s
        "eval": {**EVALUATION, **WINDOWED, "episodes": 500},  # [SSM] Table 2
    },
    per_env=_asked([]),  # [SSM] "when we condition on high reward"
    per_backbone={
        # [SSM] gives the size alone: 4,096 timesteps and three layers of Mamba's own block have 877,187 on hopper.
        "mamba": {"backbone": {**MAMBA, "block": "paper"}},
        "gpt": {"backbone": {**_gpt(20), "scaled_init": True}},  # [HF] c_proj
        **JOINT,
    },
    backbone="mamba",
    envs=PUBLISHED,
)

PROTOCOLS = (DECISION_TRANSFORMER, DECISION_S4, DECISION_MAMBA, SSM_FOR_OFFLINE_RL)
