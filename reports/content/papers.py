"""What papers print of the same tasks, beside what was measured here, with whether the two may be compared."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dsbench.reports.comparable import COLUMNS, Comparison, comparison
from dsbench.reports.conditions import choose
from dsbench.reports.content.cells import form_of, measured, words
from dsbench.reports.content.contest import Contestant, Task, ranked
from dsbench.reports.contention import LATENCY
from dsbench.reports.document import MISSING, Cell, Heading, Section, Table
from dsbench.reports.groups import Run
from dsbench.reports.outcomes import NORMALISED
from dsbench.reports.published import PublishedScore, published, published_scores
from dsbench.reports.statistics import Estimate, estimate

_QUOTED = "quoted"
_LATENCY = "result.latency_p50_us"  # the one time among what is compared
_KIN = {
    "DT": ("gpt",),
    "DS4": ("s4", "s4d"),
    "Decision Mamba": ("mamba", "mamba2"),
    "LSTM": ("lstm",),
}  # method -> backbones


def papers(tasks: Sequence[Task]) -> tuple[Section | None, list[str]]:
    """The section, None where nothing is printed of these tasks, and the keys of the sources that it shows."""
    scores = [score for score in published_scores() if score.env is not None and _QUOTED not in score.caveats]
    pairs = [(task, score) for task in tasks if not task.permuted for score in scores if _matches(task, score)]
    if not pairs:
        return None, []
    reasons: dict[str, int] = {}
    rows = tuple(_row(task, score, reasons) for task, score in pairs)
    headings = (
        Heading("task", numeric=False),
        Heading("measure", numeric=False),
        Heading("printed method", numeric=False),
        Heading("printed", "with what stands after ± in print"),
        Heading("seeds"),
        Heading("source", numeric=False),
        Heading("backbone here", "whose runs are nearest to the printed protocol", numeric=False),
        Heading("measured here", "mean over seeds ± half of the 95 % interval"),
        Heading("comparable?", "if not, in what they differ; the reasons are numbered below", numeric=False),
        Heading("caveats", "of the printed number", numeric=False),
    )
    book, used = published(), sorted({score.source for _, score in pairs})
    caveats = [key for key in book.caveats if any(key in score.caveats for _, score in pairs)]
    notes = (
        "Printed numbers are the papers' own; nothing of them enters any other table or figure.",
        "What a source quotes from others is left out; dsbench list published has all.",
        *(f"({number}) {text}" for text, number in reasons.items()),
        *(f"{book.sources[key].short}: {book.sources[key].text}." for key in used),
        *(f"Caveat {key}: {book.caveats[key]}." for key in caveats),
    )
    table = Table("published", "Published numbers beside ours", headings, rows, notes)
    told = "Each printed number stands beside the backbone here that comes nearest to its protocol."
    return Section("published", "Published numbers", (told,), (table,)), used


def _matches(task: Task, score: PublishedScore) -> bool:
    """The same environment, the same kind of data where the paper tells one, and a measure that runs can have."""
    if task.env != score.env or score.measure not in COLUMNS:
        return False
    recipe = str(task.whole.get("data.recipe", ""))
    names = {recipe, *re.findall(r"_([a-z_]+)-v\d\.hdf5$", recipe), *re.findall(r"/([a-z-]+)-v\d$", recipe)}
    return score.data is None or score.data in {name.replace("_", "-") for name in names}


def _row(task: Task, score: PublishedScore, reasons: dict[str, int]) -> tuple[Cell, ...]:
    judged = [(one, _judge(one, score)) for one, _ in ranked(task)]
    printed = (
        words(task.title),
        words(score.measure),
        words(score.method),
        Cell(score.text, score.score),
        Cell(MISSING) if score.seeds is None else Cell(str(score.seeds), float(score.seeds)),
        words(f"{published().sources[score.source].short}, {score.table}"),
    )
    caveats = words(", ".join(score.caveats))
    if not judged:
        return (*printed, Cell(MISSING), Cell(MISSING), words("no: no run here has ended with a score"), caveats)
    # the nearest, and of equals one with a backbone of the printed kind, and of those the better one
    nearest, verdict = min(judged, key=lambda pair: (len(pair[1].reasons), not _is_kin(pair[0], score)))
    ours = _ours(task, nearest, score)
    here = Cell(MISSING) if ours is None else measured(ours, form_of([ours.mean]))
    if ours is not None and COLUMNS[score.measure][0] == _LATENCY:
        here = replace(here, text=here.text + choose(nearest.ok, LATENCY).core.value)
    return (*printed, words(nearest.name), here, words(_verdict(verdict, reasons)), caveats)


def _verdict(verdict: Comparison, reasons: dict[str, int]) -> str:
    """``no: data (1), physics (2, 3)``; `reasons` numbers the sentences in the order of their first use."""
    if verdict.comparable:
        return verdict.text
    told: dict[str, list[str]] = {}
    for one in verdict.reasons:
        told.setdefault(one.aspect, []).append(str(reasons.setdefault(one.text, len(reasons) + 1)))
    return "no: " + ", ".join(f"{aspect} ({', '.join(numbers)})" for aspect, numbers in told.items())


def _is_kin(one: Contestant, score: PublishedScore) -> bool:
    return any(score.method.startswith(method) and one.backbone in names for method, names in _KIN.items())


def _judge(one: Contestant, score: PublishedScore) -> Comparison:
    return comparison(_table_row(one.ok[0]), score)


def _table_row(run: Run) -> Mapping[str, Any]:
    """The run as a row of the table of runs."""
    identity = {
        name: getattr(run, name) for name in ("run_id", "backbone", "env", "seed", "status", "reason", "preset")
    }
    results = {f"result.{name}": value for name, value in run.result.items()}
    return {**run.settings, **results, **{name: value for name, value in identity.items() if value is not None}}


def _ours(task: Task, one: Contestant, score: PublishedScore) -> Estimate | None:
    """What was measured here; in scores failures count."""
    column, factor = COLUMNS[score.measure]
    name = column.removeprefix("result.")
    if name in (NORMALISED, task.measure):
        found = task.estimate(one, name)
        return None if found is None else found.scaled(factor)
    values = list(_values(one, score))
    return estimate(values) if values else None


def _values(one: Contestant, score: PublishedScore) -> Iterator[float]:
    column, factor = COLUMNS[score.measure]
    runs = choose(one.ok, LATENCY).runs if column == _LATENCY else one.ok
    seen = set()
    for run in runs:
        value = run.result.get(column.removeprefix("result."))
        if value is not None and run.seed not in seen:
            seen.add(run.seed)
            yield factor * float(value)
