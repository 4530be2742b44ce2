"""Claims and intervals hold as often as they say, on reports whose truth is known: from the rows of runs to every mark.

A quick part runs by default. The whole, 2,000 reports a case, with the power of every shape printed, takes minutes:

    pytest -m slow -s tests/reports/test_calibration.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from dsbench.reports.claims import ERROR_RATE, Claims
from dsbench.reports.content.build import build
from dsbench.reports.content.contest import Task
from dsbench.reports.content.gathering import tasks_of
from dsbench.reports.content.judging import judge
from dsbench.reports.document import Report, Table
from dsbench.reports.groups import read_groups
from dsbench.reports.markdown import markdown
from dsbench.reports.statistics import Estimate
from tests.reports.simulated import CONTESTANTS, DEVIATIONS, MEANS, SHAPES, TASKS, Scores, name_of, report_of
from tests.reports.synthetic import make_run

QUICK, WHOLE, FEW = 300, 2_000, 60  # reports a case
SEEDS = (3, 5, 10)
LEAST_COVERED, COVERED, FOUND = 0.90, 0.93, 0.85


def most(reports: int) -> int:
    """False reports that a rate of 5 % may come to: exactly that of many, with room for chance of few."""
    return int(ERROR_RATE * reports) if reports >= WHOLE else int(stats.binom.ppf(0.999, reports, ERROR_RATE))


def simulated(shape: str, seeds: int, reports: int) -> Iterator[list[Task]]:
    generator = np.random.default_rng([seeds, sorted(SHAPES).index(shape)])
    for _ in range(reports):
        yield report_of(SHAPES[shape](generator, (TASKS, CONTESTANTS, seeds)))


def holds(shape: str, seeds: int, reports: int) -> None:
    """Equal contestants are called different in 5 % of reports at most, and intervals hold the mean."""
    false, covered = 0, np.zeros(CONTESTANTS)
    for tasks in simulated(shape, seeds, reports):
        false += judge(tasks).claims.made > 0
        for task in tasks:
            covered += [_holds(task.estimate(one), MEANS[shape]) for one in task.learned]
    shares = covered / (reports * TASKS)
    print(
        f"{shape}, n = {seeds}: false claims in {100 * false / reports:.1f} % of {reports:,} reports; "
        f"coverage {shares.mean():.3f}, least {shares.min():.3f}"
    )
    assert false <= most(reports)
    assert shares.mean() >= COVERED
    assert shares.min() >= LEAST_COVERED


def _holds(one: Estimate | None, mean: float) -> bool:
    """Where no run of a task differs from another there is no interval, which then holds nothing."""
    assert one is not None
    if one.low is None or one.high is None:
        return False
    assert one.low < one.high
    return one.low <= mean <= one.high


def found(shape: str, seeds: int, reports: int, gap: float = 4.0) -> tuple[float, float]:
    """How often a contestant that is `gap` deviations above on one task is called above one of the others, and all of them."""
    generator = np.random.default_rng([7, seeds, sorted(SHAPES).index(shape)])
    pairs, winner = 0, 0
    for _ in range(reports):
        scores = SHAPES[shape](generator, (TASKS, CONTESTANTS, seeds))
        scores[0, 0] += gap * DEVIATIONS[shape]
        tasks = report_of(scores)
        claims = judge(tasks).claims
        pairs += sum(claims.above(tasks[0].name, name_of(0), name_of(other)) for other in range(1, CONTESTANTS))
        winner += claims.winner(tasks[0].name) == name_of(0)
    return pairs / (reports * (CONTESTANTS - 1)), winner / reports


@pytest.mark.parametrize("shape", SHAPES)
def test_three_seeds_of_equals_are_rarely_called_different_and_intervals_hold(shape: str) -> None:
    holds(shape, 3, QUICK)


def test_a_gap_of_four_deviations_is_found_with_five_seeds() -> None:
    assert found("normal", 5, QUICK)[0] >= FOUND


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_are_rarely_called_different_and_intervals_hold(shape: str, seeds: int) -> None:
    holds(shape, seeds, WHOLE)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_power_of_every_shape_is_printed() -> None:
    for shape in DEVIATIONS:
        told = {seeds: found(shape, seeds, WHOLE if seeds == 5 else 400) for seeds in SEEDS}
        print(
            f"{shape}, a gap of 4 deviations: "
            + "; ".join(
                f"n = {n}: {100 * pair:.0f} % of pairs, above all {100 * all_:.0f} %"
                for n, (pair, all_) in told.items()
            )
        )
        if shape == "normal":
            assert told[5][0] >= FOUND


# ------------------------------------------------------------------ harder cases


def _failing(generator: np.random.Generator, seeds: int) -> list[Task]:
    """All fail alike often, so that two modes lie apart; the floor is declared."""
    scores = 0.8 + 0.05 * generator.normal(size=(TASKS, CONTESTANTS, seeds))
    scores[generator.random(scores.shape) < 0.15] = np.nan
    return report_of(scores, {"measure_minimum": 0.0})


def _shared(generator: np.random.Generator, seeds: int) -> list[Task]:
    """What a seed does to all contestants of a task alike is six times the rest."""
    return report_of(
        generator.normal(size=(TASKS, CONTESTANTS, seeds)) + 6 * generator.normal(size=(TASKS, 1, seeds))
    )  # fmt: skip


def _shared_missing(generator: np.random.Generator, seeds: int) -> list[Task]:
    """The same, where some runs were never made."""
    scores = generator.normal(size=(TASKS, CONTESTANTS, seeds)) + 6 * generator.normal(size=(TASKS, 1, seeds))
    return report_of(scores, keep=generator.random(scores.shape) < 0.8)


def _unequal_counts(generator: np.random.Generator, seeds: int) -> list[Task]:
    """The wider its spread, the fewer seeds a contestant has."""
    scores = SHAPES["unequal"](generator, (TASKS, CONTESTANTS, 3 * seeds))
    counts = np.array([seeds, seeds, 2 * seeds, 2 * seeds, 3 * seeds, 3 * seeds])
    return report_of(scores, keep=np.broadcast_to(np.arange(3 * seeds) < counts[:, None], scores.shape))


def _ties(generator: np.random.Generator, seeds: int) -> list[Task]:
    """Nearly all runs solve the task; measured over few episodes, so that most scores are equal."""
    scores = generator.binomial(20, 0.99, size=(TASKS, CONTESTANTS, seeds)) / 20
    return report_of(scores, {"measure_minimum": 0.0, "measure_maximum": 1.0, "eval_episodes": 20})


def _lucky(generator: np.random.Generator, seeds: int) -> list[Task]:
    """Half of the seeds solve the task and half do not: all seeds of a contestant may agree by luck."""
    return report_of(np.where(generator.random((TASKS, CONTESTANTS, seeds)) < 0.5, 1.0, 0.5))


def _two(generator: np.random.Generator, seeds: int) -> list[Task]:
    """Two contestants, one spread three times the other: no sisters to help."""
    return report_of(SHAPES["unequal"](generator, (TASKS, 2, seeds)))


def _two_modes(generator: np.random.Generator, seeds: int) -> list[Task]:
    """Two contestants whose seeds have two modes, each a little wide: three of each agree by luck, and vary."""
    shape = (TASKS, 2, seeds)
    return report_of(SHAPES["bimodal"](generator, shape) + 1e-3 * generator.normal(size=shape))


def _three(generator: np.random.Generator, seeds: int) -> list[Task]:
    return report_of(SHAPES["unequal"](generator, (1, 3, seeds)))


HARD: Sequence[Callable[[np.random.Generator, int], list[Task]]] = (
    _failing, _shared, _shared_missing, _unequal_counts, _ties, _lucky, _two, _two_modes, _three,
)  # fmt: skip


def false_reports(case: Callable[[np.random.Generator, int], list[Task]], seeds: int, reports: int) -> int:
    generator = np.random.default_rng([11, seeds])
    false = sum(judge(case(generator, seeds)).claims.made > 0 for _ in range(reports))
    print(f"{case.__name__}, n = {seeds}: false claims in {100 * false / reports:.1f} % of {reports:,} reports")
    return false


@pytest.mark.parametrize("case", HARD)
def test_equals_of_harder_cases_are_rarely_called_different(case: Callable[..., list[Task]]) -> None:
    assert false_reports(case, 3, FEW) <= most(FEW)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize("case", HARD)
def test_harder_cases_hold_in_two_thousand_reports(case: Callable[..., list[Task]], seeds: int) -> None:
    assert false_reports(case, seeds, WHOLE) <= int(stats.binom.ppf(0.999, WHOLE, ERROR_RATE))


def test_pairing_finds_what_the_seeds_would_hide() -> None:
    """A gap of 4 deviations of what is left is found where the seed's effect is six times that."""
    generator, hits = np.random.default_rng(3), 0
    for _ in range(60):
        scores = generator.normal(size=(1, CONTESTANTS, 5)) + 6 * generator.normal(size=(1, 1, 5))
        scores[0, 0] += 4
        (task,) = report_of(scores)
        hits += sum(
            judge([task]).claims.above(task.name, name_of(0), name_of(other)) for other in range(1, CONTESTANTS)
        )
    assert hits / 300 > 0.8


# ------------------------------------------------------------------ whole pages


def marks(table: Table) -> set[tuple[str, str]]:
    return {
        (row[0].text, heading.text)
        for row in table.rows
        for heading, cell in zip(table.headings, row, strict=True)
        if cell.best
    }


def pages_marks_are_the_functions(folder: Path, number: int) -> None:
    generator = np.random.default_rng([13, number])
    families = {f"task{task}": f"family{task % 2}" for task in range(TASKS)}
    scores: Scores = generator.normal(size=(TASKS, CONTESTANTS, 5)) + generator.uniform(0, 12, (TASKS, CONTESTANTS, 1))
    scores[:, 0] += 12 * (number % 2)
    for (task, contestant, seed), score in np.ndenumerate(scores):
        failed = generator.random() < 0.01
        make_run(
            folder, name_of(contestant), f"task{task}", seed, None if failed else float(score), metric="success",
            status="failed" if failed else "ok",
        )  # fmt: skip
    report = build(folder, families).report
    judged = judge(tasks_of(read_groups(folder), families))
    tables = {table.name: table for section in report.sections for table in section.tables}
    assert judged.overall is not None
    names = [name_of(contestant) for contestant in range(CONTESTANTS)]
    for task in judged.tasks:
        winner = judged.claims.winner(task.name)
        assert marks(tables[task.name]) == ({(winner, "success ↑")} if winner else set())
        _differences_say_the_same(tables[task.name], task.name, names, judged.claims)
    key = judged.overall.key
    winner = judged.claims.winner(key)
    assert marks(tables["overall"]) == ({(winner, "mean ↑")} if winner else set())
    _differences_say_the_same(tables["overall"], key, names, judged.claims)
    assert marks(tables["improvement"]) == {
        (a, f"> {b}") for a in names for b in names if a != b and judged.claims.above(key, a, b)
    }
    own = {"overall", "improvement", *(task.name for task in judged.tasks)}
    assert not any(marks(table) for name, table in tables.items() if name not in own)
    assert markdown(report).count("**") == 2 * sum(len(marks(table)) for table in tables.values())
    _sentences_say_the_same(report, {pool.key for pool in judged.families.values()}, names, judged.claims)


def _differences_say_the_same(table: Table, key: object, names: list[str], claims: Claims) -> None:
    """An interval of a difference leaves out 0 where it is claimed and nowhere else."""
    place = next(place for place, one in enumerate(table.headings) if one.text.startswith("− "))
    best = table.headings[place].text.removeprefix("− ")
    for row in table.rows:
        cell = row[place]
        if cell.low is not None and cell.high is not None:
            assert (cell.low > 0 or cell.high < 0) == claims.apart(key, row[0].text, best)  # type: ignore[arg-type]
        else:
            assert row[0].text == best and set(names) >= {best}


def _sentences_say_the_same(report: Report, keys: set[tuple[str, ...]], names: list[str], claims: Claims) -> None:
    told = [sentence for sentence in report.headline if "tasks):" in sentence]
    assert len(told) == len(keys) == 2
    winners = {winner for key in keys if (winner := claims.winner(key)) is not None}
    said = {
        next(name for name in names if f": {name} has the highest" in sentence)
        for sentence in told
        if "separated from all others" in sentence
    }
    assert said == winners
    assert sum("separated from all others" in sentence for sentence in told) == sum(
        claims.winner(key) is not None for key in keys
    )


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("number", range(2))
def test_the_printed_marks_are_those_of_the_function(tmp_path: Path, number: int) -> None:
    pages_marks_are_the_functions(tmp_path, number)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("undrawn")
def test_the_printed_marks_of_fifty_pages_are_those_of_the_function(tmp_path: Path) -> None:
    for number in range(50):
        pages_marks_are_the_functions(tmp_path / str(number), number)
