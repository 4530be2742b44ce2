"""``dsbench check --env`` and tasks of a user's own file on the command line: outcomes, exit codes, mistakes in a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dsbench.cli import main
from dsbench.records.run_folder import RunFolder

OWN = """
import gymnasium as gym
import numpy as np
from dsbench.envs import EnvSpec


class Corridor(gym.Env):
    observation_space = gym.spaces.Box(0, 1, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, size, kind):
        if size < 2:
            raise ValueError("a corridor of one place")
        self.size, self.kind = size, kind

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = 0
        return self.seen(), {}

    def step(self, action):
        self.at = max(0, self.at + 2 * int(action) - 1)
        return self.seen(), float(self.at == self.size), self.at == self.size, False, {}

    def seen(self):
        return np.array([self.at / self.size], self.kind)


def task(size=3, kind="float32"):
    ahead = lambda seen: np.ones(len(seen), int)
    return EnvSpec.from_gym(
        Corridor, horizon=30, success=1.0, options={"size": size, "kind": kind}, expert=ahead
    )


def bare():
    return EnvSpec.from_gym(lambda: Corridor(3, "float32"), horizon=30)


def broken():
    return undefined
"""


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)


def test_a_sound_environment_passes_every_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--env", "own.py:task"]) == 0
    assert capsys.readouterr().out.endswith("own.py:task: all 14 checks passed\n")


def test_a_faulty_one_is_told_in_a_sentence_and_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["check", "--env", "own.py:task", "--set", "kind=float64"]
    assert main(asked) == 1
    assert "corridor at" not in (shown := capsys.readouterr().out.splitlines()[-1])
    assert shown == "own.py:task: 1 of 14 checks failed"
    assert main([*asked, "--json", "--only", "types_of_observations"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["env"], told["ok"]) == ("own.py:task", False)
    failed = [one["detail"] for one in told["checks"] if one["status"] == "failed"]
    assert failed == [
        "env corridor when reset: its observations are float64 and their space says float32; return "
        "numpy.asarray(observation, numpy.float32), or declare the space with dtype=numpy.float64"
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("own.py:taks", "has no 'taks'. Did you mean 'task'?"),
        ("own.py:Corridor", "asked for its EnvSpec: .*missing 2 required"),
        (
            "own.py:broken",
            r"raised NameError when asked for its EnvSpec: name 'undefined' is not defined \(.*own.py, line 4\d\)",
        ),
        ("own.py:task --set size=1", r"raised ValueError when made: a corridor of one place \(.*own.py, line 13\)"),
        ("own.py:task --set sise=1", "no option 'sise'. Did you mean 'size'"),
        ("gym:Acrobt-v1", "Did you mean 'gym:Acrobot-v1'"),
        ("umbrela", "Did you mean 'umbrella'"),
        ("umbrella --only nothing", "no check is called 'nothing'"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--env", *arguments.split()]) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Error")]
    assert len(error) == 1
    with pytest.raises(ValueError, match=says):
        raise ValueError(error[0])


def test_a_file_that_raises_is_told_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "raises.py").write_text("x = 1\nraise KeyError('no map')\n")
    assert main(["check", "--env", "raises.py:task"]) == 2
    assert "raises.py cannot be imported: KeyError: 'no map'\n" in (error := capsys.readouterr().err)
    assert "raises.py, line 2, in <module>\n    raise KeyError('no map')" in error


def test_a_backbone_or_an_environment_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == main(["check", "mlp", "--env", "umbrella"]) == 2
    assert "expected a backbone, such as dsbench check s4" in capsys.readouterr().err


TINY = ("train.updates=2", "train.warmup=0", "train.batch_size=2", "data.episodes=20", "eval.episodes=3",
        "eval.selection_episodes=2", "measure.warmup=1", "measure.steps=2")  # fmt: skip


@pytest.mark.parametrize(
    ("env", "more", "zero", "hundred"),
    [
        ("own.py:task", ["--data", "mixed"], True, 1.0),
        ("own.py:bare", [], True, None),
        ("gym:CartPole-v1", ["--set", "env.horizon=9", "--set", "env.success=9"], 8.9, None),
        ("gym:Pendulum-v1", ["--set", "env.horizon=4", "--set", "env.best=0"], True, 0.0),
    ],
)
def test_a_run_has_its_references_measured(
    env: str, more: list[str], zero: bool | float, hundred: float | None, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [word for text in TINY for word in ("--set", text)]
    assert main(["run", "--backbone", "mlp", "--env", env, "--preset", "smoke", *settings, *more]) == 0
    told = capsys.readouterr().out
    assert ("no best return is known" in told) == (hundred is None)
    (folder,) = Path("results/runs").iterdir()
    row = RunFolder(folder).latest_result()
    assert row is not None and (row["score_normalised"] is None) == (hundred is None)
    if zero is not True:
        assert row["reference_random"] == pytest.approx(zero, abs=0.2)
    assert row["reference_optimal"] == hundred
    assert main(["report", "results", "--out", "report"]) == 0


def test_a_recipe_that_needs_an_expert_says_how_to_give_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--backbone", "mlp", "--env", "own.py:bare", "--preset", "smoke", "--data", "expert"]) == 2
    assert "no data recipe 'expert', only random: " in (error := capsys.readouterr().err)
    assert "EnvSpec.from_gym(..., expert=policy)" in error
    assert not Path("results").exists() or not any(Path("results").rglob("result-*.json"))


def test_the_family_stands_in_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "envs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[-1]["name"] == "gym:<id>"
