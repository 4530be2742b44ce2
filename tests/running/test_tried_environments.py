"""From the command to the result: a faulty environment ends in one sentence before anything is written, or as `failed`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dsbench.cli import main
from dsbench.config import resolve, run_id
from dsbench.errors import UsageError
from dsbench.records.run_folder import RunFolder
from dsbench.running.experiment import Experiment
from dsbench.running.worker import ProgressPipe, work

OWN = f"{Path(__file__).with_name('own_task.py')}:steps"
RESULTS = Path("results")
TINY = (
    "train.updates=2", "train.warmup=0", "train.batch_size=2", "train.eval_every=2", "data.episodes=70",
    "eval.episodes=3", "eval.selection_episodes=2", "measure.warmup=1", "measure.steps=2",
)  # fmt: skip


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


def run(fault: str, **arguments: Any) -> tuple[int, dict[str, Any] | None]:
    """Exit code and final row of a tiny run."""
    given = {"backbone": "mlp"} | arguments
    config = resolve(preset="smoke", env=OWN, overrides=[*TINY, f"env.fault={fault}"], device="cpu", **given)
    code = work(config, RESULTS, False, ProgressPipe(None))
    return code, RunFolder.open(RESULTS, run_id(config)).latest_result()


def test_a_sound_one_runs() -> None:
    code, row = run("none")
    assert code == 0 and row is not None and row["status"] == "ok"


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("unseeded", "steps-v0, tried at random: two episodes of seed [0-9]+ differ"),
        ("one object", "steps-v0 made the same environment twice"),
        ("old step", "step gave a tuple of 4"),
        ("outside", r"steps-v0 returned observations outside Discrete\(2\), such as \[2\], when reset"),
        ("no return", "without 'return'"),
    ],
)
@pytest.mark.parametrize("arguments", [{}, {"policy": "random", "backbone": None}])
def test_a_faulty_one_is_refused_before_anything_is_written(fault: str, says: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=says):
        run(fault, **arguments)
    assert not RESULTS.exists()


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("outside later", "steps-v0 returned observations outside Discrete"),
        ("score later", "gave 'return' of nan for episode 0"),
    ],
)
def test_a_fault_that_shows_later_ends_the_run_as_failed(fault: str, says: str) -> None:
    code, row = run(fault)
    assert code == 1 and row is not None and row["status"] == "failed"
    assert says in row["reason"]


def test_what_is_odd_and_no_fault_is_said_on_the_row() -> None:
    code, row = run("beyond")
    assert code == 0 and row is not None
    assert "outside the bounds of the space" in row["env_note"]
    assert run("none")[1]["env_note"] is None  # type: ignore[index]


def test_what_is_odd_is_said_of_a_scripted_run_and_of_a_failed_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    code, row = run("beyond", policy="random", backbone=None)
    assert code == 0 and row is not None and "outside the bounds of the space" in row["env_note"]

    def breaks(*_: object) -> None:
        raise ArithmeticError("as a backbone of a user's may")

    monkeypatch.setattr(Experiment, "_evaluate", breaks)
    code, row = run("beyond")
    assert code == 1 and row is not None and row["status"] == "failed"
    assert "outside the bounds of the space" in row["env_note"] and "scaling_note" in row


@pytest.mark.slow
def test_the_command_says_it_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    settings = [part for one in (*TINY, "env.fault=unseeded") for part in ("--set", one)]
    assert main(["run", "--backbone", "mlp", "--env", OWN, "--preset", "smoke", *settings]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Error")]
    assert "two episodes of seed" in line
    assert not RESULTS.exists()
