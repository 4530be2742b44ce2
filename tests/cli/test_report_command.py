"""``dsbench report``: what is made by which options, what they refuse, and that the terminal's tables fit it."""

from __future__ import annotations

import csv
import io
import shlex
from pathlib import Path

import pytest

from dsbench.cli import main
from dsbench.cli.summary import run_table
from dsbench.config import resolve
from tests.reports.synthetic import make_run, seeds

LONG = "a-backbone-with-a-name-that-is-far-too-long-for-any-table-of-a-hundred-columns"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    place = tmp_path / "results"
    for env in ("umbrella", "door-key"):
        for name, score in (("gpt", 0.9), ("s4", 0.8), ("lstm", 0.3)):
            seeds(place, name, env, [score + 0.01 * seed for seed in range(5)])
    return place


def said(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> str:
    assert main(["report", *map(str, arguments)]) == code
    shown = capsys.readouterr()
    return shown.out if code == 0 else shown.err


@pytest.mark.parametrize("options", ["", "--table tasks", "--table costs", "--table paired"])
def test_the_terminal_s_tables_fit_a_hundred_columns(
    results: Path, capsys: pytest.CaptureFixture[str], options: str
) -> None:
    for env in [f"task-{place}" for place in range(9)]:
        seeds(results, LONG, env, [0.1, 0.2, 0.3])
        seeds(results, "gpt", env, [0.5, 0.2, 0.3])
    told = said(capsys, results, *options.split())
    shown = [line for line in told.splitlines() if not line.startswith(("All ", "Page "))]
    assert max(map(len, shown)) <= 100
    assert "umbrella" in told


def test_the_terminal_shows_scores_costs_what_is_lost_and_the_way_on(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(results, "gpt", "umbrella", 7, status="failed")
    make_run(results, "gpt", "umbrella", 8, status="interrupted")
    told = said(capsys, results)
    assert "● 0.920 ±" in told and "latency p50 µs ↓" in told
    assert "Without a result: 1 failed, 1 interrupted." in told
    *_, all_, page = told.splitlines()
    assert shlex.split(all_)[1:] == ["dsbench", "report", str(results), "--wide"]
    assert shlex.split(page)[1:] == ["dsbench", "report", str(results), "--out", "report"]
    wide = said(capsys, results, "--wide")
    assert wide.startswith("| backbone | env |") and "Runs without a result:" in wide and "process peak MiB" in wide


def test_smoke_is_said_before_everything_else(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "mean nothing" not in said(capsys, results)
    seeds(results, "rnn", "umbrella", [0.5], settings={"preset": "smoke"})
    warned = "smoke: scores mean nothing in 1 of 31 runs."
    assert said(capsys, results).startswith(warned)
    assert warned in said(capsys, results, "--wide")
    assert warned in said(capsys, results, "--format", "latex")
    assert warned in said(capsys, results, "--table", "costs", "--format", "markdown")


@pytest.mark.parametrize("table", ["tasks", "costs", "paired"])
@pytest.mark.parametrize(("suffix", "format_"), [(".tex", "latex"), (".md", "markdown"), (".csv", "csv")])
def test_the_suffix_says_the_format_and_both_are_the_same(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str, format_: str, table: str
) -> None:
    files = [tmp_path / f"by-suffix{suffix}", tmp_path / "by-format", tmp_path / f"both{suffix}"]
    said(capsys, results, "--table", table, "--out", files[0])
    said(capsys, results, "--table", table, "--out", files[1], "--format", format_)
    said(capsys, results, "--table", table, "--out", files[2], "--format", format_)
    told = {path.read_bytes() for path in files}
    assert len(told) == 1
    text = told.pop().decode()
    assert "\r\n".join(said(capsys, results, "--table", table, "--format", format_).splitlines()) == "\r\n".join(
        text.splitlines()
    )
    begins = {
        ".tex": "% Made by dsbench report. Needs",
        ".md": "### ",
        ".csv": "pair" if table == "paired" else "backbone",
    }
    assert text.startswith(begins[suffix])


def test_csv_holds_the_interval_and_the_mark(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = list(csv.DictReader(io.StringIO(said(capsys, results, "--format", "csv"))))
    assert len(lines) == 6
    best = {(line["backbone"], line["column"]) for line in lines if line["best"]}
    assert ("gpt", "umbrella") in best and ("lstm", "umbrella") not in best
    assert all(float(line["low"]) < float(line["value"]) < float(line["high"]) and line["n"] == "5" for line in lines)


def test_a_page_alone_a_folder_and_figures_are_written_where_they_are_asked_for(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, results, "--out", tmp_path / "page.html")
    said(capsys, results, "--format", "html", "--out", tmp_path / "whole")
    assert (tmp_path / "page.html").read_text() == (tmp_path / "whole" / "report.html").read_text()
    said(capsys, results, "--out", tmp_path / "figures.pdf")
    said(capsys, results, "--format", "pdf-figures", "--out", tmp_path / "figures")
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"latency-umbrella.pdf", "latency-umbrella.svg"} <= names
    assert {path.suffix for path in (tmp_path / "figures").iterdir()} == {".pdf", ".svg"}
    assert (tmp_path / "figures.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--format latex --out t.md", "--format latex and --out t.md do not agree; expected a name in .tex"),
        ("--format tex", "--format is 'tex'; expected html, latex, markdown, csv or pdf-figures"),
        ("--format html", "--format html does not fit a terminal; expected --out DIR, or --out FILE.html"),
        ("--format pdf-figures", "does not fit a terminal; expected --out DIR, or --out FILE.pdf"),
        (
            "--table tasks --out folder",
            "--table tasks and the format html do not go together; expected terminal, latex",
        ),
        ("--table costs --out f.pdf", "--table costs and the format pdf-figures do not go together"),
        ("--table task", "Did you mean 'tasks'?"),
        ("--table ladders", "no ladder was climbed in"),
        ("--wide --table tasks", "--wide and --table do not go together; expected one of them"),
        ("--json --wide", "--json and --wide do not go together"),
        ("--wide --out t.tex", "--wide and the format latex do not go together"),
        ("--json --format csv", "--json and the format csv do not go together"),
    ],
)
def test_options_that_do_not_go_together_are_refused_in_one_line_and_write_nothing(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: str,
    told: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    error = said(capsys, results, *options.split(), code=2)
    assert told in error and len(error.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_a_file_in_the_place_of_a_folder_and_a_folder_in_that_of_a_file_are_refused(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("mine")
    (tmp_path / "folder.tex").mkdir()
    assert "taken is a file; expected a folder" in said(capsys, results, "--out", tmp_path / "taken", code=2)
    assert "folder.tex is a folder; expected a file" in said(capsys, results, "--out", tmp_path / "folder.tex", code=2)
    assert (tmp_path / "taken").read_text() == "mine"


def test_results_without_a_score_say_so_and_what_became_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path, "gpt", "umbrella", 0, status="interrupted")
    told = said(capsys, tmp_path)
    assert told.startswith("No run has ended with a score yet.") and "Without a result: 1 interrupted." in told


def test_a_run_of_the_smoke_preset_says_that_its_scores_mean_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "x"
    told = {preset: run_table({"status": "ok"}, folder, resolve(backbone="lstm", env="umbrella", preset=preset))
            for preset in ("smoke", "quick")}  # fmt: skip
    assert ("caution", "smoke: scores mean nothing") in told["smoke"]
    assert not any(name == "caution" for name, _ in told["quick"])
