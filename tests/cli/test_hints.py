"""Who gives one command the options of another is told the command that was meant, and it is one."""

from __future__ import annotations

import shlex

import pytest

from dsbench.cli import main
from dsbench.running.sweep import expand


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("run --backbone gpt,s4 --env umbrella --seed 3", "sweep --backbone gpt,s4 --env umbrella --seeds 3,"),
        ("run --backbone gpt --env umbrella,recall --set train.lr=1e-3 --results 'a b'",
         "sweep --backbone gpt --env umbrella,recall --set train.lr=1e-3 --results 'a b'"),
        ("run --backbone gpt --env umbrella --seeds 3", "sweep --backbone gpt --env umbrella --seeds 3"),
        ("run --backbone gpt --env umbrella --seeds=3", "sweep --backbone gpt --env umbrella --seeds 3"),
        ("run --backbone gpt --env umbrella --control mlp", "sweep --backbone gpt --env umbrella --control mlp"),
        ("sweep --backbone gpt --env umbrella --seed 3", "sweep --backbone gpt --env umbrella --seeds 3,"),
        ("report --results here", "report here"),
    ],
)  # fmt: skip
def test_the_command_that_was_meant_is_printed_whole(
    given: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(shlex.split(given)) == 2
    said = capsys.readouterr().err
    assert said.rstrip().endswith(f"dsbench {meant}") and said.count("\n") == 1


def test_one_seed_stays_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--backbone", "gpt,s4", "--env", "umbrella", "--seed", "3"]) == 2
    words = shlex.split(capsys.readouterr().err.rpartition("dsbench sweep ")[2])
    given = dict(zip(words[::2], words[1::2], strict=True))
    runs = expand(given["--backbone"], given["--env"], given["--seeds"])
    assert [(run.backbone.name, run.seed) for run in runs] == [("gpt", 3), ("s4", 3)]


@pytest.mark.parametrize("command", [[], ["data"], ["results"], ["list"]])
def test_a_bare_group_prints_its_help_and_nothing_is_wrong(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) == 0
    shown = capsys.readouterr()
    assert shown.err == "" and " ".join(["Usage: dsbench", *command]) in shown.out and "-h, --help" in shown.out
