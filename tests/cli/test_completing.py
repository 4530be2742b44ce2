"""After a tab the shell is offered names that begin as typed, as the shell itself would ask for them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def offered(typed: str, cwd: Path) -> set[str]:
    """What bash is given for a line whose last word is to be completed."""
    words = f"dsbench {typed}"
    asked = {"_DSBENCH_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    done = subprocess.run(
        [sys.executable, "-m", "dsbench"],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=60,
    )
    assert done.stderr == ""
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("lad", {"ladder"}),
        ("run --backbone mamb", {"mamba", "mamba2"}),
        ("run --backbone my", {"my_net.py"}),
        ("sweep --backbone gpt,lst", {"gpt,lstm"}),
        ("run --env umb", {"umbrella"}),
        ("run --env key-to-door --data ex", {"expert"}),
        ("run --preset decision-m", {"decision-mamba"}),
        ("run --set train.lr", {"train.lr="}),
        ("sweep --control top", {"top10-bc"}),
        ("ladder memory-s", {"memory-span"}),
        ("study token", {"token-layout"}),
        ("list sett", {"settings"}),
        ("watch las", {"last"}),
        ("watch s4-umb", {"s4-umbrella-s0-0123456789"}),
        ("results compare s4", {"s4-umbrella-s0-0123456789"}),
    ],
)
def test_names_that_begin_so_are_offered(typed: str, found: set[str], tmp_path: Path) -> None:
    (tmp_path / "my_net.py").write_text("")
    run = tmp_path / "results" / "runs" / "s4-umbrella-s0-0123456789"
    run.mkdir(parents=True)
    (run / "claim.lock").write_text("")
    assert offered(typed, tmp_path) == found


def test_every_shell_is_given_a_script(tmp_path: Path) -> None:
    for shell in ("bash", "zsh", "fish"):
        asked = {"_DSBENCH_COMPLETE": f"source_{shell}"}
        done = subprocess.run(
            [sys.executable, "-m", "dsbench"], env={**os.environ, **asked}, capture_output=True, text=True, timeout=60
        )
        assert "_DSBENCH_COMPLETE" in done.stdout and done.returncode == 0
