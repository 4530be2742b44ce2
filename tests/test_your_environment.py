"""docs/your-environment.md: its task is short, its tables name what there is."""

from __future__ import annotations

import re
from pathlib import Path

from dsbench.envs.judging import CHECKS

PAGE = (Path(__file__).parents[1] / "docs" / "your-environment.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)


def test_every_check_is_in_the_table_in_its_order() -> None:
    assert re.findall(r"^\| `(\w+)` \|", PAGE.partition("## Is it sound?")[2], re.MULTILINE) == [
        one.name for one in CHECKS
    ]


def test_the_task_is_about_ten_lines() -> None:
    (program,) = (text for kind, text in BLOCKS if kind == "python")
    assert len([line for line in program.splitlines() if line.strip() and not line.startswith("#")]) <= 10
