"""An install line that the product prints brings this dsbench and nobody else's, in the way in which it was installed."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from dsbench.errors import MissingExtra
from dsbench.installation import DISTRIBUTION, extra_line, installed_commit, reinstall_line

ROOT = Path(__file__).parents[1]


def install(monkeypatch: pytest.MonkeyPatch, site: Path, noted: dict[str, Any] | None) -> None:
    """Metadata of an installation, found before any other."""
    folder = site / f"{DISTRIBUTION.replace('-', '_')}-0.0.1.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: 0.0.1\n")
    if noted is not None:
        (folder / "direct_url.json").write_text(json.dumps(noted))
    monkeypatch.syspath_prepend(str(site))


def words(line: str) -> list[str]:
    """What stands after ``install``."""
    given = shlex.split(line)
    return given[given.index("install") + 1 :]


def clone(folder: Path, constraints: bool = True) -> Path:
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text("")
    if constraints:
        (folder / "constraints.txt").write_text("")
    return folder


def test_from_an_index_it_is_asked_for_by_its_own_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path, None)
    assert words(extra_line("hf")) == [f"{DISTRIBUTION}[hf]"]
    assert words(reinstall_line())[-1] == DISTRIBUTION


@pytest.mark.parametrize("editable", [True, False])
def test_from_a_clone_it_is_the_clone_with_its_constraints(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, editable: bool
) -> None:
    folder = clone(tmp_path / "a clone")
    install(monkeypatch, tmp_path / "site", {"url": folder.as_uri(), "dir_info": {"editable": editable}})
    monkeypatch.chdir(tmp_path / "site")
    mode = ["-e"] if editable else []
    assert words(extra_line("hf")) == ["-c", str(folder / "constraints.txt"), *mode, f"{folder}[hf]"]
    monkeypatch.chdir(folder)
    assert words(extra_line("hf")) == ["-c", "./constraints.txt", *mode, ".[hf]"]
    monkeypatch.chdir(tmp_path)
    assert words(extra_line("hf"))[-1] == "./a clone[hf]"


def test_a_clone_that_has_gone_leaves_the_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path, {"url": (tmp_path / "gone").as_uri(), "dir_info": {}})
    assert words(extra_line("hf")) == [f"{DISTRIBUTION}[hf]"]


def test_from_a_wheel_it_is_that_wheel_while_it_exists(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wheel = tmp_path / "decision_sequence_bench-0.0.1-py3-none-any.whl"
    wheel.touch()
    install(monkeypatch, tmp_path / "site", {"url": wheel.as_uri(), "archive_info": {}})
    assert words(extra_line("onnx")) == [f"{DISTRIBUTION}[onnx] @ {wheel.as_uri()}"]
    wheel.unlink()
    assert words(extra_line("onnx")) == [f"{DISTRIBUTION}[onnx]"]


def test_from_git_it_is_that_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    noted = {"url": "https://example.org/d.git", "vcs_info": {"vcs": "git", "commit_id": "abc123"}}
    install(monkeypatch, tmp_path, noted)
    assert words(extra_line("hf")) == [f"{DISTRIBUTION}[hf] @ git+https://example.org/d.git@abc123"]
    assert installed_commit() == "abc123"


@pytest.mark.parametrize("noted", ["[]", "{", '"x"', '{"vcs_info": 1}'])
def test_a_broken_note_is_no_note(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, noted: str) -> None:
    install(monkeypatch, tmp_path, None)
    (tmp_path / f"{DISTRIBUTION.replace('-', '_')}-0.0.1.dist-info" / "direct_url.json").write_text(noted)
    assert words(extra_line("hf")) == [f"{DISTRIBUTION}[hf]"]
    assert installed_commit() is None


def test_the_installer_is_this_environment_s_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stranger = tmp_path / "pip"
    stranger.write_text("#!/bin/sh\n")
    stranger.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shlex.split(extra_line("hf"))[0].endswith(Path(sys.executable).name)
    own = Path(sys.executable).parent
    if (own / "pip").exists():
        monkeypatch.setenv("PATH", f"{own}{os.pathsep}{tmp_path}")
        assert shlex.split(extra_line("hf"))[0] == "pip"


def test_what_is_missing_is_said_with_that_line() -> None:
    assert str(MissingExtra("a model", "hf")).endswith(extra_line("hf"))


def test_no_file_advises_the_name_that_somebody_else_has_on_the_index() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("the sources are no git checkout")
    advice = re.compile(r"pip install [^\n&`]*(?<![/.])\bdsbench\b(?!/)")
    texts = [name for name in tracked.stdout.split() if name.endswith((".md", ".py", ".toml", ".txt", ".html"))]
    found = [
        name for name in texts if (ROOT / name).exists() and advice.search((ROOT / name).read_text(errors="ignore"))
    ]
    assert set(found) <= {"CHANGELOG.md", "benchmark/installation.py", "tests/test_installation.py"}
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"] == DISTRIBUTION
