"""Provenance says where a number was made and nothing that should not be published."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path

import psutil
import pytest

import dsbench
from dsbench.config import naming
from dsbench.records import provenance


def test_it_is_json_and_names_code_machine_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    found = provenance.provenance()
    text = json.dumps(found, allow_nan=False)
    assert found["dsbench"] == dsbench.__version__
    assert found["result_version"] == naming.RESULT_VERSION
    assert found["environment"]["OMP_WAIT_POLICY"] == "PASSIVE"
    assert "hunter2" not in text
    assert found["torch"]["threads"] >= 1
    assert found["machine"]["memory_bytes"] == psutil.virtual_memory().total
    assert found["machine"]["cores_usable"] == len(os.sched_getaffinity(0))
    if len(socket.gethostname()) > 6:  # a short one may be part of another word
        assert socket.gethostname() not in text


def test_the_commit_is_that_of_the_source_not_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(dsbench.__file__).resolve().parents[1]
    if not (root / ".git").exists():
        pytest.skip("installed, not a checkout")
    expected = subprocess.check_output(["git", "-C", str(root), "rev-parse", "HEAD"], text=True).strip()
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    assert provenance.git_state()["commit"] == expected


def test_without_git_the_commit_is_missing_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    state = provenance.git_state()
    assert state["commit"] is None
    assert state["reason"]
