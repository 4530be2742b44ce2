"""Tasks labelled memory: the foot below which controls without memory must stay, and what is told where they do not."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsbench.envs import ENVS, get_spec
from dsbench.envs.spec import EnvSpec
from dsbench.records.tables import runs_table

ROOT = Path(__file__).parents[2]
SEEDS = range(5)


@pytest.fixture(scope="module")
def flags() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "results"))
        return importlib.import_module("memory_flags")


def rows(spec: EnvSpec, score: float, **columns: Any) -> list[dict[str, Any]]:
    """Both controls on every recipe, five seeds each, all with this score."""
    measure = "return_mean" if spec.success_metric == "return" else spec.success_metric
    return [
        {
            "env": spec.name, "data.recipe": recipe, "backbone": "mlp", "wrapper.previous_action": previous, "seed": seed,
            "status": "ok", "wrapper.condition": "return", "data.top_percent": None, f"result.{measure}": score, **columns,
        }
        for recipe in spec.recipes
        for previous in (None, True)
        for seed in SEEDS
    ]  # fmt: skip


def own_records() -> list[dict[str, Any]]:
    return runs_table(ROOT / "results" / "reference" / "studies").to_dict(orient="records")


@pytest.fixture(params=["memory-len", "cartpole-position"])
def spec(request: pytest.FixtureRequest) -> EnvSpec:
    return get_spec(request.param)


def test_the_foot_is_a_tenth_from_chance_or_half_way_from_random_play() -> None:
    assert get_spec("memory-len").foot == pytest.approx(0.55)
    assert get_spec("repeat-first").foot == pytest.approx(0.325)
    assert get_spec("cartpole-position").foot == pytest.approx((22.3 + 200) / 2, abs=0.1)
    assert get_spec("door-key").foot == pytest.approx((0.0338 + 0.965) / 2, abs=0.01)
    assert get_spec("key-to-door").foot == pytest.approx(0.0281 + 0.1 * (1 - 0.0281), abs=1e-3)
    assert get_spec("hopper").foot == pytest.approx((17.0 + 3234.3) / 2, abs=2)  # not from D4RL's constant of -20


def test_every_task_that_is_labelled_memory_has_a_foot_and_says_so_in_what_it_takes() -> None:
    for name in ENVS.names():
        own = get_spec(name)
        assert own.needs_memory is ("memory" in own.tests), name
        assert not own.needs_memory or own.foot is not None, name


def test_controls_at_the_foot_hold_a_label(flags: ModuleType, spec: EnvSpec) -> None:
    assert spec.foot is not None
    assert flags.misses(rows(spec, spec.foot), [spec]) == []
    missed = flags.misses(rows(spec, spec.foot + 0.01), [spec])
    assert len(missed) == 2 * len(spec.recipes) and all("above the foot" in miss for miss in missed)


@given(data=st.data())
def test_one_control_on_one_recipe_is_enough_to_lose_it(flags: ModuleType, data: st.DataObject) -> None:
    spec = get_spec("memory-len")
    assert spec.foot is not None
    made = rows(spec, 0.5)
    recipe, previous = data.draw(st.sampled_from(list(spec.recipes))), data.draw(st.sampled_from([None, True]))
    fault = data.draw(st.sampled_from(["high", "seed missing", "failed", "none", "other data"]))
    cell = [row for row in made if (row["data.recipe"], row["wrapper.previous_action"]) == (recipe, previous)]
    if fault == "high":
        cell[0]["result.correct"] = 1.0  # 0.6 in the mean
    elif fault == "seed missing":
        made.remove(cell[2])
    elif fault == "failed":
        cell[1]["status"] = "failed"
    elif fault == "none":
        made = [row for row in made if row not in cell]
    else:
        cell[3]["env.memory_length"] = 5.0
    (miss,) = flags.misses(made, [spec])
    assert miss.startswith(f"memory-len, {recipe}, {'copier' if previous else 'mlp'}: ")
    assert "make studies" in miss or fault == "high"


def test_seeds_count_once_and_other_sizes_not_at_all(flags: ModuleType, spec: EnvSpec) -> None:
    assert spec.foot is not None
    twice = [{**row, "seed": row["seed"] // 2} for row in rows(spec, spec.foot)]
    assert all("expected 5 seeds" in miss for miss in flags.misses(twice, [spec])) and flags.misses(twice, [spec])
    elsewhere = rows(spec, spec.optimal_return, **{"env.noise": 0.3})
    assert flags.misses([*rows(spec, spec.foot), *elsewhere], [spec]) == []
    assert flags.misses([*rows(spec, spec.foot), *rows(spec, 1e3, **{"wrapper.condition": "none"})], [spec]) == []


def test_where_the_previous_action_is_hidden_from_all_one_run_is_both_controls(flags: ModuleType) -> None:
    spec = get_spec("repeat-first")
    made = [
        row | {"wrapper.previous_action": False} for row in rows(spec, 0.25) if row["wrapper.previous_action"] is None
    ]
    assert flags.misses(made, [spec]) == []
    open_to_all = [row | {"wrapper.previous_action": None} for row in made]
    assert len(flags.misses(open_to_all, [spec])) == len(spec.recipes)


@pytest.mark.xfail(
    strict=True, reason="the records of `make studies` are from before the copier; made anew they take this off"
)
def test_the_labels_hold_in_the_project_s_own_records(flags: ModuleType) -> None:
    """Made by `make studies`; a cell that is missing counts against its label, but for tasks that await their first records."""
    measured = [spec for spec in flags.flagged() if spec.name not in flags.AWAITING]
    assert flags.misses(own_records(), measured) == []


def test_tasks_that_await_their_records_have_none_and_the_command_that_makes_them_names_them(flags: ModuleType) -> None:
    """The first record of such a task takes it off the list, and holds its label to all that others are held to."""
    awaiting = [spec for spec in flags.flagged() if spec.name in flags.AWAITING]
    assert [spec.name for spec in awaiting] == list(flags.AWAITING)
    assert not {row["env"] for row in own_records()} & set(flags.AWAITING), "take it off AWAITING"
    made = (ROOT / "Makefile").read_text().partition("\nMEMORY = ")[2].partition("\n")[0].split(",")
    assert {spec.name for spec in flags.flagged()} <= set(made)
    missed = flags.misses(own_records(), awaiting)
    cells = sum(len(spec.recipes) * len(flags.CONTROLS) for spec in awaiting)
    assert len(missed) == cells and all(flags.MADE_BY in miss for miss in missed)
