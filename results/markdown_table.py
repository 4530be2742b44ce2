"""What the scripts beside this one share: cells and rows of Markdown out of a table of runs, and their place on a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from dsbench.config.controls import CONTROLS, stands_for
from dsbench.errors import UsageError
from dsbench.reports.groups import LEARNED
from dsbench.reports.outcomes import (
    NORMALISED,
    RETURN,
    UNBOUNDED,
    Outcome,
    bounds_of,
    ended,
    error_of,
    floor_of,
    measure_among,
    sample_of,
)
from dsbench.reports.spread import Spread

K = TypeVar("K", bound=Hashable)
ROOT = Path(__file__).parents[1]
END = "<!-- end of table -->"
MISSING = "–"


def line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def head(*names: str) -> list[str]:
    return [line(names), "|" + "---|" * len(names)]


def scored(
    cells: Mapping[K, pd.DataFrame], column: str, digits: Callable[[float], int], factor: float = 1.0
) -> dict[K, str]:
    """Who was compared on one task -> the mean over seeds with its 95 % interval, as every report has it.

    Learned contestants are judged by the spread of all of them, failed runs count as reports say and are told beside it.

    Args:
        cells: the runs of each.
        column: of the final row, such as ``return_mean``.
        digits: after the point, by the mean.
        factor: of all values: 100 for shares in %.
    """
    outcomes = {who: [_outcome(row) for row in runs.to_dict(orient="records")] for who, runs in cells.items()}
    known = [one for own in outcomes.values() for one in own]
    _refuse_mixed(known)
    measure = measure_among(known)
    floor = floor_of(known, column) if column in (measure, RETURN, NORMALISED) else None
    bounds = bounds_of(known) if column == measure else UNBOUNDED
    samples = {
        who: sample
        for who, own in outcomes.items()
        if (sample := sample_of(own, column, error_of(column, measure), floor)) is not None
    }
    scripted = [who for who in samples if outcomes[who][0].policy != LEARNED]
    groups = [[who for who in samples if who not in scripted], *([who] for who in scripted)]
    texts = dict.fromkeys(cells, MISSING)
    for group in groups:
        judged = Spread({str(who): samples[who] for who in group})
        for who in group:
            one = judged.estimate(str(who), bounds).scaled(factor)
            texts[who] = one.text(f",.{digits(one.mean)}f") + _not_ok(outcomes[who])
    return texts


def _refuse_mixed(outcomes: Sequence[Outcome]) -> None:
    """`UsageError` where the seeds of some runs move other things than those of others: such scores never share a mean."""
    told = {
        str(one.result.get("varied", "init, batches (the first version of results)"))
        for one in outcomes
        if one.policy == LEARNED and one.status == "ok"
    }
    if len(told) > 1:
        raise UsageError(
            f"the records hold runs of one task whose seeds move {' and others whose seeds move '.join(sorted(told))}; "
            "expected one of them: keep old records in another folder"
        )


def _outcome(row: Mapping[Hashable, Any]) -> Outcome:
    """A row of the table of runs as the rules for scores want it."""
    result = {
        str(name).removeprefix("result."): value
        for name, value in row.items()
        if str(name).startswith("result.") and not pd.isna(value)
    }
    policy = row.get("policy")
    status, _ = ended(str(row["status"]), None, result)
    return Outcome(int(row["seed"]), status, LEARNED if pd.isna(policy) else str(policy), result)


def _not_ok(outcomes: Sequence[Outcome]) -> str:
    odd = Counter(one.status for one in outcomes if one.status != "ok")
    return f" ({', '.join(f'{count} {status}' for status, count in sorted(odd.items()))})" if odd else ""


def of_actor(runs: pd.DataFrame, actor: str) -> pd.Series[bool]:
    """Which runs are those of a backbone, or of a control as `dsbench.config.controls` defines it.

    Unless the control says otherwise, a return is asked for and all of the data is learned from.
    """
    asked = CONTROLS[actor].columns if actor in CONTROLS else {}
    chosen = called(runs, actor)
    if "wrapper.condition" not in asked:
        chosen &= runs["wrapper.condition"].eq("return").fillna(False).astype(bool)
    return chosen & (runs["data.top_percent"].isna() if "data.top_percent" not in asked else True)


def called(runs: pd.DataFrame, name: str) -> pd.Series[bool]:
    """Which runs are those of a backbone or a control, whatever is asked for and learned from."""
    rows = runs.to_dict(orient="records")
    found = [stands_for(row, name) if name in CONTROLS else row["backbone"] == name for row in rows]
    return pd.Series(found, runs.index, dtype=bool)


def pages() -> list[Path]:
    """Every page that may hold a table: the README and those of ``docs``."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def write_blocks(blocks: Mapping[str, str]) -> None:
    """Replace, on whichever page it is, what stands between each first line and `END`; those found nowhere are told."""
    missing = set(blocks)
    for page in pages():
        before = text = page.read_text()
        for begin, table in blocks.items():
            above, found, rest = text.partition(begin)
            if found:
                text = f"{above}{begin}\n{table}\n{END}{rest.partition(END)[2]}"
                missing.discard(begin)
        if text != before:
            page.write_text(text)
    for begin in sorted(missing):
        print(f"no page has the line {begin!r}: put it where the table belongs, with {END!r} below it")
