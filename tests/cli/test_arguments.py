"""Arguments of every command: paths that can be none, grids that are larger than meant, numbers that are none."""

from __future__ import annotations

import inspect
import os
import pty
import time
import typing
from pathlib import Path
from typing import Any

import pytest
import typer

from dsbench.cli import main
from dsbench.cli.app import app
from dsbench.cli.arguments import MANY, MOST, a_path, ask_if_many, finite
from dsbench.config import resolve
from dsbench.config.sources import parse_override
from dsbench.errors import UsageError
from dsbench.running.sweep import expand, parse_seeds
from dsbench.studies.grid import cells_of
from dsbench.studies.study_file import Study


def commands() -> list[Any]:
    groups: list[typer.Typer] = [
        app,
        *(group.typer_instance for group in app.registered_groups if group.typer_instance),
    ]
    return [command.callback for group in groups for command in group.registered_commands if command.callback]


@pytest.mark.parametrize("command", commands(), ids=lambda command: command.__name__)
def test_every_path_of_every_command_is_checked(command: Any) -> None:
    hints = typing.get_type_hints(command, include_extras=True)
    for name in inspect.signature(command).parameters:
        kind, *infos = typing.get_args(hints[name]) or (hints[name],)
        if kind in (Path, typing.Optional[Path]):  # noqa: UP045
            assert [info.parser for info in infos] == [a_path], name


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 256, "a/" * 2_001, "/dev/null", "/dev/zero"])
def test_what_can_be_no_path_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="path of a file or a folder"):
        a_path(path)


def test_paths_that_may_be_are_taken(tmp_path: Path) -> None:
    for path in (str(tmp_path), str(tmp_path / "new"), ".", "x" * 255, os.fsdecode(b"caf\xe9")):
        assert a_path(path) == Path(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(UsageError):
        finite("--limit", value)


# ------------------------------------------------------------------ --set


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=[1,[2,3],[]]", [1, [2, 3], []]),
        ("a=['x,y',\"z]\",it's]", ["x,y", "z]", "it's"]),
        ("a=[ 1 , 2 ]", [1, 2]),
        ("a=[]", []),
        ("a='[1'", "[1"),
        ("a=x=y", "x=y"),
        ("a=٣", "٣"),  # no digit of ours: text
        ("a=" + "9" * 300, int("9" * 300)),
    ],
)
def test_values_are_read_as_they_are_written(text: str, value: Any) -> None:
    assert parse_override(text) == ("a", value)


@pytest.mark.parametrize(
    "text",
    ["a=[,]", "a=[1,,2]", "a=[1,]", "a=[", "a=[[1]", "a=['x,y]", "a=" + "9" * 5_000, "a=1e999", "a=" + "[" * 9 + "]" * 9,
     "a=\ud800", "a." * 8 + "a=1", "a." * 5_000 + "a=1", "\ud800=1", "٣=1"],
)  # fmt: skip
def test_what_is_no_value_is_refused_at_once(text: str) -> None:
    began = time.perf_counter()
    with pytest.raises(UsageError, match="^--set"):
        parse_override(text)
    assert time.perf_counter() - began < 1


def test_a_long_list_takes_time_by_its_length_alone() -> None:
    began = time.perf_counter()
    assert len(parse_override(f"a=[{','.join(['x'] * 100_000)}]")[1]) == 100_000
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("preset=[a]", "preset is ['a']; expected a name"),
        ("preset=1", "preset is 1; expected a name"),
        ("preset=true", "preset is True; expected a name"),
        ("backbone.options.name=evil", "backbone: options.name would hide name"),
        ("backbone.options.d_model=3", "backbone: options.d_model would hide d_model"),
        ("env.options.name=evil", "env: options.name would hide name"),
        ("backbone.options.options=1", "backbone: options.options would hide options"),
        ("device=cuda:٣", "device is 'cuda:٣'; expected auto, cpu, cuda or cuda:<number>"),
        ("match=params=" + "9" * 400, "says no size"),
        ("match=[a]", "match is ['a']; expected"),
        ("data.recipe=''", "data.recipe is ''; expected a name"),
    ],
)
def test_settings_of_another_kind_are_told(override: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(backbone="s4", env="umbrella", overrides=[override])
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_an_option_that_is_no_name_or_no_plain_value_is_refused() -> None:
    from dsbench.config import from_dict

    deep: Any = 1
    for _ in range(5_000):
        deep = [deep]
    for key, value in (("a-b", 1), ("", 1), ("a", deep), ("a", 10**6_000), ("a", "\ud800"), ("a", float("inf"))):
        with pytest.raises(UsageError) as caught:
            from_dict({"backbone": {"name": "s4", key: value}, "env": {"name": "umbrella"}})
        assert len(str(caught.value)) < 600


def test_an_empty_data_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--backbone", "s4", "--env", "umbrella", "--data", ""]) == 2
    assert "data.recipe is ''" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "٣", "9" * 5_000, "9" * 5_000 + ",", "1001", "a", ","])
def test_seeds_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--seeds"):
        parse_seeds(text)


# ------------------------------------------------------------------ large grids


def huge(labels: int, axes: int) -> Study:
    """A study with `labels` settings on each of its axes."""
    names = {
        f"a{place}": {str(label): {"train.updates": label} for label in range(1, labels + 1)} for place in range(axes)
    }
    return Study.model_validate(
        {
            "format": 1, "title": "t", "question": "q", "backbones": ["s4"], "envs": ["umbrella"], "axes": names,
            "table": {"rows": ["backbone"], "measures": ["score"]}, "sizes": {"smoke": {}, "quick": {}, "full": {}},
        }
    )  # fmt: skip


def test_a_grid_is_counted_before_it_is_made() -> None:
    began = time.perf_counter()
    for yes in (False, True):
        with pytest.raises(UsageError, match="1,000,000,000,000,000 runs are asked for"):
            cells_of(huge(1_000, 5), "quick", check=ask_if_many(yes))
        with pytest.raises(UsageError, match="runs are asked for"):
            expand("s4," * 3 + "gpt", "all", ",".join(map(str, range(1_000_000))), check=ask_if_many(yes))
    assert time.perf_counter() - began < 10


def test_more_than_ten_thousand_runs_need_a_yes_where_nobody_can_be_asked(capsys: pytest.CaptureFixture[str]) -> None:
    check = ask_if_many(yes=False)
    check(MANY)
    with pytest.raises(UsageError, match="add --yes"):
        check(MANY + 1)
    ask_if_many(yes=True)(MOST)
    seeds = ",".join(map(str, range(10_001)))
    assert main(["sweep", "--backbone", "s4", "--env", "umbrella", "--seeds", seeds, "--results", "/dev/null/x"]) == 2
    assert "10,001 runs" in capsys.readouterr().err


@pytest.mark.parametrize(("answer", "begins"), [("y\n", True), ("n\n", False)])
def test_on_a_terminal_a_person_is_asked(answer: str, begins: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
        if begins:
            ask_if_many(yes=False)(MANY + 1)
        else:
            with pytest.raises(UsageError, match="not begun"):
                ask_if_many(yes=False)(MANY + 1)
    os.close(ours)
