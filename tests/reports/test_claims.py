"""Decisions are those of Holm's procedure over t-tests as written down, and nothing is claimed without support."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dsbench.reports.claims import Contest, decide
from dsbench.reports.outcomes import Sample
from dsbench.reports.spread import Spread

Table = list[list[float]]  # of one task: contestants, seeds


def spread(table: Table) -> Spread:
    return Spread({f"c{place}": Sample(dict(enumerate(scores))) for place, scores in enumerate(table)})


def reference(tasks: list[Table], rate: float) -> set[tuple[int, int, int]]:
    """(task, better, worse): the rule of the module's text, pair by pair with SciPy, then Holm step by step."""
    tests = []
    for number, table in enumerate(tasks):
        v, n = [float(np.var(own, ddof=1)) for own in table], [len(own) for own in table]
        pooled = float(np.mean(v))
        freedom = sum(v) ** 2 / sum(one**2 / (count - 1) for one, count in zip(v, n, strict=True))
        if len(table) < 4:
            freedom = max(min(n) - 1, freedom - (4 - len(table)) / 2)
        for a, b in itertools.combinations(range(len(table)), 2):
            if len(table) == 2 and min(n) < 4:
                continue  # two alone need four seeds
            error = max(v[a] / n[a] + v[b] / n[b], pooled / n[a] + pooled / n[b]) ** 0.5
            gap = float(np.mean(table[a]) - np.mean(table[b]))
            tests.append((2 * float(stats.t.sf(abs(gap) / error, freedom)), number, a, b, gap))
    claimed = set()
    for step, (p, number, a, b, gap) in enumerate(sorted(tests)):
        if p > rate / (len(tests) - step):
            break
        claimed.add((number, a, b) if gap > 0 else (number, b, a))
    return claimed


numbers = st.floats(-10, 10).map(lambda value: round(value, 3))
tables = st.lists(st.lists(numbers, min_size=3, max_size=6), min_size=2, max_size=5).filter(
    lambda table: all(np.ptp(own) > 0.01 for own in table) and len({len(own) for own in table}) > 1
)


@settings(max_examples=80, deadline=None)
@given(tasks=st.lists(tables, min_size=1, max_size=3), rate=st.sampled_from([0.05, 0.5]))
def test_claims_are_those_of_the_procedure_as_written_down(tasks: list[Table], rate: float) -> None:
    claims = decide({number: Contest([spread(table)]) for number, table in enumerate(tasks)}, rate)
    got = {
        (number, a, b)
        for number, table in enumerate(tasks)
        for a, b in itertools.permutations(range(len(table)), 2)
        if claims.above(number, f"c{a}", f"c{b}")
    }
    assert got == reference(tasks, rate)
    assert claims.made == len(got)
    asked = [table for table in tasks if len(table) > 2 or min(map(len, table)) > 3]
    assert claims.family == sum(len(table) * (len(table) - 1) // 2 for table in asked)
    for number, table in enumerate(tasks):
        for a, b in itertools.permutations(range(len(table)), 2):
            found = claims.difference(number, f"c{a}", f"c{b}")
            if table not in asked:
                assert found is not None and found.low is None
                continue
            assert found is not None and found.low is not None and found.high is not None
            assert found.mean == pytest.approx(np.mean(table[a]) - np.mean(table[b]), abs=1e-9)
            assert (found.low > 0) == claims.above(number, f"c{a}", f"c{b}")
            assert (found.high < 0) == claims.above(number, f"c{b}", f"c{a}")


@settings(max_examples=30, deadline=None)
@given(table=tables, shift=numbers, scale=st.floats(0.01, 100))
def test_the_unit_of_the_scores_moves_no_claim(table: Table, shift: float, scale: float) -> None:
    moved = [[scale * score + shift for score in own] for own in table]
    first, second = (decide({"t": Contest([spread(one)])}, 0.3) for one in (table, moved))
    names = [f"c{place}" for place in range(len(table))]
    assert [first.above("t", a, b) for a in names for b in names] == [
        second.above("t", a, b) for a in names for b in names
    ]


@given(st.lists(numbers, min_size=2, max_size=5), st.integers(1, 8))
def test_scores_that_never_vary_support_no_claim(means: list[float], n: int) -> None:
    claims = decide({"t": Contest([spread([[mean] * n for mean in means])])})
    assert claims.made == 0 and claims.winner("t") is None
    assert claims.silence("t") is not None


def test_rounding_is_no_spread() -> None:
    claims = decide({"t": Contest([spread([[0.1 + 0.2, 0.3, 0.3, 0.3], [0.5, 0.5, 0.5, 0.5]])])})
    assert claims.made == 0 and "do not vary" in str(claims.silence("t"))


def test_two_seeds_support_no_claim_and_do_not_count() -> None:
    claims = decide({"t": Contest([spread([[0.9, 0.901], [0.1, 0.101], [0.5, 0.501]])])})
    assert (claims.family, claims.made) == (0, 0)
    assert str(claims.silence("t")).startswith("n = 2 cannot support a claim")
    assert claims.difference("t", "c0", "c1").low is None  # type: ignore[union-attr]


def test_two_contestants_alone_need_four_seeds() -> None:
    three = [[0.9, 0.91, 0.92], [0.1, 0.11, 0.12]]
    claims = decide({"t": Contest([spread(three)])})
    assert claims.family == 0 and "it takes 4 seeds of each" in str(claims.silence("t"))
    four = [[*own, own[1]] for own in three]
    assert decide({"t": Contest([spread(four)])}).winner("t") == "c0"


def test_a_rival_with_one_seed_takes_the_win_away_and_no_pair() -> None:
    clear = [[0.9, 0.91, 0.92, 0.9, 0.91], [0.1, 0.11, 0.12, 0.1, 0.11]]
    assert decide({"t": Contest([spread(clear)])}).winner("t") == "c0"
    claims = decide({"t": Contest([spread([*clear, [0.2]])])})
    assert claims.winner("t") is None and claims.above("t", "c0", "c1")


def test_more_questions_on_a_page_make_each_harder() -> None:
    generator = np.random.default_rng(2)
    near = [[0.0, 1.0, 2.0, 1.0], [4.2, 5.0, 6.0, 5.5]]
    alone = decide({"t": Contest([spread(near)])})
    noise = {k: Contest([spread(generator.normal(size=(6, 4)).tolist())]) for k in range(20)}
    among = decide({"t": Contest([spread(near)])} | noise)
    assert alone.winner("t") == "c1" and among.winner("t") is None
    first, second = (one.difference("t", "c1", "c0") for one in (alone, among))
    assert first is not None and second is not None and first.low is not None and second.low is not None
    assert second.low < 0 < first.low


def test_only_pairs_that_are_compared_count() -> None:
    table = [[0.9, 0.91, 0.92], [0.1, 0.11, 0.12], [0.5, 0.51, 0.5]]
    claims = decide({"t": Contest([spread(table)], [("c0", "c1")])})
    assert claims.family == 1
    assert claims.difference("t", "c0", "c2") is None and not claims.above("t", "c0", "c2")


def test_over_tasks_each_weighs_the_same_and_one_that_all_solve_says_nothing() -> None:
    generator = np.random.default_rng(5)
    one, other = (generator.normal(size=(4, 5)) for _ in range(2))
    one[0] += 6
    solved = np.ones((4, 5))
    claims = decide({"p": Contest([spread(table.tolist()) for table in (one, other, solved)])})
    found = claims.difference("p", "c0", "c1")
    assert found is not None
    gaps = [table[0].mean() - table[1].mean() for table in (one, other, solved)]
    assert found.mean == pytest.approx(np.mean(gaps))
    assert claims.above("p", "c0", "c1")
    split = np.repeat(
        [[1.0], [0.5], [1.0], [1.0]], 5, axis=1
    )  # no spread, and no equals: nothing tells how sure that is
    assert not decide({"p": Contest([spread(one.tolist()), spread(split.tolist())])}).above("p", "c0", "c1")


def test_no_questions_no_claims() -> None:
    claims = decide({})
    assert (claims.family, claims.made, claims.winner("t"), claims.silence("t")) == (0, 0, None, None)
    assert "there are none" in claims.text()


def test_the_rule_and_the_size_of_the_family_are_said() -> None:
    text = decide({"t": Contest([spread([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0], [0.0, 1.0, 0.5]])])}).text()
    assert "at most 5 %" in text and "all 3 pairs" in text
