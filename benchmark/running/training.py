"""Training as a part of a run: what is trained on what, and what is kept so that it can go on after a stop."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dsbench.batches import BatchSampler
from dsbench.config import RunConfig, TrainConfig
from dsbench.config.varying import seed_of
from dsbench.decision.loading import WAY_OUT, describe_stored
from dsbench.episodes import Episodes
from dsbench.errors import CorruptFile, UsageError
from dsbench.records.checkpoints import MANIFEST, TENSORS, Checkpoint
from dsbench.records.run_folder import RunFolder
from dsbench.records.stored_tensors import contradiction
from dsbench.records.tables import event_record
from dsbench.train import MOMENTS, Trainable, Trainer


@dataclass
class Progress:
    """What a training has behind it beyond weights; travels in the checkpoint's metadata."""

    seconds: float = 0.0
    last_loss: float | None = None
    history: list[dict[str, float]] | None = None  # one entry an evaluation: step, selection and eval scores
    evaluation_due: bool = False  # a signal came before the weights of now were scored
    cpu_seconds: float | None = 0.0  # of the process in `seconds`; None after a checkpoint that does not tell

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Count the seconds within."""
        begin, cpu = time.perf_counter(), time.process_time()
        yield
        self.seconds += time.perf_counter() - begin
        if self.cpu_seconds is not None:
            self.cpu_seconds += time.process_time() - cpu


def make_trainer(config: RunConfig, model: Trainable, episodes: Episodes, task: str) -> Trainer:
    """The trainer of `model` on these episodes, before its first update.

    Args:
        task: `EnvSpec.task`, which batches and dropout are drawn for.
    """
    settings, seed = config.train, seed_of(config, "batches", task)
    sampler = BatchSampler(
        episodes,
        batch_size=settings.batch_size,
        window=settings.window,
        row_length=settings.row_length,
        seed=seed,
        balance_returns=settings.balance_returns and config.wrapper.condition == "return",
        anchor=settings.window_anchor,
        length_weighted=settings.length_weighted,
    )
    precision = torch.bfloat16 if config.precision == "bf16" else None
    return Trainer(model, sampler, settings, seed=seed, autocast_dtype=precision)


def resume(folder: RunFolder, trainer: Trainer) -> Progress:
    """Take up the run's latest checkpoint, if there is one.

    Raises:
        CorruptFile: all are damaged, or the latest is of something else than what is trained here.
    """
    latest = folder.checkpoints.latest()
    if latest is None or latest.update is None:
        return Progress()
    for warning in latest.warnings:
        folder.journal.append(event_record("warning", detail=warning))
    place = folder.checkpoints.place(latest.update)
    meta = _resumable(latest, place, trainer.config)
    describe_stored(latest, place, folder.read_config())
    if (wrong := contradiction(_needed(trainer, latest.tensors), latest.tensors)) is not None:
        raise CorruptFile(f"{place / TENSORS} is not what is trained here: {wrong}; {WAY_OUT}")
    trainer.load(dict(latest.tensors), meta["updates_done"], meta["tokens_seen"])
    folder.journal.append(event_record("resume", step=trainer.updates_done))
    progress = meta["progress"]
    return Progress(
        progress.get("seconds", 0.0), progress.get("last_loss"), progress.get("history"),
        progress.get("evaluation_due", False), progress.get("cpu_seconds"),
    )  # fmt: skip


def _resumable(latest: Checkpoint, place: Path, settings: TrainConfig) -> dict[str, Any]:
    """The meta of a checkpoint that a training can go on from; `CorruptFile` if it is not such a one."""
    missing = [name for name in ("updates_done", "tokens_seen", "progress") if latest.meta.get(name) is None]
    if missing:
        raise CorruptFile(f"{place / MANIFEST} does not say {missing[0]}, which a training goes on from; {WAY_OUT}")
    done, spent = latest.meta["updates_done"], latest.meta["progress"].get("cpu_seconds")
    if settings.seconds is not None and spent is None:
        raise CorruptFile(f"{place / MANIFEST} does not say cpu_seconds, which train.seconds are counted by; {WAY_OUT}")
    if settings.seconds is None and done > settings.updates:
        raise CorruptFile(f"{place / MANIFEST} is after {done} updates of a training of {settings.updates}; {WAY_OUT}")
    return latest.meta


def _needed(trainer: Trainer, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name -> a tensor of the type and shape that a checkpoint has to hold under it.

    A parameter that never had a gradient has no moments: they are needed all or not at all.
    """
    needed = {f"model/{name}": tensor for name, tensor in trainer.model.state_dict().items()}
    for name, parameter in trainer.model.named_parameters():
        moments: dict[str, Tensor] = {f"optimizer/{moment}/{name}": parameter for moment in MOMENTS}
        moments[f"optimizer/step/{name}"] = torch.zeros(())
        if not moments.keys().isdisjoint(found):
            needed |= moments
    return needed


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
