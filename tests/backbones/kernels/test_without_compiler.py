"""A wheel built where there is no C compiler: it installs, runs in plain torch, and says what it lacks."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[3]
SETUPTOOLS = 77  # the oldest that pyproject.toml accepts
LEFT_OUT = shutil.ignore_patterns(
    ".*", "*.so", "*.egg-info", "__pycache__", "build", "dist", "results", "shared", "tests"
)
INSTALL = ("C compiler", "--force-reinstall --no-deps")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the contents of such a wheel, built from a copy of the sources and without the network."""
    version = next((one.version for one in importlib.metadata.distributions(name="setuptools")), "0")
    if int(version.split(".")[0]) < SETUPTOOLS:
        pytest.skip(f"building without the network needs setuptools >= {SETUPTOOLS} here, found {version}")
    work = tmp_path_factory.mktemp("wheel")
    shutil.copytree(REPOSITORY, work / "source", ignore=LEFT_OUT)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(work),
        ".",
    ]
    built = subprocess.run(
        command, cwd=work / "source", env={**os.environ, "CC": "/nonexistent/cc"}, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = work.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(work / "site")
    return work / "site"


def python(installed: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Python with that wheel before any other dsbench."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=installed.parent, env=environment, capture_output=True, text=True, **options)


def test_it_holds_no_compiled_recurrences_and_says_why(installed: Path) -> None:
    assert not list(installed.rglob("_scans*"))
    script = (
        "import dsbench; from dsbench.backbones.kernels import c_library; "
        "print(dsbench.__file__); print(c_library.unavailable())"
    )
    found = python(installed, "-c", script)
    assert found.returncode == 0, found.stderr
    place, reason = found.stdout.splitlines()
    assert Path(place).is_relative_to(installed)
    assert "there was no C compiler at installation" in reason
    assert all(part in reason for part in INSTALL)


@pytest.mark.parametrize("name", ["mamba", "s4d", "s5", "mingru"])
def test_every_backbone_on_the_recurrences_passes_the_check(installed: Path, name: str) -> None:
    checked = python(installed, "-m", "dsbench", "check", name)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_doctor_lists_what_is_missing(installed: Path) -> None:
    told = python(installed, "-m", "dsbench", "doctor", "--json")
    assert told.returncode == 0, told.stderr
    found = {item["what"]: item for item in json.loads(told.stdout)}
    for operation in ("selective scan", "diagonal scan", "linear scan", "diagonal system"):
        assert all(part in found[f"{operation}: c"]["way_out"] for part in INSTALL)
        assert found[f"{operation}: torch"]["ok"]


def test_asking_for_c_is_bad_input_with_the_install_line(installed: Path, tmp_path: Path) -> None:
    options = (
        "--backbone",
        "mamba",
        "--env",
        "umbrella",
        "--set",
        "backbone.implementation=c",
        "--results",
        str(tmp_path),
    )
    run = python(installed, "-m", "dsbench", "run", *options)
    assert run.returncode == 2
    assert all(part in run.stderr for part in INSTALL)
