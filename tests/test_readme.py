"""The README tells the truth: its commands run, its code is a backbone, its table is what the records say."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from dsbench.backbones.check import CHECKS
from dsbench.records.tables import runs_table

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
INSTALL = re.compile(r"^python3 -m venv \S+ && \S+/pip install [^&]+ && ")  # what comes before has been done: we run


def commands() -> list[str]:
    lines = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines() if line.strip()]
    return [INSTALL.sub("", line).replace(".venv/bin/", "") for line in lines]


def python(first_line: str) -> str:
    return next(text for kind, text in BLOCKS if kind == "python" and text.startswith(first_line))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder of a user who wrote the README's programs into files of their own."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("mine.py", "act.py", "my_env.py"):
        (folder / name).write_text(python(f"# {name}"))
    return folder


def run(folder: Path, arguments: list[str]) -> str:
    environment = os.environ | {"DSBENCH_DATA": str(folder / "data"), "COLUMNS": "200"}
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.timeout(900)
def test_every_command_runs_in_the_order_of_the_page(folder: Path) -> None:
    """With the smoke preset put in place; pytest itself is what is running now."""
    seen = set()
    for line in commands():
        program, *arguments = shlex.split(line)
        if program == "pytest":
            continue
        if program == "python":
            assert len(run(folder, [sys.executable, *arguments]).splitlines()) == 10  # decisions of an episode
            continue
        assert program == "dsbench", line
        seen.add(arguments[0])
        if arguments[0] in ("run", "sweep"):
            arguments += ["--preset", "smoke"]
        if arguments[0] == "bench":
            arguments += ["--rounds", "2", "--context", "1,3", "--length", "0", "--modes", "recurrent,kv_cache"]
        if arguments[0] == "study":
            arguments += ["--size", "smoke"]
        if arguments[0] == "ladder":
            arguments += ["--preset", "smoke", "--to", "20", "--seeds", "1", "--backbone", "rnn", "--control", "mlp"]
        if arguments[0] in ("export-model", "watch") or arguments[1:] == ["results/runs/RUN_ID"]:
            arguments[1] = str(next((folder / "results" / "runs").glob("s4-*")))
        assert run(folder, [sys.executable, "-m", "dsbench", *arguments])
    assert seen == {
        "run",
        "check",
        "sweep",
        "report",
        "cite",
        "export",
        "export-model",
        "watch",
        "data",
        "bench",
        "pack",
        "study",
        "ladder",
        "inspect",
    }
    assert "torch" in run(
        folder, [sys.executable, "-c", python("import dsbench") + "import torch; print(torch.__name__)"]
    )


def test_the_two_commands_install_from_the_clone_alone() -> None:
    both = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines() if INSTALL.match(line)]
    assert len(both) == 2
    for line in both:
        assert "-c constraints.txt" in line
        assert (ROOT / "constraints.txt").exists()


def test_the_number_of_checks_is_right() -> None:
    assert f"{len(CHECKS)} checks" in README


def script(name: str) -> ModuleType:
    """A program of the folder ``results``, which is no package: its programs find each other as they do when run."""
    sys.path.insert(0, str(ROOT / "results"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(ROOT / "results"))


def shown(begin: str) -> str:
    return README.partition(begin)[2].partition("<!-- end of table -->")[0].strip()


def test_the_table_is_what_the_stored_records_say() -> None:
    module = script("reference_table")
    assert shown(module.BEGIN) == module.table()


def test_the_table_of_costs_is_what_the_newest_bench_says() -> None:
    module = script("bench_table")
    assert shown(module.BEGIN) == module.table()


@pytest.mark.parametrize("name", ["listing", "results"])
def test_the_tables_of_tasks_are_what_specs_and_records_say(name: str) -> None:
    module = script("tasks_table")
    assert shown(module.begin(name)) == module.TABLES[name]()


@pytest.mark.parametrize("name", ["memory", "key-to-door", "probe", "graphs"])
def test_the_tables_of_studies_are_what_the_records_say(name: str) -> None:
    module = script("studies_table")
    assert shown(module.begin(name)) == module.TABLES[name](runs_table(module.RECORDS))


def test_the_table_of_mujoco_is_what_the_records_say() -> None:
    module = script("mujoco_table")
    assert shown(module.BEGIN) == module.ours()


def test_the_table_of_actors_is_what_their_files_say() -> None:
    module = script("actors_table")
    assert shown(module.BEGIN) == module.table()


@pytest.mark.slow  # draws every picture
def test_the_gallery_is_what_the_records_say() -> None:
    module = script("gallery")
    text, pictures = module.gallery()
    assert (module.DOCS / "gallery.md").read_text() == text
    assert {path.name for path in (module.DOCS / "figures").iterdir()} == set(pictures)


def test_what_the_pages_link_to_is_there() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs" / "gallery.md"):
        targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        assert [target for target in targets if not (page.parent / target).exists()] == [], page.name


@pytest.mark.parametrize("name", ["training", "shared", "steps", "transformers"])
def test_the_tables_of_speed_are_what_was_measured(name: str) -> None:
    module = script("speed_table")
    assert shown(module.begin(name)) == module.TABLES[name](pd.read_csv(module.SOURCE))
