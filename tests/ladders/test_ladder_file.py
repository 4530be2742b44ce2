"""The format of a ladder: the shipped ones are sound, ten lines do, and what is wrong in a file is one sentence."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.errors import UnknownName, UsageError
from dsbench.ladders.known import ladders_in, remember, remembered, shipped_ladders, whole
from dsbench.ladders.ladder_file import FOLDER, Doubling, load_ladder, shipped
from dsbench.ladders.plan import Wishes, plan_of

ROOT = Path(__file__).parents[2]
TEN_LINES = """\
format: 1
title: How long is a bit kept?
env: memory-len
pass: 0.9
doubling: {setting: env.memory_length, from: 10, to: 80}
scale: timesteps from seeing to asking
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", sorted(shipped()))
def test_a_shipped_ladder_can_be_climbed_to_its_farthest_rung(name: str) -> None:
    _, file = load_ladder(name)
    plan = plan_of(name, file, Wishes(to=file.farthest))
    assert len(plan.rungs) >= 4
    assert {"mlp", "window"} <= set(plan.contestants)
    assert plan.seeds == (0, 1, 2, 3, 4)
    for rung in plan.rungs:
        assert len({config.train for config in rung.values()}) == 1, "the budget is the same for all"
    assert file.skill and file.question and file.scale


def test_ten_lines_make_a_ladder(tmp_path: Path) -> None:
    name, file = load_ladder(written(tmp_path, TEN_LINES))
    plan = plan_of(name, file, Wishes())
    assert [rung.label for rung in plan.ladder.rungs] == ["10", "20", "40", "80"]
    assert [rung.settings for rung in plan.ladder.rungs] == [{"env.memory_length": n} for n in (10, 20, 40, 80)]
    assert plan.ladder.takes_memory
    assert plan.contestants == ["gpt", "s4d", "mamba", "lstm", "mlp", "copier", "window"]


def test_a_window_as_long_as_the_episode_grows_with_the_rung(tmp_path: Path) -> None:
    name, file = load_ladder(written(tmp_path, TEN_LINES + "of_backbone: {gpt: {backbone.context_len: episode}}\n"))
    plan = plan_of(name, file, Wishes())
    assert [rung["gpt"].backbone.options["context_len"] for rung in plan.rungs] == [11, 21, 41, 81]
    assert "context_len" not in plan.rungs[0]["lstm"].backbone.options


def test_a_copier_with_nothing_to_copy_is_the_mlp(tmp_path: Path) -> None:
    name, file = load_ladder(written(tmp_path, TEN_LINES + "set: {wrapper.previous_action: false}\n"))
    plan = plan_of(name, file, Wishes())
    assert plan.same == {"copier": "mlp"}
    assert "copier" not in plan.contestants


def test_what_a_user_asks_for_wins_and_twice_doubles_the_updates(tmp_path: Path) -> None:
    name, file = load_ladder(written(tmp_path, TEN_LINES))
    once = plan_of(
        name, file, Wishes(backbones=["rnn"], controls=[], seeds=(7, 9), to="20", overrides=("train.updates=70",))
    )
    twice = plan_of(name, file, Wishes(backbones=["rnn"], controls=[], overrides=("train.updates=70",), twice=True))
    assert once.contestants == ["rnn"] and len(once.rungs) == 2
    assert [config.seed for config in once.runs_at(0, ["rnn"])] == [7, 9]
    assert (once.rungs[0]["rnn"].train.updates, twice.rungs[0]["rnn"].train.updates) == (70, 140)


@given(
    first=st.integers(1, 50),
    steps=st.integers(1, 8),
    times=st.sampled_from([2.0, 3.0, 0.5, 1.5]),
    beyond=st.integers(0, 2),
)
@settings(max_examples=200, deadline=None)
def test_doublings_begin_and_end_where_they_say_and_run_one_way(
    first: int, steps: int, times: float, beyond: int
) -> None:
    last = first * times**steps
    end = last * times**beyond if beyond else None
    values = Doubling.model_validate(
        {"setting": "env.x", "from": first, "to": last, "times": times, "beyond": end}
    ).values()
    assert values[0] == first
    assert values[-1] == pytest.approx(end or last, abs=0.5)
    assert values == sorted(set(values), reverse=times < 1)


WRONG = {
    "format is 2": ("format: 1", "format: 2"),
    "either doubling or rungs": ("doubling: {setting: env.memory_length, from: 10, to: 80}", ""),
    "is reached by times": ("to: 80", "to: 5"),
    "more than 100 rungs": ("to: 80", "to: 80, times: 1.01"),
    "unknown setting": ("scale:", "scales:"),
    "pass is missing": ("pass: 0.9", ""),
    "Did you mean 'memory-len'": ("env: memory-len", "env: memory-lenn"),
    "memory_lenght": ("env.memory_length", "env.memory_lenght"),
    "which a ladder decides otherwise": ("scale:", "set: {seed: 3}\nscale:"),
    "controls has 'random'": ("scale:", "controls: [random]\nscale:"),
    "expected an integer from 1 to 10000": ("to: 80", "to: 20480"),
}  # fmt: skip


@pytest.mark.parametrize("expected", WRONG)
def test_what_is_wrong_in_a_file_is_said_in_one_line(tmp_path: Path, expected: str) -> None:
    old, new = WRONG[expected]
    with pytest.raises(UsageError) as caught:
        plan_of(*load_ladder(written(tmp_path, TEN_LINES.replace(old, new))), Wishes())
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_names_come_with_the_closest_one(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="memory-span"):
        load_ladder("memory-spam")
    name, file = load_ladder(written(tmp_path, TEN_LINES))
    with pytest.raises(UnknownName, match="--to"):
        plan_of(name, file, Wishes(to="35"))


def test_a_stranger_s_code_does_not_run_for_being_named_in_a_ladder(tmp_path: Path) -> None:
    (tmp_path / "trap.py").write_text("raise SystemExit('it ran')")
    text = TEN_LINES.replace("env: memory-len", f"env: {tmp_path / 'trap.py'}:task")
    with pytest.raises(UsageError, match="was not named by you"):
        plan_of(*load_ladder(written(tmp_path, text)), Wishes())


def test_a_ladder_of_one_s_own_is_remembered_beside_its_runs(tmp_path: Path) -> None:
    name, file = load_ladder(written(tmp_path, TEN_LINES))
    ladder = whole(name, file, Wishes(backbones=["lstm"], to="20"))
    assert ladder == plan_of(name, file, Wishes()).ladder, "all of it, whoever climbs how far now"
    remember(whole(name, file, Wishes(overrides=("data.episodes=50",))), tmp_path)
    remember(ladder, tmp_path)
    assert remembered([tmp_path]) == [ladder]
    assert ladder in ladders_in([tmp_path], ["memory-len"])
    for number, text in enumerate(["", "[]", "{" * 5_000, '{"name": "x"}', "\xff"]):
        (tmp_path / "ladders" / f"odd{number}.ladder.json").write_text(text)
    assert remembered([tmp_path, tmp_path / "nothing"]) == [ladder]


def test_a_ladder_says_where_its_reference_climb_saw_backbones_part() -> None:
    """Held against the packs, as soon as there are any."""
    sys.path.insert(0, str(ROOT / "results"))
    try:
        parting = importlib.import_module("ladders_table").parting()
    finally:
        sys.path.remove(str(ROOT / "results"))
    assert {name: load_ladder(name)[1].parts for name in parting} == parting


def test_a_report_knows_all_that_ship_or_those_of_some_environments_alone() -> None:
    assert [ladder.name for ladder in shipped_ladders()] == sorted(shipped())
    assert all(ladder.env == "memory-len" for ladder in shipped_ladders(["memory-len"]))
    assert shipped_ladders([]) == []
    assert FOLDER.is_dir()
