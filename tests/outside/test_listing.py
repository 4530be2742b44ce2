"""The backbones of a file are found in its text, and the one that it has is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsbench.backbones import BACKBONES
from dsbench.config import resolve, run_id
from dsbench.errors import UsageError
from dsbench.outside.listing import classes_in
from tests.outside.plugins import NET

ROOTS = BACKBONES._roots
assert ROOTS is not None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from dsbench.backbones import Backbone\nclass A(Backbone): ...", ["A"]),
        ("from dsbench.backbones import Backbone as B\nclass A(B): ...\nclass C(A): ...", ["A", "C"]),
        ("import dsbench.backbones as b\nclass A(b.Backbone): ...\nclass _Hidden(A): ...", ["A"]),
        ("from dsbench.backbones import Mixer, ResidualBackbone\nclass M(Mixer): ...\nclass A(ResidualBackbone): ...", ["A"]),
        ("from dsbench.backbones import Mixer\nclass M(Mixer): ...", ["M"]),
        ("from dsbench.backbones.lstm import LSTM\nclass A(LSTM): ...", ["A"]),
        ("from dsbench.backbones import Backbone\nclass Base(Backbone, abstract=True): ...\nclass A(Base): ...", ["A"]),
        ("class Backbone: ...\nclass Other: ...", []),
        ("from torch import nn\nclass A(nn.Module): ...", []),
    ],
)  # fmt: skip
def test_classes_are_told_by_what_they_are_built_on(text: str, found: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f"raise SystemExit('it was run')\n{text}")
    assert classes_in(f"{tmp_path}/a.py", ROOTS) == found


def test_the_only_class_is_taken_and_names_the_run_as_if_it_were_given(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "helper.py").write_text("SCALE = 1.0\n")
    short, whole = (resolve(backbone=f"{tmp_path}/net.py{end}", env="umbrella") for end in ("", ":Net"))
    assert short == whole and run_id(short) == run_id(whole)


def test_of_several_each_is_named(tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(
        "from dsbench.backbones import Backbone\nclass A(Backbone): ...\nclass B(Backbone): ..."
    )
    with pytest.raises(UsageError) as caught:
        resolve(backbone=f"{tmp_path}/two.py", env="umbrella")
    assert str(caught.value).split("\n")[1:] == [f"  {tmp_path}/two.py:A", f"  {tmp_path}/two.py:B"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no file"),
        ("", "has no class that is built on Backbone or ResidualBackbone or Mixer"),
        ("x = 1\nclass A(:\n", "line 2"),
        ("\0", "is no Python"),
    ],
)
def test_a_file_without_one_is_refused_with_the_reason(text: str | None, said: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "a.py").write_text(text)
    with pytest.raises(UsageError) as caught:
        resolve(backbone=f"{tmp_path}/a.py", env="umbrella")
    assert said in str(caught.value)
