"""A report as files: the same bytes twice and in any order of the runs, links that lead somewhere, tables that are tidy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dsbench.cli import main
from dsbench.reports.content.build import build
from dsbench.reports.write import write
from tests.reports.synthetic import make_run, seeds


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_two_reports_are_the_same_bytes_and_the_order_of_the_runs_is_none_of_their_business(tmp_path: Path) -> None:
    results = tmp_path / "results"
    for env in ("umbrella", "cartpole"):
        for name in ("s4", "gpt"):
            seeds(results, name, env, [0.9, 0.7, 0.8])
    first = build(results, {})
    write(first.report, first.groups, tmp_path / "first")
    aside = results.rename(tmp_path / "aside")
    for path in sorted((aside / "runs").iterdir(), reverse=True):
        shutil.copytree(path, results / "runs" / path.name)
    again = build(results, {})
    write(again.report, list(reversed(again.groups)), tmp_path / "again")
    assert files(tmp_path / "first") == files(tmp_path / "again")


def test_markdown_links_every_figure_and_closes_every_row(tmp_path: Path) -> None:
    for name in ("s4", "gpt"):
        seeds(tmp_path, name, "umbrella", [0.9, 0.8])
    make_run(tmp_path, "s4", "umbrella", 5, status="failed", result={"reason": "a | b <script> `c` *d*\n# e"})
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "report.md").read_text()
    links = re.findall(r"\]\((figures/[^)]+)\)", text)
    assert links and all((tmp_path / "out" / link).stat().st_size for link in links)
    assert {path.suffix for path in (tmp_path / "out" / "figures").iterdir()} == {".svg", ".png"}
    widths = [len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("| ")]
    heads = [index for index, line in enumerate(text.splitlines()) if line.startswith("| :--")]
    assert heads and min(widths) > 2
    assert "a \\| b &lt;script" in text
    assert "<script" in (tmp_path / "out" / "report.html").read_text()  # the page's own


@pytest.mark.usefixtures("undrawn")
def test_csv_files_are_tidy(tmp_path: Path) -> None:
    seeds(tmp_path, "s4", "umbrella", [0.9, 0.8])
    make_run(tmp_path, "s4", "umbrella", 2, status="failed")
    main(["report", str(tmp_path), "--out", str(tmp_path / "out")])
    tidy = pd.read_csv(tmp_path / "out" / "tables" / "umbrella.csv").set_index("column")
    assert tidy.loc["return ↑", "value"] == pytest.approx(np.mean([0.9, 0.8, 0.8]))
    assert tidy.loc["return ↑", "n"] == 3
    runs = pd.read_csv(tmp_path / "out" / "tables" / "runs.csv")
    assert runs[runs["metric"].eq("score")]["value"].tolist() == [0.9, 0.8]
    assert runs[runs["status"].eq("failed")]["value"].isna().all()


def test_it_reads_a_folder_that_it_may_not_write_and_needs_no_torch(tmp_path: Path) -> None:
    results = tmp_path / "results"
    seeds(results, "s4", "umbrella", [0.9, 0.8])
    before = {name: os.stat(results / name).st_mtime_ns for name in files(results)}
    for path in [results, *results.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    code = (
        "import sys; from dsbench.cli import main;"
        f"code = main(['report', {str(results)!r}, '--out', {str(tmp_path / 'out')!r}]);"
        f"code += main(['cite', {str(results)!r}]);"
        "print(code, [name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    for path in [results, *results.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert shown.stdout.splitlines()[-1] == "0 []", shown.stderr
    assert {name: os.stat(results / name).st_mtime_ns for name in files(results)} == before


@pytest.mark.usefixtures("undrawn")
def test_a_file_keeps_the_single_table_and_another_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seeds(tmp_path, "s4", "umbrella", [0.9, 0.8])
    assert main(["report", str(tmp_path), "--wide", "--out", str(tmp_path / "table.md")]) == 0
    assert (tmp_path / "table.md").read_text().startswith("| backbone |")
    (tmp_path / "taken").write_text("mine")
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "taken")]) == 2
    assert "taken is a file; expected a folder" in capsys.readouterr().err
    assert (tmp_path / "taken").read_text() == "mine"
