"""Training as a part of a run: what is trained on what, and what is kept so that it can go on after a stop."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from dsbench.batches import BatchSampler
from dsbench.config import RunConfig
from dsbench.episodes import Episodes
from dsbench.errors import UsageError
from dsbench.records.run_folder import RunFolder
from dsbench.records.tables import event_record
from dsbench.train import Trainable, Trainer


@dataclass
class Progress:
    """What a training has behind it beyond weights; travels in the checkpoint's metadata."""

    seconds: float = 0.0
    last_loss: float | None = None
    history: list[dict[str, float]] | None = None  # one entry an evaluation: step, selection and eval scores
    evaluation_due: bool = False  # a signal came before the weights of now were scored


def make_trainer(config: RunConfig, model: Trainable, episodes: Episodes) -> Trainer:
    """The trainer of `model` on these episodes, before its first update."""
    settings = config.train
    sampler = BatchSampler(
        episodes,
        batch_size=settings.batch_size,
        window=settings.window,
        row_length=settings.row_length,
        seed=config.seed,
        balance_returns=settings.balance_returns and config.wrapper.condition == "return",
        anchor=settings.window_anchor,
        length_weighted=settings.length_weighted,
    )
    precision = torch.bfloat16 if config.precision == "bf16" else None
    return Trainer(model, sampler, settings, seed=config.seed, autocast_dtype=precision)


def resume(folder: RunFolder, trainer: Trainer) -> Progress:
    """Take up the run's latest checkpoint, if there is one."""
    latest = folder.checkpoints.latest()
    if latest is None:
        return Progress()
    for warning in latest.warnings:
        folder.journal.append(event_record("warning", detail=warning))
    meta = latest.meta
    trainer.load(dict(latest.tensors), meta["updates_done"], meta["tokens_seen"])
    folder.journal.append(event_record("resume", step=trainer.updates_done))
    return Progress(**meta["progress"])


def save(folder: RunFolder, trainer: Trainer, progress: Progress, policy: dict[str, Any]) -> None:
    """Write a checkpoint; `policy` says how to build what is trained."""
    meta = {
        "updates_done": trainer.updates_done,
        "tokens_seen": trainer.tokens_seen,
        "progress": asdict(progress),
        "policy": policy,
    }
    folder.checkpoints.save(trainer.updates_done, trainer.tensors(), meta)


def pick_device(name: str) -> torch.device:
    """The device behind ``auto | cpu | cuda[:i]``; `UsageError` when CUDA is asked for and missing."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"device is {name!r} and this torch ({torch.__version__}) sees no CUDA device; use device=cpu")
    return torch.device(name)
