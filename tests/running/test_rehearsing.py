"""A dry run begins nothing, gives back the settings, and its forecast is of the right size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dsbench.cli import main
from dsbench.config import RunConfig, resolve, run_id
from dsbench.errors import DsbenchError
from dsbench.running import launcher
from dsbench.running.rehearsing import UPDATES, _training, costs_of, rehearsal
from dsbench.running.worker_process import Outcome
from tests.running.inline import Inline, tiny


@pytest.fixture
def inline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inline:
    return Inline(tmp_path, monkeypatch)


def in_process(inline: Inline) -> Any:
    """Does runs here, in the folder that is named."""

    def run_all(configs: Sequence[RunConfig], results: Path) -> list[Outcome]:
        outcomes = []
        for config in configs:
            code = inline.run(config, str(results))
            message = str(inline.told.get("error", ""))
            outcomes.append(Outcome(run_id(config), "ok" if code == 0 else "refused", code, None, message))
        return outcomes

    return run_all


def test_a_folder_is_about_as_large_as_was_said(inline: Inline) -> None:
    config = tiny()
    (cost,) = costs_of([config], in_process(inline))
    assert not (inline.tmp / "results").exists() and cost.seconds > 0
    assert inline.run(config) == 0
    files = [path for path in inline.folder(config).path.rglob("*") if path.is_file()]
    assert 0.5 < cost.size / sum(path.stat().st_size for path in files) < 2


def test_seeds_of_one_run_are_rehearsed_once_and_scripts_too(inline: Inline) -> None:
    rehearsed = []
    inner = in_process(inline)

    def run_all(configs: Sequence[RunConfig], results: Path) -> list[Outcome]:
        rehearsed.extend(configs)
        return list(inner(configs, results))

    runs = [tiny(f"seed={seed}") for seed in range(3)] + [tiny(policy="random")]
    costs = costs_of(runs, run_all)
    assert len(rehearsed) == 2 and len(costs) == 4 and costs[0] == costs[1] == costs[2] != costs[3]


def test_a_rehearsal_that_is_refused_says_why(inline: Inline) -> None:
    with pytest.raises(DsbenchError, match="no option 'nope'"):
        costs_of([tiny("backbone.nope=1")], in_process(inline))


def test_the_first_update_pays_once_for_what_is_loaded() -> None:
    times = [10.0, 10.1, 10.2, 10.3]
    records = [{"metric": "loss", "phase": "train", "step": step + 1, "time": one} for step, one in enumerate(times)]
    assert _training(records, 5.3, 1_000) == pytest.approx(5.3 - 0.4 + 100.0)
    assert _training([], 2.0, 10 * UPDATES) == 20.0


def test_a_rehearsal_is_the_same_run_but_for_its_length() -> None:
    config = resolve(backbone="s4", env="umbrella", preset="paper", overrides=["train.seconds=60"])
    short = rehearsal(config, seed=7)
    assert (short.seed, short.train.updates, short.train.seconds) == (7, UPDATES, None)
    assert short.train.batch_size == config.train.batch_size and short.eval == config.eval


def test_a_dry_run_prints_settings_that_give_the_run_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSBENCH_DATA", str(tmp_path / "data"))
    asked = ["--backbone", "mlp", "--env", "umbrella", "--preset", "smoke", "--seed", "3", "--match", "params=5k"]
    asked += ["--set", "train.lr=1e-05", "--set", "env.chain_length=5", "--results", str(tmp_path / "results")]
    assert main(["run", *asked, "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert not (tmp_path / "results").exists()
    (tmp_path / "again.yaml").write_text(text)
    again = resolve(config_file=tmp_path / "again.yaml")
    assert f"# Run    {run_id(again)}\n" in text and "# Costs  about " in text
    assert (again.seed, again.train.lr, again.match, again.env.options) == (3, 1e-5, "params=5k", {"chain_length": 5})
    assert launcher.state_of(again, tmp_path / "results") == "new"
