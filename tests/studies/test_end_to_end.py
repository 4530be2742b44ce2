"""Studies as commands: the smoke size of each runs to its page, and the same command again runs nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dsbench.studies.study_file import shipped

IN_EVERY_RUN = ("context-limit",)  # it has both a table and a figure; the others are slow only together


def study(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DSBENCH_DATA": str(folder / "data"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "dsbench", "study", *arguments, "--results", str(folder / "results")]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)


def check(name: str, folder: Path) -> None:
    first = study(name, "--size", "smoke", folder=folder)
    assert first.returncode == 0, first.stderr
    page = folder / "results" / "studies" / f"{name}-smoke"
    assert f"Saved   {page / 'study.html'}" in first.stdout
    before = {path.name: path.read_bytes() for path in page.rglob("*") if path.is_file()}
    began = time.monotonic()
    again = study(name, "--size", "smoke", folder=folder)
    assert again.returncode == 0 and time.monotonic() - began < 30
    assert before == {path.name: path.read_bytes() for path in page.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", IN_EVERY_RUN)
def test_the_smoke_size_runs_to_its_page_once(name: str, tmp_path: Path) -> None:
    check(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(shipped()) - set(IN_EVERY_RUN)))
def test_the_smoke_size_of_the_others_too(name: str, tmp_path: Path) -> None:
    check(name, tmp_path)


def test_own_files_and_mistakes(tmp_path: Path) -> None:
    wrong = study("umbrela-length", folder=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "Did you mean 'umbrella-length'?" in wrong.stderr
    (tmp_path / "mine.yaml").write_text("format: 1\ntitel: x\n")
    wrong = study("mine.yaml", folder=tmp_path)
    assert wrong.returncode == 2 and "mine.yaml:2: unknown setting 'titel'. Did you mean 'title'?" in wrong.stderr
    assert not (tmp_path / "results").exists()
