"""Controls whose chance rate is known exactly, run by the product itself, again and again: do their intervals hold it?

A *replication* is a results folder of its own: every control with `SEEDS` seeds that no other replication has, each a whole run
(data, training, evaluation, records) of a fraction of a second. The report's own code then reads the folder and says each
control's mean and interval. Over many replications the share of intervals that hold the truth is their coverage.

Why the truths are exact: random actions are uniform and independent of what is asked. `mlp` and `window` decide in memory-len
and memory-size from what is seen at the last timesteps, which is independent of the bits, and these are fair coins. In umbrella
with random actions the data do not change in distribution when every first action is swapped, if the returns were dealt out
anew or are not shown, so that the learned choice is right as often as wrong.

    python -m tests.reports.known_truths --replications 200 --results FOLDER    # resumable; about an hour of a core
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from dsbench.config import RunConfig, resolve
from dsbench.config.controls import CONTROLS
from dsbench.reports.content.gathering import tasks_of
from dsbench.reports.groups import read_groups
from tests.running.inline import Inline

SEEDS = 5  # of a control in one replication
SMALL = [
    "device=cpu", "backbone.d_model=8", "train.batch_size=16", "train.updates=20", "train.eval_every=20", "train.warmup=5",
    "train.checkpoint_every=20", "data.episodes=100", "eval.episodes=100", "eval.selection_episodes=2", "eval.decode=[argmax]",
    "measure.warmup=1", "measure.steps=2",
]  # fmt: skip


@dataclass(frozen=True)
class Known:
    """A control on a task, and the chance rate that it has there."""

    env: str
    control: str
    truth: float
    settings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return " ".join((self.control, self.env, *self.settings))

    def config(self, seed: int) -> RunConfig:
        return resolve(
            preset="smoke", env=self.env, seed=seed, overrides=[*SMALL, *self.settings], **_control(self.control)
        )


KNOWN = (
    Known("umbrella", "random", 0.5),
    Known("memory-len", "random", 0.5),
    Known("repeat-first", "random", 0.25),
    Known("memory-len", "mlp", 0.5),
    Known("memory-size", "mlp", 0.5),
    Known("memory-len", "window", 0.5),
    Known("umbrella", "mlp", 0.5, ("data.permute_returns=true",)),
    Known("umbrella", "mlp", 0.5, ("wrapper.condition=none",)),
)


def _control(name: str) -> dict[str, str]:
    settings = CONTROLS[name].settings
    return {part: str(settings[part]) for part in ("policy", "backbone") if part in settings}


def make(results: Path, replications: Sequence[int]) -> None:
    """The runs of these replications, below `results`; those that are there stay."""
    results.mkdir(parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        inline = Inline(results, patch)
        for number in replications:
            for known in KNOWN:
                for place in range(SEEDS):
                    inline.run(known.config(SEEDS * number + place), results=f"{number:03d}")


def held(results: Path, replication: int) -> dict[str, bool]:
    """Control -> whether its interval holds the truth, as the report on this replication's folder says it."""
    tasks = tasks_of(read_groups(results / f"{replication:03d}"), {})
    return {known.name: _holds(tasks, known) for known in KNOWN}


def _holds(tasks: Sequence, known: Known) -> bool:  # type: ignore[type-arg]
    wanted = known.config(0)
    found = []
    for task in tasks:
        for one in task.contestants:
            run = one.runs[0]
            same = (run.env, run.backbone) == (wanted.env.name, wanted.backbone.name)
            mine = {name: run.settings.get(name) for name in ("data.permute_returns", "wrapper.condition", "policy")}
            asked = {
                "data.permute_returns": wanted.data.permute_returns,
                "wrapper.condition": wanted.wrapper.condition,
                "policy": wanted.policy,
            }
            if same and mine == asked:
                found.append((task, one))
    ((task, one),) = found
    assert len(one.runs) == SEEDS
    estimate = task.estimate(one)
    assert estimate.low is not None and estimate.high is not None
    return bool(estimate.low <= known.truth <= estimate.high)


def coverage(results: Path, replications: Sequence[int]) -> dict[str, float]:
    """Control -> the share of replications whose interval holds its truth."""
    found = [held(results, number) for number in replications]
    return {known.name: sum(one[known.name] for one in found) / len(found) for known in KNOWN}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reports.known_truths", description=__doc__)
    parser.add_argument("--replications", type=int, default=200)
    parser.add_argument(
        "--first", type=int, default=0, help="number of the first one, to share the work between processes"
    )
    parser.add_argument("--results", type=Path, required=True)
    arguments = parser.parse_args(argv)
    os.environ["OMP_NUM_THREADS"] = "1"
    numbers = range(arguments.first, arguments.first + arguments.replications)
    make(arguments.results, numbers)
    shares = coverage(arguments.results, numbers)
    for name, share in shares.items():
        print(f"{share:6.1%}  {name}")
    print(f"{sum(shares.values()) / len(shares):6.1%}  over all controls, {len(numbers)} replications of {SEEDS} seeds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
