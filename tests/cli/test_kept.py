"""Runs that are kept: found by what one remembers of them, compared with care, and deleted without harm to anything else."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dsbench.cli import main
from dsbench.config import resolve, run_id, to_dict
from dsbench.errors import UsageError
from dsbench.records.finding import find_run
from dsbench.records.run_folder import RunFolder


def made(results: Path, row: dict[str, Any] | None = None, status: str = "ok", **asked: Any) -> RunFolder:
    config = resolve(env="umbrella", **asked)
    folder = RunFolder.open(results, run_id(config))
    with folder.claim():
        folder.write_config(to_dict(config))
        folder.journal.append({"kind": "event", "event": "end"})
        folder.finish(status, {"success_metric": "accuracy", "accuracy": 0.9, **(row or {})})
    return folder


@pytest.fixture
def three(tmp_path: Path) -> list[RunFolder]:
    """Written one after the other: two of s4, one of gpt."""
    asked: Sequence[dict[str, Any]] = ({"backbone": "s4"}, {"backbone": "s4", "seed": 1}, {"backbone": "gpt"})
    folders = [made(tmp_path, {"accuracy": 0.9 + place / 100}, **one) for place, one in enumerate(asked)]
    for place, folder in enumerate(folders):
        for file in folder.path.iterdir():
            os.utime(file, (1_000 + place, 1_000 + place))
    return folders


# ------------------------------------------------------------------ found


def test_a_run_is_found_by_path_id_beginning_and_as_the_last(three: list[RunFolder], tmp_path: Path) -> None:
    for named, expected in (
        (str(three[0].path), 0), (three[1].run_id, 1), (three[1].run_id[:-3], 1), ("s4-umbrella-s1", 1), ("g", 2),
        ("last", 2),
    ):  # fmt: skip
        assert find_run(named, tmp_path).run_id == three[expected].run_id


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("s4", "2 runs in"), ("s5-umbrella-s0", "Did you mean 's4-umbrella-s"), ("", "no run ''"), ("../x", "no run"),
    ],
)  # fmt: skip
def test_what_names_no_run_or_several_says_so(named: str, said: str, three: list[RunFolder], tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find_run(named, tmp_path)
    assert said in str(caught.value)


def test_an_empty_folder_has_no_last_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--results DIR"):
        find_run("last", tmp_path)


# ------------------------------------------------------------------ listed and compared


def test_the_list_has_every_run_the_last_one_at_the_end(
    three: list[RunFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (three[0].path / "config.yaml").write_text("changed")
    assert main(["results", "list", "--results", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["run"], one["status"], one["score"]) for one in found[:2]] == [
        (three[1].run_id, "ok", 0.91), (three[2].run_id, "ok", 0.92),
    ]  # fmt: skip
    assert (found[2]["run"], found[2]["status"]) == (three[0].run_id, "unreadable")
    assert main(["results", "list", "--results", str(tmp_path), "--status", "ok"]) == 0
    assert three[0].run_id not in capsys.readouterr().out


def compared(capsys: pytest.CaptureFixture[str], results: Path, *runs: str) -> Any:
    assert main(["results", "compare", *runs, "--results", str(results), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_two_runs_differ_in_what_was_set_and_in_what_came_out(
    three: list[RunFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = compared(capsys, tmp_path, "s4-umbrella-s0", "last")
    assert found["settings"] == {"backbone": ["s4", "gpt"]}
    assert found["results"] == {"accuracy": [0.9, 0.92]}
    assert "several seeds" in found["notes"][-1]
    assert main(["results", "compare", "s4-umbrella-s0", "last", "--results", str(tmp_path)]) == 0
    assert "+0.020" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"seed": 7}, "Nothing but the seed differs"),
        ({"overrides": ["train.lr=0.1", "train.updates=100"]}, "2 settings differ"),
        ({"overrides": ["env.chain_length=5"]}, "their scores are of two tasks"),
        ({"row": {"unproven": "causality: it looks ahead"}, "seed": 8}, "is unproven: causality"),
        ({"status": "failed", "seed": 9}, "has status failed"),
    ],
)
def test_a_comparison_says_what_it_cannot(
    asked: dict[str, Any], said: str, three: list[RunFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = made(tmp_path, asked.pop("row", None), asked.pop("status", "ok"), **{"backbone": "s4", **asked})
    assert any(said in note for note in compared(capsys, tmp_path, three[0].run_id, other.run_id)["notes"])


# ------------------------------------------------------------------ removed


def test_one_is_asked_before_anything_is_deleted(
    three: list[RunFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["results", "remove", "last", "--results", str(tmp_path)]) == 2
    assert "--yes" in capsys.readouterr().err and three[2].path.exists()
    assert main(["results", "remove", "last", "s4-umbrella-s1", "--results", str(tmp_path), "--yes"]) == 0
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [three[0].run_id]


def test_a_run_in_progress_is_not_deleted(three: list[RunFolder], tmp_path: Path) -> None:
    with three[1].claim(force=True):
        assert main(["results", "remove", three[1].run_id, "--results", str(tmp_path), "--yes"]) == 75
    assert three[1].path.exists()


def test_no_link_is_followed(three: list[RunFolder], tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("precious")
    (three[0].path / "inside").symlink_to(kept)
    (tmp_path / "runs" / "linked").symlink_to(kept)
    (tmp_path / "runs" / "twin").symlink_to(three[1].path)
    assert main(["results", "remove", three[0].run_id, "--results", str(tmp_path), "--yes"]) == 0
    for name in ("linked", "twin", str(three[1].path), "../kept", str(kept)):
        assert main(["results", "remove", name, "--results", str(tmp_path), "--yes"]) == 2
    assert (kept / "file").read_text() == "precious" and three[1].path.exists()


def test_whoever_makes_a_removed_run_anew_has_a_new_one(three: list[RunFolder], tmp_path: Path) -> None:
    three[0].remove()
    assert three[0].plan().action == "start" and not list((tmp_path / "runs").glob(".*"))
    with pytest.raises(UsageError, match="no run"):
        three[0].remove()
