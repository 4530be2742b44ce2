"""Nothing is written through a link that lies in a folder from elsewhere, and no pipe or device in it is waited for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dsbench.cli import main
from dsbench.config import resolve, run_id, to_dict
from dsbench.errors import CannotWrite, DsbenchError, UnreadableRecord
from dsbench.files import locked, stays_inside, write_atomic, write_below
from dsbench.measuring.bench_records import new_folder
from dsbench.records.lock import is_locked
from dsbench.records.run_folder import RunFolder
from dsbench.records.tables import event_record
from dsbench.reports.document import Cell, Figure, Heading, Report, Section, Table
from dsbench.reports.write import write as write_report
from dsbench.studies.writing import write as write_study

PRECIOUS = "years of work"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder beside the results: a file, and what a checkpoint folder would hold."""
    place = tmp_path / "home"
    (place / "update-00000001").mkdir(parents=True)
    (place / ".old.tmp").mkdir()
    for path in (place / "thesis", place / "update-00000001" / "thesis", place / ".old.tmp" / "thesis"):
        path.write_text(PRECIOUS)
    return place


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder with a finished run."""
    config = resolve(backbone="s4", env="umbrella")
    folder = RunFolder.open(tmp_path / "results", run_id(config))
    with folder.claim():
        folder.write_config(to_dict(config))
        folder.finish("ok", {"first_action_accuracy": 0.9})
    return tmp_path / "results"


def contents(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}


def run_of(results: Path) -> RunFolder:
    return RunFolder(next((results / "runs").iterdir()))


def append(folder: RunFolder) -> None:
    folder.journal.append(event_record("start"))


def claim(folder: RunFolder) -> None:
    with folder.claim(force=True):
        append(folder)


def drop(folder: RunFolder) -> None:
    folder.checkpoints_of(1).drop_updates()


def save(folder: RunFolder) -> None:
    folder.checkpoints_of(1).save(7, {"w": torch.zeros(2)}, {})


WRITTEN_INSIDE: dict[str, Callable[[RunFolder], None]] = {
    "journal.jsonl": append,
    "claim.lock": claim,
    "checkpoints": save,
    "checkpoints/1": drop,
}


@pytest.mark.parametrize("name", WRITTEN_INSIDE)
def test_what_a_run_writes_in_place_follows_no_link(name: str, results: Path, home: Path) -> None:
    folder, before = run_of(results), contents(home)
    path = folder.path / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(home if "checkpoints" in name else home / "thesis")
    with pytest.raises((CannotWrite, UnreadableRecord)) as caught:
        WRITTEN_INSIDE[name](folder)
    assert "link" in str(caught.value) and caught.value.exit_code == 73
    assert contents(home) == before


def test_a_link_to_nothing_makes_no_file_there(results: Path, home: Path) -> None:
    folder = run_of(results)
    (folder.path / "journal.jsonl").symlink_to(home / "new")
    with pytest.raises((CannotWrite, UnreadableRecord)):
        append(folder)
    assert not (home / "new").exists()


@pytest.mark.parametrize("name", ["config.yaml", "claim.json", "result-2.json", "interrupted-2.json", "error.txt"])
def test_what_is_written_whole_takes_the_place_of_a_link(name: str, results: Path, home: Path) -> None:
    path = run_of(results).path / name
    path.unlink(missing_ok=True)
    path.symlink_to(home / "thesis")
    write_atomic(path, b"new")
    assert (path.read_bytes(), path.is_symlink()) == (b"new", False)
    assert (home / "thesis").read_text() == PRECIOUS


@pytest.mark.parametrize("name", ["journal.jsonl", "claim.lock"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_a_pipe_a_folder_or_a_device_is_refused_and_not_waited_for(name: str, kind: str, results: Path) -> None:
    folder = run_of(results)
    path = folder.path / name
    path.unlink(missing_ok=True)
    {"pipe": os.mkfifo, "folder": os.mkdir, "device": lambda at: os.symlink("/dev/zero", at)}[kind](path)
    with pytest.raises((CannotWrite, UnreadableRecord)):
        WRITTEN_INSIDE[name](folder)
    assert not is_locked(path)


def test_the_lock_of_a_data_set_follows_no_link(tmp_path: Path, home: Path) -> None:
    (tmp_path / ".set.lock").symlink_to(home / "thesis")
    with pytest.raises(CannotWrite), locked(tmp_path / ".set.lock"):
        pass


def commands(results: Path) -> dict[str, tuple[list[str], str]]:
    """Output below the results folder -> the command that writes it, and the link that a stranger laid there."""
    at = str(results)
    return {
        "report": (["report", at, "--out", f"{at}/report"], "report"),
        "tables of a report": (["report", at, "--out", f"{at}/report"], "report/tables"),
        "markdown": (["report", at, "--out", f"{at}/pages/table.md"], "pages"),
        "json": (["report", at, "--json", "--out", f"{at}/pages/table.json"], "pages"),
        "export": (["export", at], "tables"),
        "export elsewhere below": (["export", at, "--out", f"{at}/mine/csv"], "mine"),
        "study": (["study", "umbrella-length", "--size", "smoke", "--results", at], "studies"),
        "watch": (["watch", "x", "--results", at, "--out", f"{at}/mine/x.gif"], "mine"),
        "inspect": (["inspect", "--rounding", "--results", at, "--out", f"{at}/mine/inside"], "mine"),
    }


@pytest.mark.parametrize("output", commands(Path()))
def test_no_command_writes_out_of_the_results_folder(
    output: str, results: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, link = commands(results)[output]
    (results / link).parent.mkdir(exist_ok=True)
    (results / link).symlink_to(home)
    before = contents(home)
    assert main(arguments) == 73
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1 and str(home) in said
    assert contents(home) == before and not (home / "figures").exists()


def test_the_runs_and_the_benches_do_not_leave_it_either(results: Path, home: Path) -> None:
    shutil.move(results / "runs", home / "runs")
    for name in ("runs", "bench"):
        (results / name).symlink_to(home / name)
    with pytest.raises(CannotWrite):
        claim(run_of(results))
    with pytest.raises(CannotWrite):
        new_folder(results, "quick")


@pytest.mark.parametrize("link", ["figures", "tables"])
def test_the_parts_of_a_page_stay_in_its_folder(link: str, tmp_path: Path, home: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / link).symlink_to(home)
    table, figure = Table("t", "t", (Heading("a"),), ((Cell("1", 1.0),),)), Figure("f", "f", "f", "<svg/>", b"png")
    page, before = Report("r", (), (Section("s", "s", (), (table,), (figure,)),)), contents(home)
    for write in (lambda: write_report(page, [], tmp_path / "out"), lambda: write_study(page, tmp_path / "out")):
        with pytest.raises(CannotWrite):
            write()
    assert contents(home) == before


def test_links_that_stay_inside_and_links_of_ones_own_above_are_followed(results: Path, tmp_path: Path) -> None:
    (tmp_path / "short").symlink_to(results)
    (results / "kept").mkdir()
    (results / "tables").symlink_to(results / "kept")
    assert main(["export", str(tmp_path / "short")]) == 0
    assert (results / "kept" / "runs.csv").is_file()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere")  # not below the results: the user's own
    assert main(["export", str(results), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "elsewhere" / "runs.csv").is_file()


def test_a_name_does_not_climb_out_of_its_folder(tmp_path: Path) -> None:
    for name in ("../x", "a/../../x"):
        with pytest.raises(DsbenchError):
            write_below(tmp_path / "out", name, b"")
    stays_inside(tmp_path / "other", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
