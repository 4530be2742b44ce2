"""Whatever names, reasons and settings of a stranger's runs hold, no command lets it take effect where it is shown."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from pathlib import Path

import pytest
from rich.console import Console

from dsbench.cli import main, summary, tables
from dsbench.measuring.bench_records import JOURNAL, write_cells
from dsbench.records.journal import Journal
from dsbench.running.progress import Bars, Lines
from dsbench.running.worker_process import Outcome
from tests.reports.synthetic import make_run

EVIL = (
    "\x1b[2J\x1b]0;owned\x07\u202e\u2066\u200b<script>alert(1)</script>|`![a](http://b)$x$\r\n=cmd()\x9b1m\u2028 \x7f"
)
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Runs whose every text is hostile, one of them failed."""
    place = tmp_path / "results"
    origin = {"machine": {"cpu_model": EVIL}, "git": {"commit": EVIL}, "dsbench": EVIL, "packages": {"torch": EVIL}}
    for number, name in enumerate((f"a{EVIL}", f"={EVIL}", "s4")):
        for seed in range(2):
            given = {"data.recipe": EVIL, "backbone.kind": f"@{EVIL}{number}"}
            make_run(
                place, name, EVIL, seed, 0.5 + number / 9, settings=given, result={"physics_note": EVIL}, origin=origin
            )
    make_run(place, "s4", EVIL, 7, status="failed", result={"reason": f"-1+{EVIL}"})
    return place


def unseen(text: str) -> set[str]:
    return {one for one in text if unicodedata.category(one) in UNSEEN} - {"\n"}


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize(
    "command",
    [
        "report",
        "report --wide",
        "report --format latex",
        "report --json",
        "report --out",
        "cite",
        "export",
        "list",
        "inspect",
        "watch",
    ],
)
def test_no_command_prints_what_a_terminal_obeys(
    command: str, terminal: bool, results: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "is_terminal", lambda: terminal)
    name, *options = command.split()
    place = {"list": ["envs", "--env", EVIL], "watch": [EVIL], "inspect": [EVIL]}.get(name, [str(results)])
    code = main([name, *place, *options, *([str(results.parent / "out")] if "--out" in options else ())])
    said = capsys.readouterr()
    assert code == (2 if name in ("list", "inspect", "watch") else 0)
    assert said.out + said.err and not unseen(said.out + said.err)
    if "--json" in options:
        assert EVIL in {row["env"] for row in json.loads(said.out)} and said.out.isascii()


def test_the_files_of_a_report_hold_no_markup_and_no_formula(results: Path) -> None:
    out = results.parent / "out"
    assert main(["report", str(results), "--out", str(out)]) == 0
    assert main(["report", str(results), "--out", str(out / "table.md")]) == 0
    assert main(["report", str(results), "--wide", "--out", str(out / "wide.md")]) == 0
    assert main(["report", str(results), "--out", str(out / "table.csv")]) == 0
    assert main(["report", str(results), "--out", str(out / "table.tex")]) == 0
    assert main(["export", str(results), "--out", str(out / "tidy")]) == 0
    pages = [*out.rglob("*.md"), *out.rglob("*.html"), *out.rglob("*.svg")]
    assert len(pages) > 2
    for page in pages:
        text = page.read_text()
        assert not unseen(text), page
        assert not re.search("<script>alert", text) or (page.suffix == ".md" and _in_code_alone(text))
    tables = list(out.rglob("*.csv"))
    assert len(tables) > 3
    for table in tables:
        for line in csv.reader(io.StringIO(table.read_text(), newline="")):
            assert not [cell for cell in line if re.match(r"\s*[=+@\t\r]|-[^\d.]", cell)], table
    names = [path.name for path in out.rglob("*")]
    assert all(re.fullmatch(r"[\w.-]+", name) for name in names), names


def _in_code_alone(text: str) -> bool:
    """Whether every tag of a Markdown text stands between the quotes of code, where it is shown and not obeyed."""
    return "<script" not in re.sub(r"^```.*?^```|\\`|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)


def test_progress_and_the_tables_of_runs_and_benches_print_it_as_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from dsbench.cli.bench_tables import show
    from dsbench.measuring.bench_records import read_bench

    event = {"phase": EVIL, "done": 1, "total": 2, "message": EVIL}
    Lines(names=True).event(EVIL, event)
    place = io.StringIO()
    with Bars(Console(file=place, force_terminal=False, width=500)) as bars:
        bars.event(EVIL, event)
        bars.note(EVIL)
    assert not unseen(place.getvalue())
    outcome = Outcome(EVIL, EVIL, 1, {"success_metric": EVIL, EVIL: 0.5}, EVIL)
    tables.print_table(summary.SWEEP_HEADER, summary.sweep_rows([outcome]))
    journal = Journal(tmp_path / JOURNAL)
    journal.append({"kind": "bench", "kind_of": EVIL})
    base = {
        "backbone": f"={EVIL}",
        "mode": "recurrent",
        "loop": "model",
        "env": EVIL,
        "implementation": EVIL,
        "batch": 1,
    }
    journal.append({"kind": "planned", "cell_id": EVIL, **base, "context": 1})
    journal.append({"kind": "timed", "cell_id": EVIL, "status": "failed", "reason": EVIL})
    show(read_bench(tmp_path), tmp_path)
    assert not unseen("".join(capsys.readouterr()))
    (line,) = list(csv.DictReader(write_cells(tmp_path).open(newline="")))
    assert line["backbone"].startswith("'=")


def test_the_cache_of_data_prints_it_as_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "umbrella" / f"a{EVIL.replace('/', '')}"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"env": EVIL}))
    monkeypatch.setenv("DSBENCH_DATA", str(tmp_path))
    for arguments in (
        ["data", "list"],
        ["data", "list", "--json"],
        ["data", "info", str(folder)],
        ["data", "info", EVIL],
    ):
        main(arguments)
        said = "".join(capsys.readouterr())
        assert said and not unseen(said), arguments
    assert main(["doctor", "--results", str(folder), "--json"]) == 0
    assert not unseen("".join(capsys.readouterr()))
