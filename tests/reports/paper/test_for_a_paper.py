"""The page for authors: each of its commands runs as it is printed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from dsbench.cli import main
from tests.reports.synthetic import seeds

PAGE = Path(__file__).parents[3] / "docs" / "for-a-paper.md"


def test_the_commands_run_and_write_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    block = re.search(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert block is not None
    sweep, *commands = block[1].splitlines()
    words = shlex.split(sweep)
    backbones, envs = (words[words.index(option) + 1].split(",") for option in ("--backbone", "--env"))
    for env in envs:  # what the first command takes minutes for
        for place, backbone in enumerate(backbones):
            seeds(Path("results"), backbone, env, [0.5 + 0.1 * place + 0.01 * seed for seed in range(5)])
    for command in commands:
        assert main(shlex.split(command.partition(" > ")[0])[1:]) == 0, command
    written = [Path(words[words.index("--out") + 1]) for words in map(shlex.split, commands) if "--out" in words]
    assert len(written) == 5 and all(path.exists() for path in written)
    labels = re.findall(r"tab:dsbench-\w+", PAGE.read_text())
    assert all(rf"\label{{{label}}}" in Path("scores.tex").read_text() for label in labels)
    pictures = re.findall(r"includegraphics\{(.*?)\}", PAGE.read_text())
    assert pictures and all(Path(f"{picture}.pdf").exists() for picture in pictures)
