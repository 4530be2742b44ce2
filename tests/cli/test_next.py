"""The command that is named after a run makes the same run with another backbone, so that the two can be compared."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from dsbench.cli.summary import next_commands
from dsbench.config import resolve, to_dict

CASES: list[dict[str, Any]] = [
    {"backbone": "lstm", "env": "umbrella"},
    {"backbone": "gpt", "env": "hopper", "preset": "decision-transformer"},
    {"backbone": "mlp", "env": "repeat-first", "seed": 7, "overrides": ["wrapper.previous_action=true"]},
    {
        "backbone": "lstm", "env": "key-to-door", "preset": "smoke", "match": "params=10k",
        "overrides": [
            "vary=['init','data']", "data.episodes=30", "data.recipe='random'", "eval.target_return=null", "eval.seed=3",
            "env.distractor_length=9", "train.lr=1e-4", "eval.decode=['sample']", "train.clip=null",
        ],
    },
    {"policy": "random", "env": "umbrella", "overrides": ["eval.episodes=5"]},
]  # fmt: skip


@pytest.mark.parametrize("asked", CASES, ids=lambda case: f"{case.get('backbone')}-{case['env']}")
def test_the_next_command_is_the_same_run_of_another_backbone(asked: dict[str, Any]) -> None:
    config = resolve(**asked)
    _, command = next_commands(config, Path("some place"))
    words = shlex.split(command)
    assert words[:2] == ["dsbench", "run"] and words[-2:] == ["--results", "some place"]
    pairs = list(zip(words[2::2], words[3::2], strict=True))
    given: dict[str, Any] = {
        name.removeprefix("--"): value for name, value in pairs if name not in ("--set", "--results")
    }
    given["seed"] = int(given["seed"])
    other = resolve(overrides=[value for name, value in pairs if name == "--set"], **given)
    expected, found = to_dict(config), to_dict(other)
    assert found.pop("backbone")["name"] != expected.pop("backbone")["name"]
    assert found.pop("policy") == "learned" and expected.pop("policy")
    assert found == expected
