"""What would be published: the sdist builds the wheel, and the wheel with any extra does the main job in an empty environment.

Minutes, and it asks the package index: ``pytest -m slow tests/test_distribution.py``, with ``-k "[hf]"`` for one extra.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FOR_US = ("all", "dev", "docs", "test")  # what users do not install
EXTRAS = ["", *sorted(set(PROJECT["optional-dependencies"]) - set(FOR_US))]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist of a clone, and the wheel that pip makes of it."""
    work = tmp_path_factory.mktemp("built")
    run("git", "clone", "-q", "--depth", "1", f"file://{ROOT}", "clone", cwd=work)
    build = "import sys, setuptools.build_meta as backend; backend.build_sdist(sys.argv[1])"
    run(sys.executable, "-c", build, work, cwd=work / "clone")
    (sdist,) = work.glob("*.tar.gz")
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", work, sdist, cwd=work)
    (wheel,) = work.glob("*.whl")
    return sdist, wheel


def test_both_carry_the_name_and_the_wheel_every_file_that_is_read(built: tuple[Path, Path]) -> None:
    sdist, wheel = built
    assert sdist.name.startswith("decision_sequence_bench-") and wheel.name.startswith("decision_sequence_bench-")
    with tarfile.open(sdist) as archive:
        sources = {name.partition("/")[2] for name in archive.getnames()}
    assert {"README.md", "LICENSE", "backbones/kernels/csrc/scans.c", "backbones/kernels/csrc/vector.h"} <= sources
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    read = {"dsbench/py.typed", "dsbench/reports/citations.yaml", "dsbench/ladders/memory-span.yaml"}
    assert read <= names
    assert not [name for name in names if name.split("/")[0] not in ("dsbench",) and ".dist-info/" not in name]


@pytest.mark.parametrize("extra", EXTRAS, ids=lambda extra: f"[{extra}]")
def test_it_does_the_main_job_in_an_empty_environment(extra: str, built: tuple[Path, Path], tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", "venv", cwd=tmp_path)
    asked = f"{built[1]}[{extra}]" if extra else built[1]
    run("venv/bin/pip", "install", "-q", "-c", ROOT / "constraints.txt", asked, cwd=tmp_path)
    said = run("venv/bin/dsbench", "run", "--backbone", "s4", "--env", "umbrella", "--preset", "smoke", cwd=tmp_path)
    assert "first action accuracy" in said
    told = run("venv/bin/dsbench", "doctor", cwd=tmp_path)
    if extra:
        (line,) = [line for line in told.splitlines() if line.startswith(f"extra {extra} ")]
        assert "not installed" not in line
    else:
        assert f"decision-sequence-bench[hf] @ file://{asked}" in told
