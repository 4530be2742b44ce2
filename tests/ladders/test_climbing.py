"""The climb: who has fallen stops, everybody else goes on, and a second call goes on where the first one stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dsbench.config import RunConfig, run_id
from dsbench.ladders.climbing import climb
from dsbench.ladders.ladder_file import load_ladder
from dsbench.ladders.plan import Plan, Wishes, plan_of
from dsbench.running.worker_process import Outcome

SPAN = """\
format: 1
title: How long is a bit kept?
env: memory-len
pass: 0.9
doubling: {setting: env.memory_length, from: 10, to: 640}
"""
# Planted contestants: from the length of the memory that is asked for and the seed to whether it is answered.
PLANTED: dict[str, Callable[[int, int], bool]] = {
    "lstm": lambda length, seed: length <= 50,
    "gru": lambda length, seed: seed % 3 != 1,
    "rnn": lambda length, seed: False,
}


class Machine:
    """Runs in the place of training: scores are planted, each run is made once."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.made: dict[str, Outcome] = {}
        self.stop_after = stop_after

    def __call__(self, runs: Sequence[RunConfig]) -> list[Outcome]:
        return [self._outcome(config) for config in runs]

    def _outcome(self, config: RunConfig) -> Outcome:
        name = run_id(config)
        if name not in self.made:
            if self.stop_after is not None and len(self.made) >= self.stop_after:
                return Outcome(name, "interrupted", 130, None)
            right = PLANTED[config.backbone.name](config.env.options["memory_length"], config.seed)
            row = {"success_metric": "correct", "correct": 1.0 if right else 0.5}
            self.made[name] = Outcome(name, "ok", 0, row)
        return self.made[name]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    path = tmp_path / "span.yaml"
    path.write_text(SPAN)
    return plan_of(*load_ladder(path), Wishes(backbones=list(PLANTED), controls=[], seeds=(0, 1, 2)))


def runs_of(machine: Machine, backbone: str) -> int:
    return sum(name.startswith(f"{backbone}-") for name in machine.made)


def test_a_contestant_stops_when_all_its_seeds_have_failed_two_rungs_running(plan: Plan) -> None:
    machine = Machine()
    assert climb(plan, machine, lambda text: None).finished
    assert runs_of(machine, "lstm") == 3 * 5  # 10, 20, 40 are within its 50 timesteps, 80 and 160 are not
    assert runs_of(machine, "gru") == 3 * 7  # one seed in three fails everywhere, and no rung is failed by all
    assert runs_of(machine, "rnn") == 3 * 2


def test_every_started_rung_is_run_by_all_seeds(plan: Plan) -> None:
    machine = Machine()
    climb(plan, machine, lambda text: None)
    for number in range(len(plan.rungs)):
        for name in plan.contestants:
            own = [run_id(config) in machine.made for config in plan.runs_at(number, [name])]
            assert all(own) or not any(own)


@pytest.mark.parametrize("stop", [0, 1, 7, 20, 38])
def test_an_interrupted_climb_goes_on_where_it_stopped(plan: Plan, stop: int) -> None:
    whole, machine = Machine(), Machine(stop_after=stop)
    climb(plan, whole, lambda text: None)
    assert not climb(plan, machine, lambda text: None).finished
    assert len(machine.made) == stop
    machine.stop_after = None
    assert climb(plan, machine, lambda text: None).finished
    assert machine.made == whole.made


@pytest.mark.parametrize(("status", "row"), [
    ("diverged", {"success_metric": "correct"}), ("failed", {}), ("timeout", None), ("refused", None),
    ("ok", {"success_metric": "correct", "correct": float("nan")}),
])  # fmt: skip
def test_what_did_not_end_well_has_not_passed(plan: Plan, status: str, row: dict[str, object] | None) -> None:
    asked: list[str] = []

    def broken(runs: Sequence[RunConfig]) -> list[Outcome]:
        asked.extend(run_id(config) for config in runs)
        return [Outcome(run_id(config), status, 1, row) for config in runs]

    assert climb(plan, broken, lambda text: None).finished
    assert len(asked) == 2 * 3 * len(plan.contestants)
