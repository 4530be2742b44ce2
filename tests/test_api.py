"""What Python users call does what the commands do, and the package shows nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import dsbench
from dsbench.cli import main
from dsbench.errors import UsageError

TINY = {"train.updates": 6, "data.episodes": 60, "eval.episodes": 4}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api") / "results"


@pytest.fixture(scope="module")
def rows(results: Path) -> pd.DataFrame:
    return dsbench.sweep(
        ["rnn", "lstm"], "umbrella", results, control="mlp", seeds=[3, 5], preset="smoke", settings=TINY, progress=False
    )


def test_the_package_shows_what_users_call_and_no_rooms() -> None:
    assert set(dir(dsbench)) == set(dsbench.__all__)
    assert {"run", "sweep", "load", "report", "load_policy", "ladder"} <= set(dir(dsbench))
    assert all(hasattr(dsbench, name) for name in dir(dsbench))


def test_importing_it_imports_nothing_heavy() -> None:
    code = "import dsbench, sys; dir(dsbench); assert not {'torch', 'numpy', 'pandas', 'pydantic'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_sweep_is_a_row_a_run_in_the_order_that_was_asked_for(rows: pd.DataFrame, results: Path) -> None:
    assert list(zip(rows["backbone"], rows["seed"], strict=True)) == [
        (name, seed) for name in ("rnn", "lstm", "mlp") for seed in (3, 5)
    ]
    assert set(rows["status"]) == {"ok"} and set(rows["train.updates"]) == {6}
    stored = dsbench.load(results).runs.set_index("run_id").loc[rows["run_id"]].reset_index()
    pd.testing.assert_frame_equal(stored[list(rows.columns)], rows)


def test_a_run_is_the_one_of_the_sweep_and_of_the_command(rows: pd.DataFrame, results: Path) -> None:
    row = dsbench.run(backbone="lstm", env="umbrella", seed=5, preset="smoke", settings=TINY, results=results)
    assert row["run_id"] in set(rows["run_id"])
    before = len(list((results / "runs").iterdir()))
    sets = [word for name, value in TINY.items() for word in ("--set", f"{name}={value}")]
    command = ["run", "--backbone", "lstm", "--env", "umbrella", "--seed", "5", "--preset", "smoke", *sets]
    assert main([*command, "--results", str(results)]) == 0
    assert len(list((results / "runs").iterdir())) == before


def test_a_report_is_handed_over_and_written(rows: pd.DataFrame, results: Path, tmp_path: Path) -> None:
    found = dsbench.report(results, out=tmp_path / "report")
    assert found.headline and any(section.tables for section in found.sections)
    assert (tmp_path / "report" / "report.html").exists()
    assert dsbench.report([results]) == found


def test_a_ladder_is_climbed_and_its_page_written(tmp_path: Path) -> None:
    found = dsbench.ladder(
        "memory-span", tmp_path, backbone="rnn", control="", seeds=1, to="20", preset="smoke", progress=False
    )
    assert any(section.name.startswith("ladder-") for section in found.sections)
    assert list((tmp_path / "ladders" / "memory-span").glob("*.html"))


def test_a_config_and_settings_besides_are_refused() -> None:
    config = dsbench.resolve(backbone="rnn", env="umbrella", preset="smoke")
    with pytest.raises(UsageError, match="resolve them together"):
        dsbench.run(config, seed=3)


@pytest.mark.parametrize("settings", [{"train.lr": [1, "a"]}, {"train.lrr": 0.1}, {"data.recipe": "it's"}])
def test_settings_are_checked_as_those_of_the_command_line(settings: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        dsbench.run(backbone="rnn", env="umbrella", settings=settings, results=tmp_path)
    assert not (tmp_path / "runs").exists()
