"""The worker in this process, with a hook on what it reports: to stop it, or to spoil its disk, at an exact place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dsbench import stopping
from dsbench.config import RunConfig, resolve, run_id
from dsbench.records.run_folder import RunFolder
from dsbench.running import worker
from dsbench.running.pipe import ProgressPipe
from dsbench.running.progress import Report
from dsbench.running.request import WorkerRequest

TINY = [
    "env.chain_length=3", "env.n_distractor=1", "backbone.d_model=4", "device=cpu", "train.batch_size=4",
    "train.updates=12", "train.eval_every=4", "train.checkpoint_every=3", "train.log_every=2", "data.episodes=20",
    "eval.episodes=3", "eval.selection_episodes=3", "measure.warmup=2", "measure.steps=10",
]  # fmt: skip


def tiny(*overrides: str, **arguments: str) -> RunConfig:
    """A run of a fraction of a second that goes through every phase."""
    arguments.setdefault("env", "umbrella")
    if "policy" not in arguments:
        arguments.setdefault("backbone", "mlp")
    return resolve(preset="smoke", overrides=[*TINY, *overrides], **arguments)


class Inline:
    """Does runs in this process, into `tmp`/results and with data in `tmp`/data.

    Attributes:
        told: what the last worker reported beside progress, such as an error.
    """

    def __init__(self, tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tmp, self.patch = tmp, monkeypatch
        monkeypatch.setenv("DSBENCH_DATA", str(tmp / "data"))
        monkeypatch.setattr(stopping, "listen", lambda: None)  # the signals of this process are the tests'
        monkeypatch.setattr(worker, "end_with_parent", lambda: None)

    def run(
        self, config: RunConfig, results: str = "results", hook: Report = lambda *_: None, force: bool = False
    ) -> int:
        """The exit code of a worker, `hook` called with each of its reports."""
        self.patch.setattr(stopping, "_asked", None)
        pipe, file = _Hooked(hook), self.tmp / "request.json"
        file.write_text(json.dumps(WorkerRequest.of(config).to_json()))
        self.told = pipe.told
        with self.patch.context() as patch:
            patch.setattr(ProgressPipe, "from_environment", classmethod(lambda cls: pipe))
            return worker.main(
                ["--results", str(self.tmp / results), "--request", str(file), *(["--force"] if force else [])]
            )

    def folder(self, config: RunConfig, results: str = "results") -> RunFolder:
        return RunFolder.open(self.tmp / results, run_id(config))

    def stop(self, number: int) -> None:
        """As if the signal had come now."""
        self.patch.setattr(stopping, "_asked", number)


class _Hooked(ProgressPipe):
    def __init__(self, hook: Callable[..., None]) -> None:
        super().__init__(None)
        self.hook = hook
        self.told: dict[str, object] = {}

    def __call__(self, phase: str, done: int, total: int, message: str = "") -> None:
        self.hook(phase, done, total, message)

    def send(self, line: dict[str, object]) -> None:
        self.told |= line
