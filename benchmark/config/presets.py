"""Presets: named sets of settings. ``quick`` is the defaults of `dsbench.config`; the others say what they change.

Tasks differ in the length of their episodes and in what data teaches them, so each has settings of its own: `TASKS` under
every preset, `Preset.per_env` on top of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dsbench.config.preset import Preset
from dsbench.config.protocols import HIGH, MAZES, PROTOCOLS
from dsbench.errors import UnknownName
from dsbench.outside.source import GYM

# Walking machines: continuous actions have one decoding, and bounds.
WALKERS = tuple(HIGH)
CONTINUOUS: Mapping[str, Any] = {"wrapper": {"action_tanh": True}, "eval": {"decode": ["argmax"]}}


# What each task is about: the data it is learned from and how its headline is decoded. Under every preset.
TASKS: Mapping[str, Mapping[str, Any]] = {
    "door-key": {"data": {"recipe": "mixed"}},
    "key-to-door": {"eval": {"decode": ["sample", "argmax"]}, "train": {"balance_returns": True}},
    "key-to-apples": {"data": {"recipe": "mixed"}},
    "cartpole": {"data": {"recipe": "mixed"}},
    "cartpole-position": {"data": {"recipe": "mixed"}},
    "cartpole-velocity": {"data": {"recipe": "mixed"}},
    "cartpole-noisy": {"data": {"recipe": "mixed"}},
    # An expert's last answer is the answer to come: who sees it copies and remembers nothing.
    "repeat-first": {"data": {"recipe": "mixed"}, "wrapper": {"previous_action": False}},
    "repeat-previous": {"data": {"recipe": "mixed"}},
    "recall": {"data": {"recipe": "expert"}},
    # Here too; and where the last answer alone counts, the others are a sheet to take notes on.
    "state-tracking": {"data": {"recipe": "expert"}, "wrapper": {"previous_action": False}},
    "t-maze": {"data": {"recipe": "expert"}},
    **{name: {**CONTINUOUS, "data": {"recipe": "medium"}} for name in WALKERS},
    # No recipe has this name: who gives no file is told where data comes from, rather than taught by random walks.
    **{name: {**CONTINUOUS, "data": {"recipe": "d4rl"}} for name in MAZES},
}

# An evaluation is up to 1,000 decisions in a simulator, so there are few of them. A batch is 2,000 timesteps or so.
WALKING: Mapping[str, Any] = {
    "data": {"timesteps": 100_000},
    "train": {"batch_size": 2, "updates": 1_000, "eval_every": 500, "mean_last_k": 2},
    "eval": {"episodes": 100, "selection_episodes": 20},
}
HOPPING: Mapping[str, Any] = {**WALKING, "train": {**WALKING["train"], "batch_size": 6}}  # a third as long
# One that shows that everything runs.
STEPS: Mapping[str, Any] = {
    "train": {"batch_size": 2, "eval_every": 20},
    "eval": {"episodes": 2, "selection_episodes": 2},
}

SHORT_EVALUATION = {"episodes": 100, "selection_episodes": 20}  # of long episodes, which cost most of a quick run

# Few long episodes a batch, about a thousand timesteps.
LONG_EPISODES: Mapping[str, Any] = {
    "data": {"episodes": 500},
    "train": {"batch_size": 8, "eval_every": 250},
    "eval": SHORT_EVALUATION,
}

# Environments of gymnasium, of which nothing is known before they are made: data by timesteps, for episodes may be long.
UNKNOWN: Mapping[str, Any] = {
    "data": {"timesteps": 100_000},
    "train": {"batch_size": 16, "eval_every": 250},
    "eval": SHORT_EVALUATION,
}

# Sizes that keep a quick run at about a minute on two CPU cores. All learn from whole episodes, packed into rows, and act with
# the state that they carry, so that every contestant of a task sees the same tokens an update (gpt through its own sliding
# window, `backbone.context_len`). Windows are a setting: `train.window`, as the published protocols have them.
QUICK: Mapping[str, Mapping[str, Any]] = {
    "memory-len": {"train": {"batch_size": 64, "eval_every": 125}},
    "repeat-first": {"data": {"episodes": 2_000}, "train": {"batch_size": 32, "eval_every": 125}},
    "repeat-previous": {
        "data": {"episodes": 2_000},
        "train": {"batch_size": 32, "updates": 2_000, "eval_every": 500},  # attention learns to look back late
    },
    "state-tracking": {"train": {"batch_size": 64, "updates": 1_000, "eval_every": 250}},
    "t-maze": {"train": {"batch_size": 64, "eval_every": 125}},
    "door-key": {**LONG_EPISODES, "data": {"episodes": 1_000}},
    "graph-walk": {"data": {"episodes": 1_000}, "train": {"batch_size": 64}},
    "cartpole": {**LONG_EPISODES, "train": {"batch_size": 4, "eval_every": 250}},  # twice as long as its variants
    "cartpole-position": LONG_EPISODES,
    "cartpole-velocity": LONG_EPISODES,
    "cartpole-noisy": {**LONG_EPISODES, "data": {"episodes": 3_000}},
    "key-to-door": {"data": {"episodes": 1_000}, "train": {"batch_size": 32, "eval_every": 125}},
    "key-to-apples": {
        "data": {"episodes": 2_000},
        "train": {"batch_size": 32, "eval_every": 250},
        "eval": SHORT_EVALUATION,
    },
    **dict.fromkeys((*WALKERS, *MAZES), WALKING),
    GYM: UNKNOWN,
    "hopper": HOPPING,
}

LONG = (
    "door-key",
    "cartpole",
    "cartpole-position",
    "cartpole-velocity",
    "cartpole-noisy",
    "key-to-door",
    "key-to-apples",
)

PRESETS = {
    preset.name: preset
    for preset in [
        Preset(
            "smoke",
            "a few seconds: does everything run? The scores mean nothing",
            {
                "data": {"episodes": 200},
                "train": {"updates": 20, "warmup": 5, "batch_size": 32, "log_every": 5, "checkpoint_every": 10},
                "eval": {"episodes": 20, "selection_episodes": 20},
                "measure": {"warmup": 10, "steps": 50},
            },
            per_env={
                **{name: {"train": {"batch_size": 8, "eval_every": 20}, "data": {"episodes": 50}} for name in LONG},
                **{name: {**STEPS, "data": {"timesteps": 2_000}} for name in (*WALKERS, *MAZES, GYM)},
            },
        ),
        Preset(
            "quick", "the default: about a minute on two CPU cores, two to three for simulated bodies", per_env=QUICK
        ),
        Preset(
            "paper",
            "more data, more updates and more evaluation episodes",
            {
                "data": {"episodes": 50_000},
                "train": {"updates": 5_000, "warmup": 500, "lr": 1e-3, "log_every": 100, "checkpoint_every": 500},
                "eval": {"episodes": 5_000, "selection_episodes": 500},
                "measure": {"warmup": 200, "steps": 5_000},
            },
            per_env={
                name: {
                    "data": {"timesteps": 1_000_000},
                    "train": {"batch_size": 8, "updates": 20_000, "eval_every": 5_000},
                    "eval": {"episodes": 100, "selection_episodes": 100},
                }
                for name in (*WALKERS, *MAZES, GYM)
            },
        ),
        *PROTOCOLS,
    ]
}
DEFAULT = "quick"


def of_env(table: Mapping[str, Mapping[str, Any]], env: str) -> Mapping[str, Any]:
    """The settings that a table has for an environment, or for the family that it belongs to."""
    family = GYM if env.startswith(GYM) else env
    return table.get(env, table.get(family, {}))


def get_preset(name: str) -> Preset:
    """The preset called `name`; `UnknownName` with the closest match otherwise."""
    if name not in PRESETS:
        raise UnknownName("preset", name, PRESETS, where="dsbench list presets")
    return PRESETS[name]
