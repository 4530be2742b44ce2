"""Scripted policies as runs: no training, the same episodes as trained ones, a row in the same table."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsbench.config import resolve, run_id
from dsbench.errors import UsageError
from dsbench.records.run_folder import RunFolder
from dsbench.running.sweep import expand
from dsbench.running.worker import ProgressPipe, work


def row_of(tmp_path: Path, policy: str, *overrides: str) -> dict[str, object]:
    config = resolve(policy=policy, env="umbrella", overrides=["env.chain_length=4", "eval.episodes=400", *overrides])
    assert work(config, tmp_path, False, ProgressPipe(None)) == 0
    row = RunFolder.open(tmp_path, run_id(config)).latest_result()
    assert row is not None
    return row


def test_the_optimal_policy_is_always_right_and_the_random_one_half_of_the_time(tmp_path: Path) -> None:
    best, chance = (row_of(tmp_path, policy) for policy in ("optimal", "random"))
    assert best["first_action_accuracy"] == 1
    assert abs(float(str(chance["first_action_accuracy"])) - 0.5) < 0.1
    assert (best["backbone"], best["status"], best["decode"]) == ("optimal", "ok", "scripted")
    assert best["score_normalised"] == pytest.approx(100 * float(str(best["return_mean"])))


def test_a_scripted_policy_draws_from_the_run_s_seed(tmp_path: Path) -> None:
    first, second = (row_of(tmp_path, "random", f"seed={seed}") for seed in (0, 1))
    assert first["return_mean"] != second["return_mean"]


def test_a_scripted_policy_has_no_backbone() -> None:
    with pytest.raises(
        UsageError, match="policy is 'random', which is scripted and has no backbone; leave out backbone 's4'"
    ):
        resolve(policy="random", backbone="s4", env="umbrella")


def test_a_policy_that_does_not_exist_is_named_with_the_closest_one() -> None:
    with pytest.raises(UsageError, match="unknown policy 'optimum'. Did you mean 'optimal'"):
        resolve(policy="optimum", env="umbrella")


def test_a_sweep_takes_backbones_and_controls_together() -> None:
    configs = expand("gpt", "umbrella", "2", controls="random,memoryless,top10-bc")
    assert [(one.backbone.name, one.policy, one.wrapper.condition, one.data.top_percent) for one in configs[::2]] == [
        ("gpt", "learned", "return", None), ("random", "random", "return", None), ("mlp", "learned", "return", None),
        ("lstm", "learned", "none", 10),
    ]  # fmt: skip
    with pytest.raises(UsageError, match="nothing to run"):
        expand("", "umbrella", "2")
    with pytest.raises(UsageError, match="Did you mean 'bc'"):
        expand("", "umbrella", "2", controls="bcc")
