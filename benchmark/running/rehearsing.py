"""What runs will cost, told by rehearsals: the same run with a few updates and one evaluation, in a folder that is deleted.

Training is taken as many times as the run has updates, evaluation as often as it evaluates. Its data are made for good: they
are kept where the run itself looks for them. Imports no torch.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dsbench.config import RunConfig, run_id
from dsbench.errors import DsbenchError
from dsbench.records.run_folder import RunFolder
from dsbench.records.run_records import JOURNAL
from dsbench.running.launcher import error_of
from dsbench.running.worker_process import Outcome, folder_of

UPDATES = 4  # of a rehearsal
_SELECTING = 0.2  # selection episodes beside the reported ones, in evaluations
_KEPT = 2  # checkpoints that a run keeps beside the final one
_LOSS_BYTES = 150  # of a recorded loss


@dataclass(frozen=True)
class Cost:
    """Of one run, roughly: seconds of a process, and bytes on the disk beside the data."""

    seconds: float
    size: int


def rehearsal(config: RunConfig, seed: int | None = None) -> RunConfig:
    """The same run with `UPDATES` updates."""
    train = config.train.model_copy(
        update={
            "updates": UPDATES, "warmup": min(config.train.warmup, UPDATES), "eval_every": UPDATES, "log_every": 1,
            "seconds": None,
        }
    )  # fmt: skip
    return config.model_copy(update={"seed": config.seed if seed is None else seed, "train": train})


def rehearsed_seconds(folder: RunFolder, config: RunConfig) -> float | None:
    """Of a run, by its rehearsal in `folder`; None where that did not end well."""
    try:
        row, records = folder.latest_result(), folder.journal.read()
    except DsbenchError:
        return None
    if row is None or row.get("status") != "ok":
        return None
    times = {str(one.get("event")): float(one["time"]) for one in records if one.get("kind") == "event"}
    if not {"start", "data", "end"} <= times.keys():
        return times["end"] - times["start"] if {"start", "end"} <= times.keys() else None  # nothing is trained
    data, whole = times["data"] - times["start"], times["end"] - times["start"]
    training = float(row["train_seconds"])
    rest = max(0.0, whole - data - training)
    last = len(config.eval.decode) + 1  # the opposite target too
    evaluations = max(1, config.train.updates // config.train.evaluated_every) * (1 + _SELECTING)
    budget = config.train.seconds or _training(records, training, config.train.updates)
    return float(data + budget + rest * (evaluations + last) / (1 + _SELECTING + last))


def _training(records: Sequence[Mapping[str, Any]], rehearsed: float, updates: int) -> float:
    """Seconds of so many updates, out of those of the rehearsal. The first one pays for what is loaded once."""
    told = {
        one["step"]: float(one["time"])
        for one in records
        if one.get("metric") == "loss" and one.get("phase") == "train"
    }
    if not {1, UPDATES} <= told.keys():
        return rehearsed * updates / UPDATES
    each = (told[UPDATES] - told[1]) / (UPDATES - 1)
    return max(0.0, rehearsed - UPDATES * each) + updates * each


def costs_of(configs: Sequence[RunConfig], run_all: Callable[[Sequence[RunConfig], Path], list[Outcome]]) -> list[Cost]:
    """What each of these runs will cost; runs that differ in their seed alone are rehearsed once.

    Args:
        run_all: does runs in a folder.

    Raises:
        DsbenchError: a rehearsal did not end well, as the run would not.
    """
    keys = [run_id(config.model_copy(update={"seed": 0})) for config in configs]
    unlike = dict(reversed(list(zip(keys, configs, strict=True))))  # the first seed of each
    with tempfile.TemporaryDirectory(prefix="dsbench-") as name:
        outcomes = run_all([rehearsal(config) for config in unlike.values()], Path(name))
        known = {
            key: _cost(outcome, folder_of(rehearsal(config), Path(name)), config)
            for (key, config), outcome in zip(unlike.items(), outcomes, strict=True)
        }
    return [known[key] for key in keys]


def _cost(outcome: Outcome, folder: RunFolder, config: RunConfig) -> Cost:
    seconds = rehearsed_seconds(folder, config)
    if seconds is None:
        raise error_of(outcome)
    files = {path: path.stat().st_size for path in folder.path.rglob("*") if path.is_file()}
    checkpoint = sum(size for path, size in files.items() if path.parent.name.startswith("update-"))
    saved = math.ceil(config.train.updates / config.train.checkpoint_every)
    evaluations = max(1, config.train.updates // config.train.evaluated_every)
    journal = files.get(folder.path / JOURNAL, 0)
    lines = evaluations * journal + _LOSS_BYTES * config.train.updates // config.train.log_every
    rest = sum(files.values()) - checkpoint - journal
    return Cost(seconds, rest + min(saved, _KEPT) * checkpoint + lines)
