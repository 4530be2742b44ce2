"""Among equal contestants nobody reaches further: the share of whole profiles with any false claim, by simulation."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from dsbench.reports.claims import decide
from dsbench.reports.ladders.climbs import Climb, Climber
from dsbench.reports.ladders.reach import contests_of
from tests.reports.ladders.simulated import LOST, PASSED, ladder

LADDERS, CONTESTANTS, RUNGS = 13, 7, 8
Draw = Callable[[np.random.Generator, tuple[int, int, int]], NDArray[np.float64]]


def normal(deviation: float) -> Draw:
    return lambda rng, shape: rng.normal(4.0, deviation, shape)


SHAPES: Mapping[str, Draw] = {
    "normal, a tenth of a rung": normal(0.1),
    "normal, half a rung": normal(0.5),
    "normal, two rungs": normal(2.0),
    "bimodal": lambda rng, shape: np.where(rng.random(shape) < 0.7, 7.0, 1.0),
    "bimodal, far apart on some ladders": lambda rng, shape: np.where(
        rng.random(shape) < rng.random((shape[0], 1, 1)), 8.0, 0.0
    ),
    "at the top": lambda rng, shape: np.where(rng.random(shape) < 0.9, 8.0, 5.0),
}  # fmt: skip


def page(reaches: NDArray[np.int_]) -> list[Climb]:
    """The climbs of one page, (ladders, contestants, seeds)."""
    found = []
    for number, of_ladder in enumerate(reaches):
        one = ladder(f"ladder{number}", RUNGS)
        climbers = [
            Climber(
                f"backbone{place}", False,
                {rung: {seed: PASSED if rung <= reach else LOST for seed, reach in enumerate(own)}
                 for rung in range(1, RUNGS + 1)},
                {}, one.marks, RUNGS,
            )
            for place, own in enumerate(of_ladder.tolist())
        ]  # fmt: skip
        found.append(Climb(one, {"train.updates": 500}, tuple(climbers), RUNGS))
    return found


def share_of_false_pages(shape: str, seeds: int, pages: int) -> float:
    rng, false = np.random.default_rng(len(shape) + seeds), 0
    for _ in range(pages):
        drawn = SHAPES[shape](rng, (LADDERS, CONTESTANTS, seeds))
        claims = decide(contests_of(page(np.clip(np.round(drawn), 0, RUNGS).astype(int))))
        false += claims.made > 0
    return false / pages


@pytest.mark.parametrize("shape", ["normal, half a rung", "bimodal"])
def test_few_profiles_of_equals_hold_a_claim(shape: str) -> None:
    assert share_of_false_pages(shape, 5, 60) <= 0.15  # 60 pages tell 5 % from 15 %


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("shape", SHAPES)
def test_at_most_one_profile_of_equals_in_twenty_holds_a_claim(shape: str, seeds: int) -> None:
    share = share_of_false_pages(shape, seeds, 1_000)
    print(f"{shape}, n = {seeds}: any false claim in {100 * share:.1f} % of 1,000 profiles of {LADDERS} ladders")
    assert share <= 0.05
