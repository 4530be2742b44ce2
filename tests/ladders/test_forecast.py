"""What a climb is said to cost: what is finished costs nothing, who has fallen is not counted, rungs between are between."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.config import RunConfig, run_id
from dsbench.ladders.climbing import climb
from dsbench.ladders.forecast import Forecast, _along, forecast, open_contestants, told
from dsbench.ladders.ladder_file import load_ladder
from dsbench.ladders.plan import Plan, Wishes, plan_of
from dsbench.records.run_folder import RunFolder
from dsbench.records.tables import event_record
from dsbench.running.progress import duration
from dsbench.running.rehearsing import UPDATES
from dsbench.running.worker_process import Outcome

DATA_S, UPDATE_S, REST_S = 3.0, 0.5, 4.4
PLAIN = ("train.eval_every=500", "eval.decode=[argmax]")


@pytest.fixture
def plan() -> Plan:
    wishes = Wishes(backbones=["lstm", "rnn"], controls=[], seeds=(0, 1), to="80", overrides=PLAIN)
    return plan_of(*load_ladder("memory-span"), wishes)


class Rehearsals:
    """Runs of a made machine, on which everything has its price and is written down as real runs do."""

    def __init__(self, scratch: Path) -> None:
        self.scratch, self.asked = scratch, list[RunConfig]()

    def __call__(self, runs: Sequence[RunConfig]) -> list[Outcome]:
        self.asked += runs
        for config in runs:
            folder = RunFolder.open(self.scratch, run_id(config))
            training = UPDATE_S * config.train.updates
            with folder.claim():
                folder.write_config(config.model_dump(mode="json"))
                times = {"start": 0.0, "data": DATA_S, "end": DATA_S + training + REST_S}
                for event, time in times.items():
                    folder.journal.append(event_record(event) | {"time": time})
                folder.finish("ok", {"train_seconds": training, "success_metric": "correct", "correct": 0.5})
        return [Outcome(run_id(config), "ok", 0, {}) for config in runs]


def outcome(config: RunConfig, score: float) -> Outcome:
    return Outcome(run_id(config), "ok", 0, {"success_metric": "correct", "correct": score})


def test_a_run_costs_its_data_its_updates_and_its_evaluations(tmp_path: Path, plan: Plan) -> None:
    rehearsals = Rehearsals(tmp_path / "scratch")
    found = forecast(plan, tmp_path / "results", tmp_path / "scratch", rehearsals, at_once=2)
    assert {config.train.updates for config in rehearsals.asked} == {UPDATES}
    one_run = DATA_S + UPDATE_S * 500 + REST_S  # it evaluates once, as a rehearsal does
    assert found.runs == 2 * 2 * 4
    assert found.least == pytest.approx(2 * 2 * 2 * one_run / 2)
    assert found.most == pytest.approx(2 * 2 * 4 * one_run / 2)


def test_what_is_finished_costs_nothing_and_who_has_fallen_is_not_counted(plan: Plan) -> None:
    made: dict[str, Outcome] = {}

    def run_all(runs: Sequence[RunConfig]) -> list[Outcome]:
        for config in runs:
            length = config.env.options["memory_length"]
            passes = config.backbone.name == "lstm" and length <= 40
            if config.backbone.name == "lstm" and length > 20:
                return [Outcome(run_id(config), "interrupted", 130, None) for config in runs]
            made[run_id(config)] = outcome(config, 1.0 if passes else 0.5)
        return [made[run_id(config)] for config in runs]

    climb(plan, run_all, lambda text: None)
    climbing, done = open_contestants(plan, lambda config: made.get(run_id(config)))
    assert [(one.name, one.rung) for one in climbing] == [("lstm", 2)]  # rnn failed two rungs running
    assert done == len(made) == 8
    whole = {run_id(c): outcome(c, 1.0) for r in range(len(plan.rungs)) for c in plan.runs_at(r, plan.contestants)}
    assert open_contestants(plan, lambda config: whole.get(run_id(config))) == ([], 16)


def test_a_rehearsal_that_did_not_end_well_tells_nothing(tmp_path: Path, plan: Plan) -> None:
    def broken(runs: Sequence[RunConfig]) -> list[Outcome]:
        return [Outcome(run_id(config), "failed", 1, {}) for config in runs]

    found = forecast(plan, tmp_path / "results", tmp_path / "scratch", broken, at_once=2)
    assert (found.least, found.most, found.runs) == (None, None, 16)
    assert "not known" in told(found, 2)


def test_who_interrupts_a_rehearsal_wants_nothing_to_begin(tmp_path: Path, plan: Plan) -> None:
    def stopped(runs: Sequence[RunConfig]) -> list[Outcome]:
        return [Outcome(run_id(config), "interrupted", 130, None) for config in runs]

    assert forecast(plan, tmp_path / "results", tmp_path / "scratch", stopped, at_once=2).stopped


@given(known=st.dictionaries(st.integers(0, 9), st.floats(0.01, 1e4), min_size=1))
@settings(max_examples=100, deadline=None)
def test_rungs_between_two_rehearsed_ones_lie_between_them(known: dict[int, float]) -> None:
    found = _along(known, 10)
    assert len(found) == 10
    for rung, cost in known.items():
        assert found[rung] == pytest.approx(cost)
    for rung, cost in enumerate(found):
        near = [known[p] for p in (max((p for p in known if p <= rung), default=None),
                                   min((p for p in known if p >= rung), default=None)) if p is not None]  # fmt: skip
        assert min(near) * 0.999 <= cost <= max(near) * 1.001


def test_durations_are_rounded_up_in_the_unit_that_one_would_use() -> None:
    assert [duration(s) for s in (0.2, 61, 95, 3600, 5400, 11_400)] == [
        "1 s", "61 s", "2 min", "60 min", "1 h 30 min", "3 h 10 min",
    ]  # fmt: skip
    assert told(Forecast(12, 268, 1_500, 11_400), 2) == (
        "12 runs are done; up to 268 runs to come, 2 at once: about 25 min if nobody passes another rung, 3 h 10 min if all do"
    )
