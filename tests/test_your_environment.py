"""docs/your-environment.md: its file is a task, its commands run in the order of the page, its tables name what there is."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from dsbench.envs.judging import CHECKS

PAGE = (Path(__file__).parents[1] / "docs" / "your-environment.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
SMOKE = {
    "check": [],
    "run": ["--preset", "smoke"],
    "ladder": ["--preset", "smoke", "--to", "50", "--seeds", "1", "--control", ""],
    "report": [],
}


def test_every_check_is_in_the_table_in_its_order() -> None:
    assert re.findall(r"^\| `(\w+)` \|", PAGE.partition("## Is it sound?")[2], re.MULTILINE) == [
        one.name for one in CHECKS
    ]


def test_the_task_is_about_ten_lines() -> None:
    (program,) = (text for kind, text in BLOCKS if kind == "python")
    assert len([line for line in program.splitlines() if line.strip() and not line.startswith("#")]) <= 10


@pytest.mark.timeout(600)
def test_every_command_runs_in_the_order_of_the_page(tmp_path: Path) -> None:
    for kind, text in BLOCKS:
        if kind in ("python", "yaml"):
            (tmp_path / text.partition("\n")[0].removeprefix("# ")).write_text(text)
    environment = os.environ | {"DSBENCH_DATA": str(tmp_path / "data"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    for line in (line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()):
        program, command, *arguments = shlex.split(line)
        assert program == "dsbench"
        asked = [sys.executable, "-m", "dsbench", command, *arguments, *SMOKE[command]]
        done = subprocess.run(asked, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    assert (tmp_path / "report" / "report.html").exists()
    assert list((tmp_path / "results" / "ladders").rglob("ladder.html"))
