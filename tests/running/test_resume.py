"""A training goes on from a checkpoint of its own alone: anything else is one sentence, never an error of torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dsbench.config import resolve, run_id, to_dict
from dsbench.errors import CorruptFile
from dsbench.records.run_folder import RunFolder
from dsbench.running.experiment import Experiment
from dsbench.running.training import Progress, make_trainer, resume, save
from dsbench.train import Trainer

TINY = [
    "backbone.d_model=4",
    "train.updates=4",
    "train.warmup=1",
    "train.batch_size=4",
    "data.episodes=20",
    "device=cpu",
]
Change = Callable[[dict[str, torch.Tensor], dict[str, Any]], None]


@pytest.fixture
def begun(
    tmp_path: Path, make_episodes: Any, monkeypatch: pytest.MonkeyPatch
) -> tuple[RunFolder, Callable[[], Trainer]]:
    """A run after two updates, and a function that makes its trainer anew."""
    monkeypatch.setenv("DSBENCH_DATA", str(tmp_path / "data"))
    config = resolve(preset="smoke", backbone="lstm", env="umbrella", overrides=TINY)
    experiment = Experiment(config, lambda *_: None)
    folder = RunFolder.open(tmp_path, run_id(config))
    with folder.claim():
        folder.write_config(to_dict(config))
        episodes, _ = experiment._data(folder)

    def trainer() -> Trainer:
        made = Experiment(config, lambda *_: None)
        made.model.fit_normalisers(episodes)
        return make_trainer(config, made.model, episodes, made.spec.task)

    first = trainer()
    first.update(), first.update()
    save(folder, first, Progress(1.0, 0.5, [{"step": 2.0}]), experiment.policy_spec)
    return folder, trainer


def test_its_own_is_gone_on_from(begun: tuple[RunFolder, Callable[[], Trainer]]) -> None:
    folder, make = begun
    trainer = make()
    assert resume(folder, trainer) == Progress(1.0, 0.5, [{"step": 2.0}])
    assert trainer.updates_done == 2
    meta = folder.checkpoints.load(2).meta
    assert (meta["run_id"], meta["attempt"]) == (folder.run_id, 1)


def missing(tensors: dict[str, torch.Tensor], meta: dict[str, Any]) -> None:
    del tensors["model/head.weight"]


def wider(tensors: dict[str, torch.Tensor], meta: dict[str, Any]) -> None:
    tensors["model/head.weight"] = torch.zeros(3, 4)


def moment(tensors: dict[str, torch.Tensor], meta: dict[str, Any]) -> None:
    tensors["optimizer/exp_avg/head.weight"] = torch.zeros(2, 2)


def half(tensors: dict[str, torch.Tensor], meta: dict[str, Any]) -> None:
    del tensors["optimizer/exp_avg_sq/head.weight"]


def unknown(tensors: dict[str, torch.Tensor], meta: dict[str, Any]) -> None:
    tensors["optimizer/exp_avg/nothing"] = torch.zeros(2)


def silent(tensors: dict[str, torch.Tensor], meta: dict[str, Any]) -> None:
    meta["tokens_seen"] = None


def late(tensors: dict[str, torch.Tensor], meta: dict[str, Any]) -> None:
    meta["updates_done"] = 5


def another(tensors: dict[str, torch.Tensor], meta: dict[str, Any]) -> None:
    meta["policy"]["backbone"] = "gru"


def undescribed(tensors: dict[str, torch.Tensor], meta: dict[str, Any]) -> None:
    del meta["policy"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (missing, "'model/head.weight' is missing"),
        (wider, r"'model/head.weight' is float32 \(3, 4\), while float32 \(2, 4\) is needed"),
        (moment, r"'optimizer/exp_avg/head.weight' is float32 \(2, 2\)"),
        (half, "'optimizer/exp_avg_sq/head.weight' is missing"),
        (unknown, "'optimizer/exp_avg/nothing' is not known"),
        (silent, "does not say tokens_seen"),
        (late, "after 5 updates of a training of 4"),
        (another, "has name 'gru', and the run's settings say 'lstm'"),
        (undescribed, "describes no policy"),
    ],
)  # fmt: skip
def test_what_is_not_of_this_training_is_refused(
    begun: tuple[RunFolder, Callable[[], Trainer]], change: Change, reason: str
) -> None:
    folder, make = begun
    stored = folder.checkpoints.load(2)
    tensors, meta = dict(stored.tensors), dict(stored.meta)
    change(tensors, meta)
    folder.checkpoints.drop_updates()
    folder.checkpoints.save(meta["updates_done"], tensors, meta)
    with pytest.raises(CorruptFile, match=f"update-0000000.*{reason}.*--force"):
        resume(folder, make())


def test_that_of_another_run_is_passed_over(begun: tuple[RunFolder, Callable[[], Trainer]], tmp_path: Path) -> None:
    folder, make = begun
    other = RunFolder.open(tmp_path / "other", "another-run")
    folder.path.parent.joinpath(folder.run_id, "checkpoints").rename(tmp_path / "taken")
    other.path.mkdir(parents=True)
    (tmp_path / "taken").rename(other.path / "checkpoints")
    with pytest.raises(CorruptFile, match=f"is of run_id '{folder.run_id}', and stands where 'another-run' belongs"):
        resume(other, make())
