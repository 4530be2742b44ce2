"""A real climb from command to page: the same again changes nothing, an interrupted one ends where it would have."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dsbench.cli import main

SMALL = ("--preset", "smoke", "--to", "20", "--backbone", "rnn", "--control", "mlp")
COSTS = ("training", "latency", "state", "whole climb")  # columns of the table of reach that are measured


def climb(results: Path, *more: str) -> int:
    return main(["ladder", "memory-span", *SMALL, "--results", str(results), *more])


def tables(results: Path) -> dict[str, list[list[str]]]:
    """Scores and reaches of the page, without measured times and memory."""
    folder = results / "ladders" / "memory-span" / "tables"
    found = {path.name: list(csv.reader(path.read_text().splitlines())) for path in sorted(folder.glob("*.csv"))}
    return {name: [row for row in rows if not row[3].startswith(COSTS)] for name, rows in found.items()}


def test_a_climb_leaves_a_page_and_the_same_command_again_makes_the_same_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert climb(tmp_path, "--seeds", "1") == 0
    said = capsys.readouterr().out
    assert "up to 4 runs to come" in said
    assert "Rung 2 of 2, 20" in said
    folder = tmp_path / "ladders" / "memory-span"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {"ladder.html", "ladder.md", "ladder-memory-span.csv", "ladder-memory-span.svg"} <= {p.name for p in before}
    assert climb(tmp_path, "--seeds", "1") == 0
    assert "4 runs are done; nothing is left to climb" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "report")]) == 0
    assert "Ladder: memory span" in (tmp_path / "report" / "report.md").read_text()


@pytest.mark.slow
def test_an_interrupted_climb_ends_with_the_scores_of_one_that_was_not(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert climb(whole, "--seeds", "3") == 0
    command = [
        sys.executable,
        "-m",
        "dsbench",
        "ladder",
        "memory-span",
        *SMALL,
        "--seeds",
        "3",
        "--results",
        str(broken),
    ]
    first = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=dict(os.environ)
    )
    deadline = time.monotonic() + 300
    while not list(broken.glob("runs/*/result-*.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    first.send_signal(signal.SIGINT)
    assert first.wait(120) == 128 + signal.SIGINT
    assert len(list(broken.glob("runs/*/result-*.json"))) < len(list(whole.glob("runs/*/result-*.json")))
    assert climb(broken, "--seeds", "3") == 0
    assert tables(broken) == tables(whole)


def test_a_single_rung_and_unknown_names_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, expected in (
        (["memory-span", "--to", "10"], "a single rung"),
        (["memory-spam"], "memory-span"),
        ([], "--all"),
        (["memory-span", "--all"], "--all"),
        (["memory-span", "--control", "random"], "scripted"),
        (["memory-span", "--backbone", "gtp"], "gpt"),
        (["memory-span", "--seeds", "none"], "--seeds"),
        (["--all", "--to", "20"], "--to"),
        (["small-model", "--match", "params=100k"], "--match"),
    ):
        assert main(["ladder", *arguments, "--results", str(tmp_path)]) == 2
        said = capsys.readouterr().err
        assert expected in said
        assert len(said.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
