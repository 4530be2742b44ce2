"""What the runs of a study say: an estimate for every cell and measure, and the runs that say nothing yet."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dsbench.config import run_id, to_dict
from dsbench.config.settings import LEARNED
from dsbench.errors import CorruptFile, UsageError
from dsbench.records.config_text import flat
from dsbench.records.copies import rows_of
from dsbench.records.run_row import UNREADABLE, unreadable_row
from dsbench.records.store import Places, Stored, stored_in
from dsbench.reports.conditions import Choice, choose
from dsbench.reports.outcomes import (
    UNBOUNDED,
    Outcome,
    Sample,
    bounds_of,
    ended,
    error_of,
    floor_of,
    measure_among,
    sample_of,
    task_settings,
)
from dsbench.reports.spread import Spread
from dsbench.reports.statistics import Estimate, estimate
from dsbench.studies.grid import Cell
from dsbench.studies.measures import MEASURES
from dsbench.studies.study_file import ENV

ABSENT = "not begun"  # the status of a run without a folder


def result_in(row: Mapping[str, Any]) -> dict[str, Any]:
    """The final row, out of a row of the table of runs."""
    return {
        key.removeprefix("result."): cell for key, cell in row.items() if key.startswith("result.") and cell is not None
    }


@dataclass(frozen=True)
class Found:
    """A run of the grid: its row in the table of runs, its status, and its machine, versions and commit."""

    run_id: str
    status: str
    reason: str | None
    row: Mapping[str, Any]
    provenance: Mapping[str, Any]

    @property
    def result(self) -> dict[str, Any]:
        """The final row."""
        return result_in(self.row)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Of its configuration, by dotted names."""
        return self.row


@dataclass(frozen=True)
class Answer:
    """A cell with its runs.

    Attributes:
        estimates: measure -> estimate, None where no run has it; in scores failed runs count, all else is of the finished.
        samples: measure -> scores by seed, of the scored ones that have any.
        learned: False for scripted policies, which are compared with nobody.
    """

    labels: Mapping[str, str]
    runs: Sequence[Found]
    estimates: Mapping[str, Estimate | None]
    samples: Mapping[str, Sample] = field(default_factory=dict)
    learned: bool = True

    @property
    def name(self) -> str:
        """Tells it from all other cells."""
        return json.dumps(list(self.labels.values()))

    @property
    def n(self) -> int:
        """Runs that ended ok."""
        return sum(run.status == "ok" for run in self.runs)


def answers_of(cells: Sequence[Cell], results: Places) -> list[Answer]:
    """One a cell, in order; reads the grid's own runs alone. One that cannot be read has the status ``unreadable``."""
    stored = _stored(results)
    runs = [[_found(run_id(config), stored) for config in cell.configs] for cell in cells]
    scores = _scores(cells, runs)
    answers: list[Answer] = []
    first: dict[str, Answer] = {}  # of an environment: what shares are taken of
    for cell, own, (samples, estimates) in zip(cells, runs, scores, strict=True):
        plain = {name: estimates.get(name) if one.scored else _estimate(own, name) for name, one in MEASURES.items()}
        base = first.get(cell.labels[ENV])
        shares = {
            name: _share(plain[name], base.estimates[name] if base else None)
            for name, measure in MEASURES.items()
            if measure.relative
        }
        answers.append(Answer(cell.labels, own, plain | shares, samples, _is_learned(cell)))
        first.setdefault(cell.labels[ENV], Answer(cell.labels, own, plain))
    return answers


def _scores(
    cells: Sequence[Cell], runs: Sequence[Sequence[Found]]
) -> list[tuple[dict[str, Sample], dict[str, Estimate]]]:
    """Of each cell its samples and estimates in the scored measures, by the rules of a report: failures and spread are those
    of all cells of the same task."""
    tasks: dict[str, list[int]] = {}
    for place, cell in enumerate(cells):
        tasks.setdefault(_task(cell), []).append(place)
    found: list[tuple[dict[str, Sample], dict[str, Estimate]]] = [({}, {}) for _ in cells]
    outcomes = [_outcomes(cell, own) for cell, own in zip(cells, runs, strict=True)]
    for places in tasks.values():
        all_of_task = [one for place in places for one in outcomes[place]]
        measure, bounds = measure_among(all_of_task), bounds_of(all_of_task)
        for name in (name for name, one in MEASURES.items() if one.scored):
            column = MEASURES[name].column(all_of_task)
            floor, error = floor_of(all_of_task, column), error_of(column, measure)
            own = {str(place): sample_of(outcomes[place], column, error, floor) for place in places}
            samples = {key: sample for key, sample in own.items() if sample is not None}
            learned = Spread({key: sample for key, sample in samples.items() if _is_learned(cells[int(key)])})
            for key, sample in samples.items():
                spread = learned if key in learned.names else Spread({key: sample})  # scripted ones have no sisters
                found[int(key)][0][name] = sample
                found[int(key)][1][name] = spread.estimate(key, bounds if column == measure else UNBOUNDED)
    return found


def _is_learned(cell: Cell) -> bool:
    return cell.configs[0].policy == LEARNED


def _task(cell: Cell) -> str:
    """What the runs of the cell have to do; cells of the same task can be compared."""
    first = cell.configs[0]
    return json.dumps([first.env.name, sorted(task_settings(flat(to_dict(first))).items())], default=str)


def _outcomes(cell: Cell, runs: Sequence[Found]) -> list[Outcome]:
    return [
        Outcome(
            config.seed,
            run.status,
            config.policy,
            run.result,
        )
        for config, run in zip(cell.configs, runs, strict=True)
    ]


def _stored(results: Places) -> Stored:
    try:
        return stored_in(results)
    except UsageError:  # nothing was run yet
        return Stored()


def _found(name: str, stored: Stored) -> Found:
    if name not in stored.runs:
        return Found(name, ABSENT, None, {}, {})
    row, records, _ = rows_of(stored.runs[name])
    origin: dict[str, Any] = {}
    if row["status"] != UNREADABLE:
        try:
            origin = records.read_provenance(attempt=row["attempt"]) or {}
        except (CorruptFile, UsageError) as error:
            row = unreadable_row(name, str(error))
    status, reason = ended(str(row["status"]), row["reason"], result_in(row))
    return Found(name, status, reason, row, origin)


def choice_of(runs: Sequence[Found], name: str) -> Choice[Found] | None:
    """The runs that the mean of a time is over, and what is known of them; None of what is no time."""
    mark = MEASURES[name].mark
    return None if mark is None else choose(_having(runs, name), mark)


def _having(runs: Sequence[Found], name: str) -> list[Found]:
    return [run for run in runs if run.status == "ok" and MEASURES[name].read(run.result) is not None]


def _estimate(runs: Sequence[Found], name: str) -> Estimate | None:
    choice = choice_of(runs, name)
    counted = _having(runs, name) if choice is None else choice.runs
    values = [value for run in counted if (value := MEASURES[name].read(run.result)) is not None]
    return estimate(values) if values else None


def _share(one: Estimate | None, base: Estimate | None) -> Estimate | None:
    """Of the first cell; itself where it is the first. A number of parameters has no spread."""
    whole = base or one
    if one is None or whole is None or not whole.mean:
        return None
    return Estimate(one.mean / whole.mean, None, None, one.n)
