"""Temporary names say who writes; only what a dead process of this place left behind is deleted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsbench import temporaries
from dsbench.temporaries import discard_leftovers, temporary_beside


def left_by(pid: int, path: Path) -> Path:
    """A temporary name as the process `pid` would have chosen it."""
    return path.with_name(temporary_beside(path).name.replace(f"-{os.getpid()}-", f"-{pid}-"))


@pytest.fixture
def dead() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_two_names_are_never_the_same_and_name_no_host(tmp_path: Path) -> None:
    names = {temporary_beside(tmp_path / "result.json").name for _ in range(100)}
    assert len(names) == 100
    assert all(name.startswith(".result.json.") and name.endswith(".tmp") and len(name) < 80 for name in names)
    assert all(os.uname().nodename not in name for name in names)


def test_what_a_dead_process_left_is_deleted_and_what_a_living_one_writes_stays(tmp_path: Path, dead: int) -> None:
    place = tmp_path / "update-1"
    of_dead, of_parent = left_by(dead, place), left_by(os.getppid(), place)
    own = temporary_beside(place)
    for path in (of_dead, of_parent, own):
        path.mkdir()
        (path / "tensors").touch()
    left_by(dead, tmp_path / "claim.json").touch()
    discard_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([of_parent, own])


def test_a_dead_process_that_nobody_has_waited_for_is_dead(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read()  # until its end
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        left_by(process.pid, tmp_path / "claim.json").touch()
        discard_leftovers(tmp_path)
        assert list(tmp_path.iterdir()) == []


def test_what_a_process_of_another_host_or_container_left_stays(
    tmp_path: Path, dead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(temporaries, "_place", lambda: "0123456789ab")
        elsewhere = left_by(dead, tmp_path / "update-1")
    elsewhere.touch()
    discard_leftovers(tmp_path)
    assert elsewhere.exists()


def test_without_certainty_about_the_host_nothing_is_deleted(
    tmp_path: Path, dead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = left_by(dead, tmp_path / "update-1")
    path.touch()
    monkeypatch.setattr(temporaries, "boot_id", lambda: None)
    discard_leftovers(tmp_path)
    assert path.exists()


def test_a_link_is_deleted_and_not_followed(tmp_path: Path, dead: int) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    left_by(dead, tmp_path / "update-1").symlink_to(tmp_path / "kept")
    discard_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept" / "file").exists()


@given(name=st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=60))
def test_no_other_name_is_taken_for_a_temporary_one(name: str) -> None:
    assert temporaries._NAME.match(name) is None
