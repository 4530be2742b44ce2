"""A table says which runs learned from data of other physics, and takes runs from before a setting came as what they are."""

from __future__ import annotations

from pathlib import Path

from dsbench.config.naming import LATER
from dsbench.reports.groups import read_groups
from dsbench.reports.table import markdown
from tests.reports.test_table import make_run


def test_runs_on_data_of_other_physics_are_named_under_the_table(tmp_path: Path) -> None:
    make_run(tmp_path, "s4", 0)
    assert "other physics" not in markdown(tmp_path)
    note = "data made in Hopper-v4, evaluated in Hopper-v5"
    run = make_run(tmp_path, "gpt", 0, result_physics_note=note)
    assert f"Learned from data of other physics:\n\n- {note}: `{run}`\n" in markdown(tmp_path)


def test_a_run_from_before_a_setting_is_a_seed_of_the_group_with_its_old_value(tmp_path: Path) -> None:
    make_run(tmp_path, "s4", 0)
    now = {"data.allow_other_physics": False, "train.balance_returns": False, "policy": "learned"}
    assert now.items() <= LATER.items()
    make_run(tmp_path, "s4", 1, **now)
    (group,) = read_groups(tmp_path)
    assert [run.seed for run in group.runs] == [0, 1] and group.setting == ""
    make_run(tmp_path, "s4", 0, **{"train.balance_returns": True})
    assert [group.setting for group in read_groups(tmp_path)] == [
        "train.balance_returns=false", "train.balance_returns=true"
    ]  # fmt: skip
