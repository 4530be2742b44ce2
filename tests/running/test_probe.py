"""The memory probe: its measures against closed forms, and a backbone with memory against one without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.config import resolve, run_id
from dsbench.errors import UsageError
from dsbench.records.run_folder import RunFolder
from dsbench.running import probe
from dsbench.running.probe import ProbeExperiment, auc, log_loss
from dsbench.running.worker import ProgressPipe, work

PROBE = ["train.objective=probe", "wrapper.condition=none"]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), count=st.integers(2, 30))
def test_auc_is_the_share_of_pairs_in_the_right_order(seed: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, 4, count).astype(float)  # with ties
    answers = generator.random(count) < 0.5
    pairs = [(yes > no) + 0.5 * (yes == no) for yes in scores[answers] for no in scores[~answers]]
    assert auc(scores, answers) == pytest.approx(np.mean(pairs) if pairs else 0.5)


def test_log_loss_of_the_base_rate_is_its_entropy() -> None:
    answers = np.arange(10) < 3
    assert log_loss(np.full(10, 0.3), answers) == pytest.approx(-(0.3 * np.log(0.3) + 0.7 * np.log(0.7)))
    assert log_loss(answers.astype(float), answers) < 1e-9


def row_of(tmp_path: Path, backbone: str) -> dict[str, float]:
    overrides = [
        *PROBE, "env.distractor_length=4", "data.recipe=medium", "data.episodes=2000", "train.updates=120",
        "train.batch_size=64", "backbone.d_model=32", "device=cpu",
    ]  # fmt: skip
    config = resolve(backbone=backbone, env="key-to-door", overrides=overrides)
    assert work(config, tmp_path, False, ProgressPipe(None)) == 0
    row = RunFolder.open(tmp_path, run_id(config)).latest_result()
    assert row is not None
    return row


def test_only_a_backbone_with_memory_knows_how_key_to_door_will_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(probe, "HELD_OUT", 2_000)
    with_memory, without = (row_of(tmp_path, name) for name in ("gru", "mlp"))
    assert with_memory["probe_auc"] > with_memory["bayes_auc"] - 0.05
    assert with_memory["bayes_log_loss"] <= with_memory["probe_log_loss"] < with_memory["base_rate_log_loss"] * 0.9
    assert without["probe_log_loss"] > without["base_rate_log_loss"] * 0.95


def test_a_task_without_a_question_and_a_probe_that_is_told_the_return_are_refused() -> None:
    with pytest.raises(UsageError, match="'umbrella' asks no question"):
        ProbeExperiment(resolve(backbone="mlp", env="umbrella", overrides=PROBE), ProgressPipe(None))
    with pytest.raises(UsageError, match="add wrapper.condition=none"):
        resolve(backbone="mlp", env="umbrella", overrides=PROBE[:1])
