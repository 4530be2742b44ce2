"""What was hashed is what runs, apart from every other version of it."""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dsbench.errors import UsageError
from dsbench.outside.closure import read_source
from dsbench.outside.loading import load
from dsbench.outside.own import is_own


def loaded(folder: Path, files: Mapping[str, str], attribute: str = "X", entry: str = "mine.py") -> Any:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return load(read_source(f"{folder}/{entry}:{attribute}"))


def test_two_versions_each_with_its_own_helper_live_side_by_side(tmp_path: Path) -> None:
    text = "import helper\ndef X():\n    import late\n    from helper import VALUE\n    return helper.VALUE, VALUE, late.VALUE"
    both = [
        loaded(tmp_path / name, {"mine.py": text, "helper.py": f"VALUE = {name!r}", "late.py": f"VALUE = '{name}!'"})
        for name in ("one", "two")
    ]
    assert [make() for make in both] == [("one", "one", "one!"), ("two", "two", "two!")]
    assert "helper" not in sys.modules and "late" not in sys.modules


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("import p.q\nX = p.q.V, p.V", (2, 1)),
        ("import p.q as r\nX = r.V", 2),
        ("from p import q, V\nX = q.V, V", (2, 1)),
        ("from p import *\nX = q.V", 2),
        ("import importlib\nX = importlib.import_module('p.q').V, importlib.util.find_spec is not None", (2, True)),
        ("from importlib import import_module\nX = import_module('.q', 'p' if False else __package__ + '.p').V", 2),
        ("X = __import__('p.q').q.V", 2),
        ("import p.up\nX = p.up.V", 1),
        ("import numpy.linalg, os.path\nX = numpy.linalg.norm([3, 4]), os.path.basename('a/b')", (5, "b")),
        ("import xml.dom as d\nX = d.__name__", "xml.dom"),
        ("from n.m import V\nX = V", 4),
        ("import circle\nA = 5\nX = circle.late()", 5),
    ],
)
def test_every_way_to_import_finds_the_neighbours(text: str, value: Any, tmp_path: Path) -> None:
    files = {
        "p/__init__.py": "V = 1\n__all__ = ['q']", "p/q.py": "V = 2", "p/up.py": "from . import V", "n/m.py": "V = 4",
        "circle.py": "def late():\n    import mine\n    return mine.A",
    }  # fmt: skip
    text = text if "import_module('.q'" not in text else f"import p.q\n{text}"
    assert loaded(tmp_path, {**files, "mine.py": text}) == value


def test_what_was_read_runs_and_not_what_lies_there_by_then(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def X():\n    import helper\n    return helper.V")
    (tmp_path / "helper.py").write_text("V = 1")
    source = read_source(f"{tmp_path}/mine.py:X")
    (tmp_path / "mine.py").write_text("raise SystemExit")
    (tmp_path / "helper.py").unlink()
    assert load(source)() == 1


def test_a_neighbour_that_was_not_seen_is_refused_and_never_taken_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "hidden.py").write_text("V = 'elsewhere'")
    monkeypatch.syspath_prepend(str(other))
    text = "import importlib\ndef X(how):\n    return how('hid' + 'den')\ndef Y(): return X(__import__)\n"
    text += "def Z(): return X(importlib.import_module)"
    folder = tmp_path / "here"
    for attribute in ("Y", "Z"):
        call = loaded(folder, {"mine.py": text, "hidden.py": "V = 'here'"}, attribute)
        with pytest.raises(ImportError, match="'hidden' is not among the files that were read"):
            call()


def test_the_text_of_what_ran_is_at_hand(tmp_path: Path) -> None:
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom helper import V\n\n"
        "@dataclass\nclass X:\n    a: V\n    b: int = 2\n"
    )
    cls = loaded(tmp_path, {"mine.py": text, "helper.py": "V = float"})
    assert cls(1.0).b == 2
    assert typing.get_type_hints(cls) == {"a": float, "b": int}
    (tmp_path / "mine.py").write_text("changed = 1")
    assert inspect.getsource(cls).startswith("@dataclass\nclass X:")
    assert inspect.getfile(cls) == str(tmp_path / "mine.py")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("def f(:", "SyntaxError"),
        ("Xy = 1", "has no 'X'. Did you mean 'Xy'?"),
    ],
)
def test_what_cannot_be_imported_says_why_and_can_be_mended(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        loaded(tmp_path, {"mine.py": text})
    assert said in str(caught.value)
    assert loaded(tmp_path, {"mine.py": "X = 1"}) == 1


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("def X(): ...", True),
        ("X = lambda: 1", True),
        ("class X: ...", True),
        ("from helper import X", True),
        ("import functools\nX = functools.partial(lambda a: a, 1)", True),
        ("import functools\n@functools.cache\ndef X(): ...", True),
        ("class A:\n    def f(self): ...\nX = A().f", True),
        ("from os import system as X", False),
        ("from subprocess import run as X", False),
        ("from shutil import rmtree as X", False),
        ("import functools, os\nX = functools.partial(os.system, 'true')", False),
        ("X = exec", False),
        ("from pathlib import Path as X", False),
        ("import subprocess, functools\nX = functools.partial(functools.partial(subprocess.run), 'true')", False),
    ],
)
def test_what_a_file_only_passes_on_is_not_its_own(text: str, own: bool, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(text)
    (tmp_path / "helper.py").write_text("def X(): ...")
    source = read_source(f"{tmp_path}/mine.py:X")
    assert is_own(source, load(source)) is own
