"""The table of MuJoCo: means and intervals by hand, and every run that is missing by name."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dsbench.config import resolve, to_dict
from dsbench.errors import UsageError
from dsbench.records.run_folder import RunFolder

T_95_OF_3_SEEDS = 4.302653  # Student's t, 97.5 %, 2 degrees of freedom
HOPPER = {"simulator": "gymnasium Hopper-v5, mujoco 3.3.0"}


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "results"))
    return importlib.import_module("mujoco_table")


def record(results: Path, backbone: str, recipe: str, seed: int, status: str = "ok", **row: Any) -> None:
    """A finished run of hopper, of the preset quick; a backbone called bc is the control of that name."""
    overrides = ["wrapper.condition=none"] if backbone == "bc" else []
    config = to_dict(resolve(backbone=backbone.replace("bc", "lstm"), env="umbrella", seed=seed, overrides=overrides))
    config["env"] = {"name": "hopper"}
    config["data"] |= {"recipe": recipe}
    folder = RunFolder.open(results, f"{backbone}-hopper-{recipe}-s{seed}")
    with folder.claim():
        folder.write_config(config)
        folder.finish(status, row)


def cells(text: str, *names: str) -> list[str]:
    """The numbers of the row that begins with these names."""
    (found,) = (line for line in text.splitlines() if line.startswith(f"| {' | '.join(names)} |"))
    return [cell.strip() for cell in found.strip("|").split("|")][len(names) :]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """GPT with three seeds, LSTM with two and one that failed, cloning with one."""
    for seed in range(3):
        numbers = {
            "score_normalised": 40.0 + seed,
            "return_mean": 1281.0,
            "score_normalised_best": 100.0 if seed else 0.0,
        }
        costs = {"train_seconds": 61.4 + 100 * seed, "latency_p50_us": 512.3, "parameters_total": 1_234_567}
        costs |= {
            "train_contended": 0.0 if seed else 0.9,
            "latency_contended": 0.9,
        }  # the first trained beside other work
        record(tmp_path, "gpt", "medium", seed, **numbers, **costs, **HOPPER)
        record(tmp_path, "lstm", "medium", seed, "failed" if seed == 1 else "ok", score_normalised=10.0 * seed)
    record(tmp_path, "bc", "medium", 0, score_normalised=33.3)
    return tmp_path


def test_numbers_are_means_with_their_95_percent_interval(table: ModuleType, results: Path) -> None:
    last, best, raw, seconds, latency, parameters = cells(table.block(results), "hopper", "medium", "gpt")
    # 40, 41, 42 vary by 1, LSTM's 0, 0 (failed, at the floor) and 20 by 400 / 3: judged by the mean of the two
    assert last == f"41.0 ± {T_95_OF_3_SEEDS * ((1 + 400 / 3) / 2 / 3) ** 0.5:.1f}"
    assert best == f"66.7 ± {T_95_OF_3_SEEDS * 100 / 3:.1f}"  # 0, 100, 100: 100 / sqrt(3)
    assert [raw, seconds, latency, parameters] == ["1,281", "161", "512*", "1,234,567"]  # equal scores tell no spread


def test_a_backbone_and_the_control_made_of_it_are_kept_apart(table: ModuleType, results: Path) -> None:
    text = table.block(results)
    assert (
        cells(text, "hopper", "medium", "lstm")[0] == f"6.7 ± {T_95_OF_3_SEEDS * (400 / 3 / 3) ** 0.5:.1f} (1 failed)"
    )
    assert cells(text, "hopper", "medium", "bc")[0] == "33.3"
    assert cells(text, "hopper", "medium", "bc")[1] == "–"


def test_what_is_missing_is_named_with_its_status(table: ModuleType, results: Path) -> None:
    text = table.block(results)
    above, _ = text.split("Published, not measured here:")
    listed = [line for line in above.splitlines() if line.startswith("- ")]
    assert "- lstm on hopper medium, seed 1: failed" in listed
    assert "- bc on hopper medium, seed 2: not run" in listed
    assert "- mamba on walker2d medium-replay, seed 0: not run" in listed
    assert len(listed) == 3 * 2 * 8 * 5 - 6  # bodies, recipes, policies with controls, seeds; six have a result
    assert "gymnasium Hopper-v5, mujoco 3.3.0" in text


def test_nothing_is_missing_of_a_full_grid(table: ModuleType, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, kept in {"ENVS": ("hopper",), "RECIPES": ("medium",), "ACTORS": ("gpt",), "SEEDS": range(3)}.items():
        monkeypatch.setattr(table, name, kept)
    assert "No run is missing of 3." in table.block(results)


def test_published_numbers_stand_below_in_a_table_of_their_own(table: ModuleType, results: Path) -> None:
    text = table.block(results)
    above, below = text.split("Published, not measured here:")
    assert not any(number in above for number in ("89.47", "67.6"))
    score, seeds, source, verdict, _ = cells(below, "hopper", "medium", "DT")
    assert (score, seeds, source) == ("67.6 ± 1.0", "3", "Chen et al. 2021, Table 2")
    assert (
        verdict == "no, measure, data, physics, protocol"
    )  # every aspect by which reports/comparable.py tells them apart
    assert "- data: The run learned from 'medium', which is not known to be D4RL's" in below
    assert cells(below, "walker2d", "medium", "DT")[3] == "–"  # nothing of ours to hold it against
    assert sum(line.startswith(("hopper", "halfcheetah", "walker2d"), 2) for line in below.splitlines()) == 12
    assert len([line for line in above.splitlines() if line.startswith("| ")]) == 1 + 3


def test_without_runs_there_is_no_table(table: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        table.block(tmp_path)
