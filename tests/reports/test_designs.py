"""Means over seeds that move other things, or of other versions of results: nowhere in one mean, one contest or one pool."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsbench.config.settings import ROLES
from dsbench.errors import UsageError
from dsbench.reports.content.build import build
from dsbench.reports.content.gathering import tasks_of
from dsbench.reports.content.judging import judge
from dsbench.reports.groups import read_groups
from dsbench.reports.outcomes import design_of
from dsbench.reports.table import rows
from tests.reports.synthetic import seeds
from tests.test_pages import script

pytestmark = pytest.mark.usefixtures("undrawn")
FREE = {"data.seed": None, "eval.seed": None}
DESIGNS: dict[str, dict[str, Any]] = {
    "held": {},
    "free": {"settings": FREE},
    "of weights": {"settings": FREE | {"vary": ["init", "batches"]}},
    "of version 2": {"origin": {"result_version": 2}},
    "free, of version 2": {"settings": FREE, "origin": {"result_version": 2}},
}


def spread(mean: float) -> list[float]:
    return [mean + 0.01 * step for step in (-2, -1, 0, 1, 2)]


@pytest.mark.parametrize(("one", "other"), itertools.combinations(DESIGNS, 2))
def test_contestants_of_two_designs_are_never_compared_nor_averaged(tmp_path: Path, one: str, other: str) -> None:
    """The same backbone under both, and a backbone that only one of them has: two tasks, no pair across."""
    seeds(tmp_path, "lstm", "umbrella", spread(0.9), **DESIGNS[one])
    seeds(tmp_path, "lstm", "umbrella", spread(0.1), **DESIGNS[other])
    seeds(tmp_path, "gpt", "umbrella", spread(0.5), **DESIGNS[other])
    tasks = tasks_of(read_groups(tmp_path), {})
    assert sorted(len(task.learned) for task in tasks) == [1, 2]
    assert len({task.title for task in tasks}) == 2
    assert judge(tasks).claims.family == 1
    assert sorted((row["backbone"], round(row["metrics"]["score"]["mean"], 9)) for row in rows(tmp_path)) == [
        ("gpt", 0.5), ("lstm", 0.1), ("lstm", 0.9),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other"), [pair for pair in itertools.combinations(DESIGNS, 2) if pair != ("held", "of weights")]
)  # of these two the seeds move the same
def test_tasks_of_two_designs_are_never_pooled(tmp_path: Path, one: str, other: str) -> None:
    for env, design in (("a", one), ("b", one), ("c", other)):
        for backbone, mean in (("lstm", 0.9), ("gpt", 0.5)):
            seeds(tmp_path, backbone, env, spread(mean), **DESIGNS[design])
    found = judge(tasks_of(read_groups(tmp_path), {"a": "all", "b": "all", "c": "all"}))
    assert found.overall is not None
    assert {task.env for task in found.overall.members} == {"a", "b"}
    assert not found.families  # one of its three tasks is not pooled
    (text,) = found.overall.left_out
    assert "not pooled" in text and ("version" in text or "moved by the seeds" in text) and text.endswith(": c.")
    assert any("c." in line for line in build(tmp_path, {}).report.sections[0].paragraphs)


def test_a_title_tells_a_seed_of_data_from_that_of_a_run(tmp_path: Path) -> None:
    seeds(tmp_path, "lstm", "umbrella", spread(0.9))
    seeds(tmp_path, "lstm", "umbrella", spread(0.9), settings=FREE)
    assert {task.title for task in tasks_of(read_groups(tmp_path), {})} == {"umbrella", "umbrella, data.seed=0"}


@given(
    vary=st.sets(st.sampled_from(ROLES)),
    data=st.none() | st.integers(0, 9),
    played=st.none() | st.integers(0, 9),
    recipe=st.sampled_from(["random", "minari:a/b", "file:x.hdf5"]),
)
def test_the_roles_of_a_design_are_those_that_nothing_holds(
    vary: set[str], data: int | None, played: int | None, recipe: str
) -> None:
    settings = {"vary": json.dumps(sorted(vary)), "data.seed": data, "eval.seed": played, "data.recipe": recipe}
    given_ = {name: value for name, value in settings.items() if value is not None}
    found = set(design_of(given_).varied)
    assert found <= vary and {"init", "batches"} & vary == {"init", "batches"} & found
    assert ("data" in found) == ("data" in vary and data is None and ":" not in recipe)
    assert ("eval" in found) == ("eval" in vary and played is None)


def test_tables_in_the_readme_refuse_a_mixture() -> None:
    module = script("markdown_table")
    columns = {"status": "ok", "policy": "learned", "result.success_metric": "correct"}
    old = [columns | {"seed": seed, "result.correct": 0.1 * seed} for seed in range(3)]
    new = [row | {"result.varied": "init, batches, data, eval"} for row in old]
    for cells in ({"gpt": old + new}, {"gpt": old, "lstm": new}):
        with pytest.raises(UsageError, match="expected one of them"):
            module.scored({name: pd.DataFrame(own) for name, own in cells.items()}, "correct", lambda mean: 3)
    assert module.scored({"gpt": pd.DataFrame(new)}, "correct", lambda mean: 3)["gpt"].startswith("0.100 ±")
