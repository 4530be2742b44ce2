"""What a name stands for is found by reading alone: the file, all that it imports from outside, and nothing else."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from dsbench.errors import UsageError
from dsbench.outside import closure
from dsbench.outside.closure import read_source
from dsbench.outside.source import Source


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


IMPORTS = {
    "import a": ["a.py"],
    "import p.q": ["p/__init__.py", "p/q.py"],
    "from p import q": ["p/__init__.py", "p/q.py"],
    "from p import *": ["p/__init__.py", "p/starred.py"],
    "from p.q import anything": ["p/__init__.py", "p/q.py"],
    "from n.m import x": ["n/m.py"],
    "def late():\n    import a": ["a.py"],
    "try:\n    import a\nexcept ImportError: pass": ["a.py"],
    "import importlib\nimportlib.import_module('p.q')": ["p/__init__.py", "p/q.py"],
    "x = __import__('a')": ["a.py"],
    "import b": ["a.py", "b.py"],
    "import p.relative": ["p/__init__.py", "p/q.py", "p/relative.py"],
    "import circle": ["circle.py"],
    "import numpy, os, dsbench.files, nowhere": [],
    "import json": ["json.py"],
    "import data": [],
}
BESIDE = {
    "a.py": "", "b.py": "import a", "p/__init__.py": "__all__ = ['starred']", "p/q.py": "", "p/starred.py": "",
    "p/relative.py": "from . import q", "n/m.py": "", "circle.py": "import mine", "json.py": "", "never.py": "",
    "data/table.csv": "", "dsbench/files.py": "",
}  # fmt: skip


@pytest.mark.parametrize("text", IMPORTS)
def test_the_closure_is_what_the_file_imports_from_beside_it(text: str, tmp_path: Path) -> None:
    write(tmp_path, {**BESIDE, "mine.py": text})
    assert sorted(read_source(f"{tmp_path}/mine.py:X").files) == sorted(["mine.py", *IMPORTS[text]])


def test_a_package_is_followed_from_a_file_that_imports_relatively(tmp_path: Path) -> None:
    write(
        tmp_path, {"pkg/__init__.py": "import side", "pkg/mine.py": "from .deep import x", "pkg/deep/__init__.py": ""}
    )
    write(tmp_path, {"pkg/side.py": "", "pkg/deep/x.py": "from ..up import y", "pkg/up.py": "y = 1"})
    source = read_source(f"{tmp_path}/pkg/mine.py:X")
    assert source.module == "pkg.mine"
    assert set(source.files) == {
        f"pkg/{name}" for name in ("__init__.py", "mine.py", "deep/__init__.py", "deep/x.py", "up.py", "side.py")
    }


def test_what_lies_on_the_path_of_python_is_outside_unless_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"lib/shared/__init__.py": "from shared import core", "lib/shared/core.py": "import numpy"})
    write(tmp_path, {"env/site-packages/installed.py": "X = 1", "work/mine.py": "import shared, installed"})
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    monkeypatch.syspath_prepend(str(tmp_path / "env" / "site-packages"))
    source = read_source(f"{tmp_path}/work/mine.py:X")
    assert set(source.files) == {"mine.py", "shared/__init__.py", "shared/core.py"}
    assert set(source.libraries) == {"installed", "numpy"}
    named = read_source("shared.core:X")
    assert (set(named.files), named.requirement) == ({"shared/__init__.py", "shared/core.py"}, None)
    assert read_source("installed:X").files == {}
    assert read_source("numpy.linalg:norm").label.startswith("numpy==")


def test_nothing_is_run_nor_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boom = "raise SystemExit('it ran')"
    write(tmp_path, {"mine.py": f"import p.q\n{boom}", "p/__init__.py": boom, "p/q.py": boom})
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    read_source(f"{tmp_path}/mine.py:X")
    read_source("p.q:X")
    assert set(sys.modules) == before


def test_the_digest_is_of_the_bytes_and_not_of_the_place(tmp_path: Path) -> None:
    def digest(folder: str, **changed: str) -> str:
        files = {"mine": "import helper", "helper": "import deep", "deep": "x = 1", "other": "y"} | changed
        write(tmp_path / folder, {f"{name}.py": text for name, text in files.items()})
        return read_source(f"{tmp_path}/{folder}/mine.py:X").digest

    first = digest("one")
    assert digest("two") == first == digest("three", other="changed, and not imported")
    changed = [
        digest("four", deep="x = 2"),
        digest("five", mine="import helper # new"),
        digest("six", helper="import deep "),
    ]
    assert len({first, *changed}) == 4
    assert read_source(f"{tmp_path}/one/mine.py:Y").digest != first, (
        "another function of the same file is another thing"
    )


def test_a_changed_neighbour_is_seen_at_once_and_what_stays_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"mine.py": "import helper", "helper.py": "x = 1"})
    digests = {read_source(f"{tmp_path}/mine.py:X").digest}
    for text in ("x = 2", "x = 3"):
        write(tmp_path, {"helper.py": text})
        digests.add(read_source(f"{tmp_path}/mine.py:X").digest)
    assert len(digests) == 3
    for place in (tmp_path, tmp_path / "mine.py", tmp_path / "helper.py"):
        os.utime(place, (1, 1))
    settled = read_source(f"{tmp_path}/mine.py:X")
    assert read_source(f"{tmp_path}/mine.py:X") is settled
    write(tmp_path, {"more.py": ""})
    assert read_source(f"{tmp_path}/mine.py:X") is not settled, "a new file may be what an import finds"


def test_too_much_and_what_is_no_file_are_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {f"m{i}.py": f"import m{i + 1}" for i in range(9)})
    monkeypatch.setattr(closure, "MAX_FILES", 5)
    with pytest.raises(UsageError, match="imports more than 5 files"):
        read_source(f"{tmp_path}/m0.py:X")
    monkeypatch.setattr(closure, "MAX_FILE_BYTES", 100)
    write(
        tmp_path, {"large.py": "#" * 101, "pipes.py": "import pipe", "binary.py": "import compiled", "compiled.so": ""}
    )
    os.mkfifo(tmp_path / "pipe.py")
    for name, said in {
        "large": "larger than 100 bytes", "pipes": "is a pipe; expected", "binary": "is compiled", "none": "no file",
    }.items():  # fmt: skip
        with pytest.raises(UsageError, match=said):
            read_source(f"{tmp_path}/{name}.py:X")
    for reference in ("nowhere.at:all", "json.nope:x", ":", "x:", ":x"):
        with pytest.raises(UsageError):
            read_source(reference)


@pytest.mark.parametrize("text", ["(" * 5000, "def f(:", "\0", "x = 1" + "+1" * 20_000, "# coding: nonsense\nx"])
def test_what_is_no_python_is_read_all_the_same(text: str, tmp_path: Path) -> None:
    write(tmp_path, {"mine.py": text})
    assert set(read_source(f"{tmp_path}/mine.py:X").files) == {"mine.py"}


def test_a_source_survives_the_way_to_another_process(tmp_path: Path) -> None:
    write(tmp_path, {"mine.py": "import helper", "helper.py": "é = 1"})
    source = read_source(f"{tmp_path}/mine.py:X")
    again = Source.from_json(source.to_json())
    assert (again, again.digest, again.places) == (source, source.digest, source.places)


@pytest.mark.parametrize("name", ["my-plugin.py", "1st.v2.py", "__init__.py"])
def test_any_file_name_will_do(name: str, tmp_path: Path) -> None:
    write(tmp_path, {f"my-folder/{name}": "import helper", "my-folder/helper.py": ""})
    assert len(read_source(f"{tmp_path}/my-folder/{name}:X").files) == 2
