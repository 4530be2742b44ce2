"""Further target returns are played beside the headline and change nothing of it; rows say what scores are measured by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dsbench.config import RunConfig, resolve, run_id
from dsbench.envs import get_spec
from dsbench.records.run_folder import RunFolder
from dsbench.records.tables import long_table, runs_table
from dsbench.running.rows import reference_columns
from dsbench.running.worker import ProgressPipe, work

SMALL = [
    "env.chain_length=3", "env.n_distractor=1", "backbone.d_model=8", "train.batch_size=8", "train.updates=10",
    "train.warmup=2", "device=cpu", "eval.target_return=1.0",
]  # fmt: skip
COSTS = ("latency", "train_seconds", "train_tokens", "train_contended", "peak_rss", "run_id")


def configured(*overrides: str) -> RunConfig:
    return resolve(preset="smoke", backbone="lstm", env="umbrella", overrides=[*SMALL, *overrides])


def row_of(results: Path, config: RunConfig) -> dict[str, object]:
    assert work(config, results, False, ProgressPipe(None)) == 0
    row = RunFolder.open(results, run_id(config)).latest_result()
    assert row is not None
    return {name: value for name, value in row.items() if name != "journal" and not name.startswith(COSTS)}


def test_a_sweep_stands_beside_the_headline_and_leaves_it_alone(tmp_path: Path) -> None:
    swept, plain = configured("eval.target_sweep=[-1, 0.5]"), configured()
    assert row_of(tmp_path / "a", swept) == row_of(tmp_path / "b", plain)
    table = long_table(tmp_path / "a")
    sweep, last = (table[table["selection"] == kind] for kind in ("sweep", "last"))
    assert sorted(set(sweep["target_return"])) == [-1, 0.5]
    assert set(last["target_return"]) == {1}
    assert set(sweep["metric"]) == set(last["metric"]) | {"score_normalised"}
    assert set(sweep["decode"]) == {"argmax"}
    spec = get_spec("umbrella", **swept.env.options)
    for _, asked in sweep.groupby("target_return"):
        value = asked.set_index("metric")["value"]
        assert value["score_normalised"] == pytest.approx(spec.normalised(value["return"]))


def test_behaviour_cloning_has_nothing_to_sweep(tmp_path: Path) -> None:
    row_of(tmp_path, configured("eval.target_sweep=[0.5]", "wrapper.condition=none"))
    assert "sweep" not in set(long_table(tmp_path)["selection"].dropna())


def test_a_row_says_what_its_scores_are_normalised_by(tmp_path: Path) -> None:
    spec = get_spec("umbrella", chain_length=3, n_distractor=1)
    for config in (configured(), resolve(policy="random", env="umbrella", overrides=[*SMALL[:2], "eval.episodes=5"])):
        row = row_of(tmp_path, config)
        assert (row["reference_random"], row["reference_optimal"]) == (spec.random_return, spec.optimal_return)
        assert (row["references"], row["simulator"]) == (spec.references, None)
    runs = runs_table(tmp_path)
    assert set(runs["result.references"]) == {spec.references}
    assert runs["result.simulator"].isna().all()


def test_the_simulator_is_told_with_its_version() -> None:
    spec = replace(get_spec("umbrella"), simulator={"gymnasium": "Hopper-v5", "mujoco": "3.11.0"})
    assert reference_columns(spec)["simulator"] == "gymnasium Hopper-v5, mujoco 3.11.0"
