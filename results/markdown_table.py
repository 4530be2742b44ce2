"""What the scripts beside this one share: cells and rows of Markdown out of a table of runs, and their place in README.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from dsbench.config.controls import CONTROLS, stands_for
from dsbench.reports.statistics import estimate

ROOT = Path(__file__).parents[1]
END = "<!-- end of table -->"
MISSING = "–"


def line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def head(*names: str) -> list[str]:
    return [line(names), "|" + "---|" * len(names)]


def spread(runs: pd.DataFrame, column: str, digits: Callable[[float], int], factor: float = 1.0) -> str:
    """``mean ± half-width`` of the 95 % interval over the finished seeds; runs without a result are counted beside it.

    Args:
        runs: those of one cell.
        column: of the table of runs, such as ``result.return_mean``.
        digits: after the point, by the mean.
        factor: of all values: 100 for shares in %.
    """
    if runs.empty or column not in runs:
        return MISSING
    values = [factor * value for value in runs.loc[runs["status"] == "ok", column].astype(float).dropna()]
    without = f" ({len(runs) - len(values)} without a result)" if len(values) < len(runs) else ""
    if not values:
        return without.strip()
    one = estimate(values)
    return one.text(f",.{digits(one.mean)}f") + without


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


def write_blocks(blocks: Mapping[str, str]) -> None:
    """Replace in README.md what stands between each first line and `END`; first lines that are not there are told."""
    readme = ROOT / "README.md"
    text = readme.read_text()
    for begin, table in blocks.items():
        before, found, rest = text.partition(begin)
        if found:
            text = f"{before}{begin}\n{table}\n{END}{rest.partition(END)[2]}"
        else:
            print(f"README.md has no line {begin!r}: put it where the table belongs, with {END!r} below it")
    readme.write_text(text)
