"""How far contestants reach, and who is said to reach further: what was planted is found, and nothing else."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.reports.claims import decide
from dsbench.reports.ladders.climbs import Climb, climbs_of
from dsbench.reports.ladders.reach import Holds, Judged, contests_of, judged, least_gap
from dsbench.reports.ladders.sentences import sentence
from tests.reports.ladders.simulated import LOST, PASSED, groups_of, ladder, run, runs_of

FIVE = {"s4d": [7, 7, 8, 7, 7], "lstm": [2, 2, 2, 3, 2], "gru": [2, 3, 2, 2, 2], "gpt": [5, 1, 5, 4, 5]}
reaches = st.lists(st.integers(0, 8), min_size=1, max_size=5)


def judge(climbs: list[Climb]) -> list[Judged]:
    return judged(climbs, decide(contests_of(climbs)))


@given(own=reaches)
@settings(max_examples=100, deadline=None)
def test_the_reach_of_a_seed_is_the_one_that_was_planted(own: list[int]) -> None:
    climbs = climbs_of(groups_of(runs_of(ladder(), {"lstm": own, "top": [8]})), [ladder()])
    (climber,) = [one for one in climbs[0].climbers if one.name == "lstm"]
    assert list(climber.reaches.values()) == own
    assert climber.finished


@given(own=reaches, number=st.integers(0, 10_000))
@settings(max_examples=100, deadline=None)
def test_what_is_passed_above_a_failure_adds_nothing(own: list[int], number: int) -> None:
    runs = runs_of(ladder(), {"lstm": own, "top": [8]}, rng=np.random.default_rng(number))
    (climber,) = [one for one in climbs_of(groups_of(runs), [ladder()])[0].climbers if one.name == "lstm"]
    assert list(climber.reaches.values()) == own


def test_planted_differences_are_told_and_equals_are_not() -> None:
    (one,) = judge(climbs_of(groups_of(runs_of(ladder(), FIVE)), [ladder()]))
    found = {(verdict.further, verdict.other) for verdict in one.verdicts}
    assert {("s4d", "lstm"), ("s4d", "gru")} <= found
    assert ("lstm", "gru") not in found and ("gru", "lstm") not in found
    assert "s4d reaches further than" in sentence(one)


def test_a_contestant_that_never_learns_reaches_nothing_and_one_that_fails_a_seed_in_three_pays_for_it() -> None:
    planted = {"never": [0, 0, 0], "sometimes": [8, 0, 8], "fifty": [3, 3, 3]}
    (one,) = judge(climbs_of(groups_of(runs_of(ladder(), planted)), [ladder()]))
    assert {name: estimate.mean for name, estimate in one.estimates.items()} == {
        "never": 0.0, "sometimes": pytest.approx(16 / 3), "fifty": 3.0,
    }  # fmt: skip
    for estimate in one.estimates.values():
        assert estimate.low is not None and estimate.high is not None and estimate.low < estimate.high


def test_a_failed_run_has_not_passed() -> None:
    one = ladder(rungs=3)
    runs = [run(one, one.rungs[0], "lstm", seed, 500, None if seed == 1 else PASSED) for seed in range(3)]
    runs += [run(one, rung, "lstm", seed, 500, LOST) for rung in one.rungs[1:] for seed in range(3)]
    (climb,) = climbs_of(groups_of(runs), [one])
    assert climb.climbers[0].reaches == {0: 1, 1: 0, 2: 1}


def test_who_still_climbs_is_compared_with_nobody() -> None:
    one = ladder(rungs=4)
    runs = runs_of(one, {"lstm": [1, 1, 1], "gru": [4, 4, 4]})
    half = [run(one, rung, "s4d", seed, 500, PASSED) for rung in one.rungs[:2] for seed in range(3)]
    (climb,) = climbs_of(groups_of(runs, half), [one])
    assert {own.name for own in climb.rivals} == {"lstm", "gru"}
    assert not next(own for own in climb.climbers if own.name == "s4d").finished


def test_other_budgets_are_other_climbs_and_twice_the_budget_says_what_holds() -> None:
    one = ladder()
    more = {**FIVE, "lstm": [7, 8, 7, 7, 7]}  # with twice the updates one of them has caught up
    climbs = climbs_of(groups_of(runs_of(one, FIVE), runs_of(one, more, updates=1_000)), [one])
    (found,) = judge(climbs)
    holds = {(verdict.further, verdict.other): verdict.holds for verdict in found.verdicts}
    assert holds["s4d", "gru"] is Holds.YES
    assert holds["s4d", "lstm"] is Holds.NO
    assert "depends on the budget" in sentence(found)
    (alone,) = judge(climbs_of(groups_of(runs_of(one, FIVE)), [one]))
    assert {verdict.holds for verdict in alone.verdicts} == {Holds.OPEN}


def test_runs_off_the_ladder_or_on_high_rungs_alone_have_not_climbed() -> None:
    one = ladder()
    off = dataclasses.replace(run(one, one.rungs[0], "gpt", 0, 500, PASSED), env="another")
    high = run(one, one.rungs[3], "gpt", 0, 500, PASSED)
    assert climbs_of(groups_of([off, high]), [one]) == []


def test_controls_climb_along_and_are_no_rivals() -> None:
    one = ladder(takes_memory=True)
    (found,) = judge(climbs_of(groups_of(runs_of(one, {**FIVE, "mlp": [0] * 5, "framestack": [3] * 5})), [one]))
    assert [own.name for own in found.climb.climbers][-2:] == ["mlp", "window"]
    assert "mlp" not in {own.name for own in found.climb.rivals}
    assert found.estimates["window"].mean == 3


def test_the_least_gap_that_can_be_told_shrinks_with_seeds_and_grows_with_the_family() -> None:
    gaps = [least_gap(seeds, 7, 250) for seeds in (3, 4, 5, 10, 20)]
    assert all(more <= fewer for fewer, more in pairwise(gaps))
    assert gaps[0] >= 4  # three seeds part nothing under four rungs of a whole profile
    assert least_gap(5, 4, 6) < least_gap(5, 4, 600)
    assert least_gap(2, 7, 250) == least_gap(3, 2, 1) == 0
    assert least_gap(4, 2, 1) > 0


@pytest.mark.parametrize("seeds", [3, 5])
def test_the_least_gap_is_where_claims_begin(seeds: int) -> None:
    """Against the claims themselves: seeds that agree, two contestants that many rungs apart among four."""
    one = ladder(rungs=16)
    gap = least_gap(seeds, 4, 6)
    for apart, claimed in ((gap, True), (gap - 1, False)):
        planted = {"a": [10] * seeds, "b": [10 - apart] * seeds, "c": [10] * seeds, "d": [10] * seeds}
        climbs = climbs_of(groups_of(runs_of(one, planted)), [one])
        assert decide(contests_of(climbs)).above(climbs[0].key, "a", "b") is claimed


def test_backbones_part_on_the_first_rung_that_one_always_passes_and_another_never() -> None:
    one = ladder()
    planted = {"s4d": [7] * 5, "lstm": [2, 3, 2, 3, 2], "gru": [4, 5, 4, 4, 4], "gpt": [5, 1, 5, 4, 5]}
    (climb,) = climbs_of(groups_of(runs_of(one, planted)), [one])
    assert climb.parts_at == "80"  # no seed of lstm passes the fourth rung, all of s4d's do
    (same,) = climbs_of(groups_of(runs_of(one, {"s4d": [8] * 5, "lstm": [8] * 5})), [one])
    assert same.parts_at is None


def test_a_scale_tells_what_lies_between_two_rungs() -> None:
    one = ladder()
    assert one.at(0.4, 8) == "< 10"
    assert one.at(1, 8) == "10"
    assert float(one.at(1.5, 8)) == pytest.approx(np.sqrt(200), rel=0.01)
    assert one.at(8, 8) == "≥ 1,280"
    assert one.at(3, 3) == "≥ 40"  # the climb ended there
