"""TensorBoard's own reader finds in the event files what the tables of the same runs hold."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import dsbench
from dsbench.cli import main
from dsbench.config import run_id
from dsbench.records.tensorboard import export_tensorboard

pytest.importorskip("tensorboard", reason="tensorboard is not installed: pip install '.[tensorboard]'")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

CONFIG = {"backbone": "lstm", "env": "memory-len", "preset": "smoke"}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was followed while it went on."""
    results = tmp_path_factory.mktemp("tensorboard") / "results"
    command = ["run", *(word for name, value in CONFIG.items() for word in (f"--{name}", value))]
    said = [sys.executable, "-m", "dsbench", *command, "--results", str(results), "--log", "tensorboard"]
    subprocess.run(said, check=True, capture_output=True, timeout=300)
    return results


def read(folder: Path) -> EventAccumulator:
    (run,) = folder.iterdir()
    found = EventAccumulator(str(run), size_guidance={"scalars": 0})
    found.Reload()
    return found


def curve(events: EventAccumulator, tag: str) -> list[tuple[int, float]]:
    return [(one.step, one.value) for one in events.Scalars(tag)]


def expected(results: Path, metric: str, split: str | None) -> list[tuple[int, float]]:
    numbers = dsbench.load(results).long
    chosen = numbers[numbers["phase"].eq("train") & numbers["metric"].eq(metric)]
    chosen = chosen[chosen["split"].isna() if split is None else chosen["split"].eq(split)].sort_values("step")
    return list(zip(chosen["step"].astype(int), chosen["value"].astype("float32").astype(float), strict=True))


def settings(events: EventAccumulator) -> dict[str, object]:
    metadata = events.SummaryMetadata("_hparams_/session_start_info")
    found = HParamsPluginData.FromString(metadata.plugin_data.content).session_start_info.hparams
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in found.items()}


def test_what_was_followed_is_what_is_exported_afterwards(results: Path, tmp_path: Path) -> None:
    live, later = read(results / "tensorboard"), read(export_tensorboard(results, tmp_path / "out"))
    assert live.Tags()["scalars"] == later.Tags()["scalars"]
    assert all(curve(live, tag) == curve(later, tag) for tag in live.Tags()["scalars"])
    assert settings(live) == settings(later)


def test_curves_are_those_of_the_long_table(results: Path) -> None:
    events, metric = read(results / "tensorboard"), "correct"
    assert curve(events, "train/loss") == expected(results, "loss", None)
    assert curve(events, f"eval/{metric}") == expected(results, metric, "eval")
    assert len(curve(events, "train/loss")) > 1


def test_settings_and_status_are_hparams(results: Path) -> None:
    found = settings(read(results / "tensorboard"))
    assert (found["status"], found["backbone.name"], found["env.name"]) == ("ok", "lstm", "memory-len")
    assert found["train.lr"] == pytest.approx(float(dsbench.load(results).runs["train.lr"].iloc[0]))


def test_an_export_replaces_the_one_before(results: Path, tmp_path: Path) -> None:
    first = curve(read(export_tensorboard(results, tmp_path / "out")), "train/loss")
    assert curve(read(export_tensorboard(results, tmp_path / "out")), "train/loss") == first


def test_the_command_says_how_to_look(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(results), "--to", "tensorboard", "--out", str(tmp_path / "tb")]) == 0
    assert "tensorboard --logdir" in capsys.readouterr().out
    assert main(["export", str(results), "--to", "tensorbord"]) == 2
    assert "Did you mean 'tensorboard'?" in capsys.readouterr().err


def test_a_run_that_logs_is_the_run_that_does_not(results: Path) -> None:
    runs = dsbench.load(results).runs
    config = dsbench.resolve(**CONFIG)
    assert list(runs["run_id"]) == [run_id(config)]
    assert not pd.isna(runs["status"]).any()
