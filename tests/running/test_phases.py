"""A stop is heard in every phase, at its next step, and the run ends later as one that was left alone."""

from __future__ import annotations

import signal
from pathlib import Path

import gymnasium as gym
import pytest

from dsbench import stopping
from dsbench.config import resolve
from dsbench.envs.vector import LoopedEpisodes
from dsbench.running import probe
from dsbench.stopping import Interrupted
from tests.running.inline import Inline, tiny
from tests.running.storms import ending

SWEEP = "eval.target_sweep=[0,0.5,1]"


@pytest.fixture
def inline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inline:
    return Inline(tmp_path, monkeypatch)


class StopAt:
    """Stops at the `number`-th report of a phase (whose message begins as given), and counts the reports after that."""

    def __init__(self, inline: Inline, phase: str, number: int, message: str = "") -> None:
        self.inline, self.phase, self.number, self.message, self.after = inline, phase, number, message, 0
        self.stopped = False

    def __call__(self, phase: str, done: int, total: int, message: str = "") -> None:
        self.after += self.stopped
        if phase == self.phase and message.startswith(self.message):
            self.number -= 1
            if self.number == 0:
                self.stopped = True
                self.inline.stop(signal.SIGUSR1)


@pytest.mark.parametrize(
    ("phase", "number", "message"),
    [
        *[("data", number, "") for number in (1, 2, 4)],
        *[("train", number, "loss") for number in (1, 3, 4, 12)],  # 4 and 12 are evaluated, 3 and 12 checkpointed
        *[("train", number, "evaluating") for number in (1, 2, 3, 7, 13)],
        *[("evaluate", number, "") for number in (1, 2, 5, 18, 25)],
        ("measure", 1, ""),
    ],
)
def test_a_stop_is_heard_at_the_next_step(inline: Inline, phase: str, number: int, message: str) -> None:
    config = tiny(SWEEP, "measure.steps=200")
    assert inline.run(config, "whole") == 0
    if phase == "data":
        for path in (inline.tmp / "data").rglob("*.json"):
            path.unlink()  # made anew
    stop = StopAt(inline, phase, number, message)
    assert inline.run(config, hook=stop) == 128 + signal.SIGUSR1
    assert (stop.stopped, stop.after) == (True, 0)
    folder = inline.folder(config)
    assert folder.status() == "interrupted"
    assert str((folder.result(1) or {})["reason"]).startswith("stopped by SIGUSR1; the same command continues")
    updates = folder.checkpoints.updates()
    if message == "evaluating":  # no update is lost
        assert updates[-1] % 4 == 0
    assert inline.run(config) == 0
    assert ending(folder) == ending(inline.folder(config, "whole"))


def test_a_stop_while_an_evaluation_is_due_is_kept_as_often_as_it_comes(inline: Inline) -> None:
    config = tiny()
    assert inline.run(config, "whole") == 0
    for _ in range(3):
        assert inline.run(config, hook=StopAt(inline, "train", 1, "evaluating")) == 128 + signal.SIGUSR1
        latest = inline.folder(config).checkpoints.latest()
        assert latest is not None
        assert (latest.update, latest.meta["progress"]["evaluation_due"]) == (4, True)
    assert inline.run(config) == 0
    assert ending(inline.folder(config)) == ending(inline.folder(config, "whole"))


@pytest.mark.parametrize("number", [1, 2])
def test_a_scripted_policy_stops(inline: Inline, number: int) -> None:
    config = tiny(policy="random")
    stop = StopAt(inline, "evaluate", number)
    assert inline.run(config, hook=stop) == 128 + signal.SIGUSR1
    assert stop.after <= 1
    assert inline.run(config) == 0


@pytest.mark.parametrize("number", [1, 3, 40])
def test_a_probe_stops_while_it_makes_what_it_is_scored_on(
    inline: Inline, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(probe, "HELD_OUT", 1_500)
    config = resolve(
        backbone="mlp", env="key-to-door", preset="smoke",
        overrides=["train.objective=probe", "wrapper.condition=none", "train.updates=6", "device=cpu"],
    )  # fmt: skip
    stop = StopAt(inline, "evaluate", number)
    assert inline.run(config, hook=stop) == 128 + signal.SIGUSR1
    assert stop.after == 0
    assert inline.run(config) == 0


def test_data_that_are_made_in_part_are_never_taken_for_whole(inline: Inline) -> None:
    config = tiny()
    for number in (1, 2, 3):
        assert inline.run(config, hook=StopAt(inline, "data", number)) == 128 + signal.SIGUSR1
        assert [path for path in (inline.tmp / "data").rglob("*") if path.is_file() and path.suffix != ".lock"] == []


def test_hundreds_of_environments_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0

    def make() -> gym.Env:  # type: ignore[type-arg]
        nonlocal made
        made += 1
        if made == 3:
            monkeypatch.setattr(stopping, "_asked", signal.SIGTERM)
        return gym.make("CartPole-v1")

    with pytest.raises(Interrupted):
        LoopedEpisodes(make, range(1000))
    assert made == 3


def test_no_except_clause_for_errors_swallows_a_stop() -> None:
    assert not issubclass(Interrupted, Exception)
