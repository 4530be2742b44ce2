"""The README and the pages of ``docs`` tell the truth: commands run, tables are what the records say."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from dsbench.backbones.check import CHECKS
from dsbench.records.tables import runs_table

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
INSTALL = re.compile(r"^python3 -m venv \S+ && \S+/pip install [^&]+ && ")  # what comes before has been done: we run
SMALL = {
    "run": ["--preset", "smoke"],
    "sweep": ["--preset", "smoke"],
    "bench": ["--rounds", "2", "--context", "1,3", "--length", "0", "--modes", "recurrent,kv_cache"],
    "study": ["--size", "smoke"],
    "ladder": ["--preset", "smoke", "--seeds", "1", "--backbone", "rnn", "--control", "mlp", "--to"],
}  # what makes a command one of seconds
SECOND_RUNGS = {"memory-span": "20", "my_ladder.yaml": "50", "balance.yaml": "192"}
ELSEWHERE = ("pytest", "make", "pip")  # what is running now, and what needs a fresh environment
OF_THE_README = {"run", "sweep", "report", "ladder", "check"}


def blocks(page: Path, kind: str) -> list[str]:
    return [text for found, text in re.findall(r"```(\w+)\n(.*?)```", page.read_text(), re.DOTALL) if found == kind]


def commands(page: Path) -> list[str]:
    lines = [line for text in blocks(page, "sh") for line in text.splitlines() if line.strip()]
    return [INSTALL.sub("", line).replace(".venv/bin/", "") for line in lines]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder of a user who wrote the pages' programs into files of their own and has made a run."""
    folder = tmp_path_factory.mktemp("pages")
    write_files(folder)
    run(folder, dsbench("run", "--backbone", "s4", "--env", "umbrella", "--preset", "smoke"))
    return folder


def write_files(folder: Path) -> None:
    """The programs and ladders of the pages, as their first lines name them."""
    for page in PAGES:
        for text in (*blocks(page, "python"), *blocks(page, "yaml")):
            if named := re.match(r"# (\w+\.(?:py|yaml))\n", text):
                (folder / named[1]).write_text(text)


def dsbench(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "dsbench", *arguments]


def run(folder: Path, arguments: list[str]) -> str:
    own = {"DSBENCH_DATA": str(folder / "data"), "XDG_CACHE_HOME": str(folder / "cache"), "COLUMNS": "200"}
    done = subprocess.run(arguments, cwd=folder, env=os.environ | own, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@cache
def done(folder: Path, line: str) -> str:
    """What a line of a page prints; the same line of another page has been run already."""
    program, *arguments = shlex.split(line, comments=True)
    if program == "python":
        return run(folder, [sys.executable, *arguments])
    assert program == "dsbench", line
    trained = next((folder / "results" / "runs").glob("s4-umbrella-*"))
    arguments = [word.replace("results/runs/RUN_ID", str(trained)) for word in arguments]
    more = [*SMALL.get(arguments[0], []), *([SECOND_RUNGS[arguments[1]]] if arguments[0] == "ladder" else [])]
    return run(folder, dsbench(*arguments, *more))


def of_users(page: Path) -> list[str]:
    if (
        page.stem == "for-a-paper"
    ):  # has a test of its own (tests/reports/paper), with made-up scores in the place of a sweep
        return []
    return [line for line in commands(page) if shlex.split(line)[0] not in ELSEWHERE]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", [page for page in PAGES if of_users(page)], ids=lambda page: page.stem)
def test_every_command_runs_in_the_order_of_its_page(page: Path, folder: Path) -> None:
    """With the smoke preset put in place."""
    for line in of_users(page):
        assert done(folder, line), line


@pytest.mark.slow  # minutes; a whole climb takes hours, so it ends at its second rung
@pytest.mark.timeout(3600)
def test_every_command_of_the_readme_runs_as_printed(tmp_path: Path) -> None:
    said = set()
    write_files(tmp_path)
    for line in of_users(README):
        _, name, *rest = shlex.split(line)
        assert run(tmp_path, dsbench(name, *rest, *(["--to", SECOND_RUNGS[rest[0]]] if name == "ladder" else [])))
        said.add(name)
    assert said == OF_THE_README


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.stem)
def test_the_python_of_a_page_is_python(page: Path) -> None:
    for text in blocks(page, "python"):
        compile(text, str(page), "exec")


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "\nimport dsbench\n" in page.read_text()], ids=lambda page: page.stem
)
def test_the_python_that_imports_dsbench_runs(page: Path, folder: Path) -> None:
    for text in blocks(page, "python"):
        if text.startswith("import dsbench\n"):
            run(folder, [sys.executable, "-c", text])


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ipykernel", reason="ipykernel is not installed: pip install '.[test]'")
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setenv("DSBENCH_DATA", str(tmp_path / "data"))
    notebook = nbformat.read(ROOT / "docs" / "first-comparison.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=280, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert (tmp_path / "report" / "report.html").exists()


def test_the_readme_fits_on_a_screen_and_a_bit() -> None:
    assert len(README.read_bytes()) <= 8_000


def test_the_two_commands_install_from_the_clone_alone() -> None:
    both = [line for text in blocks(README, "sh") for line in text.splitlines() if INSTALL.match(line)]
    assert len(both) == 2
    for line in both:
        assert "-c constraints.txt" in line
        assert (ROOT / "constraints.txt").exists()


def test_the_number_of_checks_is_right() -> None:
    assert f"{len(CHECKS)} checks" in (ROOT / "docs" / "your-backbone.md").read_text()


def test_what_the_pages_link_to_is_there() -> None:
    for page in (*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "results" / "README.md"):
        targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        assert [target for target in targets if not (page.parent / target).exists()] == [], page.name


def script(name: str) -> ModuleType:
    """A program of the folder ``results``, which is no package: its programs find each other as they do when run."""
    sys.path.insert(0, str(ROOT / "results"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(ROOT / "results"))


def shown(begin: str) -> str:
    """The table below this line, on the one page that has it."""
    (page,) = [text for text in (page.read_text() for page in PAGES) if begin in text]
    return page.partition(begin)[2].partition("<!-- end of table -->")[0].strip()


def test_the_table_of_umbrella_is_what_the_stored_records_say() -> None:
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


def test_the_page_of_variance_is_what_the_records_say() -> None:
    module = script("variance_table")
    assert module.PAGE.read_text() == module.page()


@pytest.mark.parametrize("name", ["training", "shared", "steps", "transformers"])
def test_the_tables_of_speed_are_what_was_measured(name: str) -> None:
    module = script("speed_table")
    assert shown(module.begin(name)) == module.TABLES[name](pd.read_csv(module.SOURCE))


@pytest.mark.slow  # draws every picture
def test_the_gallery_is_what_the_records_say() -> None:
    module = script("gallery")
    text, pictures = module.gallery()
    assert (module.DOCS / "gallery.md").read_text() == text
    assert {path.name for path in (module.DOCS / "figures").iterdir()} == set(pictures)
