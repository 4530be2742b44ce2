"""``dsbench data``: what is made is found, shown, exported and imported again; faults take one line and exit code 2."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dsbench.cli import main
from dsbench.cli.app import app
from tests.envs.data.formats import flat_arrays, write_d4rl

COMMANDS = ("make", "list", "info", "import", "export")
SMALL = ("--env", "umbrella", "--recipe", "mixed", "--episodes", "20", "--set", "env.chain_length=3")


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DSBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def listed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    capsys.readouterr()
    assert main(["data", "list", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_help_is_there_with_examples() -> None:
    runner = CliRunner()
    overview = runner.invoke(app, ["data", "--help"]).output
    for command in COMMANDS:
        assert command in overview
        assert f"dsbench data {command}" in runner.invoke(app, ["data", command, "--help"]).output


def test_made_sets_are_listed_and_described(capsys: pytest.CaptureFixture[str]) -> None:
    assert listed(capsys) == []
    assert main(["data", "make", *SMALL]) == 0
    shown = capsys.readouterr().out
    assert "20 (60 timesteps)" in shown
    run = "--data mixed --seed 0 --set env.chain_length=3 --set data.episodes=20"  # reads this very set
    assert shown.rstrip().endswith(run)
    (one,) = listed(capsys)
    assert (one["env"], one["recipe"], one["episodes"], one["problem"]) == ("umbrella-v0", "mixed", 20, "")
    assert main(["data", "list"]) == 0
    assert str(one["set"]) in capsys.readouterr().out
    assert main(["data", "info", str(one["set"])]) == 0
    assert "verified" in capsys.readouterr().out
    assert main(["data", "info", str(one["path"]), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sha256"] == one["sha256"]


def test_the_default_is_what_a_run_takes(capsys: pytest.CaptureFixture[str]) -> None:
    from dsbench.config import resolve

    assert main(["data", "make", "--env", "umbrella", "--recipe", "random"]) == 0
    expected = resolve(backbone="gpt", env="umbrella").data.episodes
    assert listed(capsys)[0]["episodes"] == expected


def test_timesteps_may_be_asked_for_and_both_sizes_may_not(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["data", "make", "--env", "umbrella", "--recipe", "random", "--set", "env.chain_length=3"]
    assert main([*asked, "--timesteps", "50"]) == 0
    shown = capsys.readouterr().out
    assert "17 (51 timesteps)" in shown
    assert "--set data.timesteps=50" in shown
    assert main([*asked, "--timesteps", "50", "--episodes", "5"]) == 2
    assert "a data set has one size" in capsys.readouterr().err


@pytest.mark.parametrize("to", ["minari:test/umbrella-v0", "folder:out"])
def test_what_is_exported_can_be_loaded_again(to: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "export", *SMALL, "--to", to]) == 0
    made = listed(capsys)[0]["sha256"]
    if to.startswith("minari"):
        options = ("--env", "umbrella", "--set", "env.chain_length=3", "--name", "mine")
        assert main(["data", "import", to, *options]) == 0
        assert "--data imported:mine --set env.chain_length=3" in capsys.readouterr().out
        assert {one["set"]: one["sha256"] for one in listed(capsys)}["imported/mine"] == made
        assert main(["data", "info", "imported:mine"]) == 0
        assert "left out" in capsys.readouterr().out
    else:
        assert main(["data", "info", "out", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["sha256"] == made


def test_a_damaged_set_is_listed_with_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    main(["data", "make", *SMALL])
    (one,) = listed(capsys)
    (Path(str(one["path"])) / "manifest.json").write_text("{")
    assert "not valid JSON" in str(listed(capsys)[0]["problem"])
    assert main(["data", "list"]) == 0
    assert main(["data", "info", str(one["set"])]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("make --env umbrela --recipe mixed", "Did you mean 'umbrella'"),
        ("make --env umbrella --recipe mixd", "Did you mean 'mixed'"),
        ("make --env umbrella --recipe mixed --set train.lr=1", "is no option of the environment"),
        ("make --env umbrella --recipe mixed --set env.chain_lenght=1", "Did you mean 'chain_length'"),
        ("info nothing", "unknown data set 'nothing'"),
        ("import d4rl:x.hdf5 --env umbrella --name mine", "x.hdf5: observations: has shape"),
        ("import d4rl:page.hdf5 --env umbrella --name mine", "begins with an HTML page"),
        ("import d4rl:x.hdf5 --env umbrella --name mine --sha256 00", "its sha256 is"),
        ("import d4rl:x.hdf5 --env umbrella --name mine --max-gb 0", "max-gb"),
        ("import minari:test/none-v0 --env umbrella --name mine", "fetch it with dsbench data import --download"),
        ("export --env umbrella --recipe mixed --episodes 3 --to zip:x", "is not of the form minari:ID or folder:PATH"),
        ("export --env umbrella --recipe mixed --episodes 3 --to minari:x", "'x' is no Minari id"),
        ("export --env umbrella --recipe mixed --episodes 3 --to minari:q/x-v0", "'q/x-v0' is no Minari id"),
    ],
)
def test_a_mistake_takes_one_line_and_exit_code_2(
    arguments: str, message: str, places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_d4rl(places / "x.hdf5", flat_arrays() | {"actions": np.zeros(60)})
    (places / "page.hdf5").write_text("<html>not found</html>")
    assert main(["data", *arguments.split()]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Error")]
    assert message in line
