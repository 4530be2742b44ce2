"""Numbers that others published, each with its source, protocol and caveats; never mixed with measured ones.

They stand in ``published/*.yaml`` beside this module, a file a source, as printed; `mean_ranks` tells whether a table was
transcribed well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dsbench.errors import UnknownName
from dsbench.reports.published_file import Published, Setting, Table, load

PATH = Path(__file__).with_name("published")  # a folder, of data alone
NORMALISED = "normalised score"  # by D4RL's constants, for random play and for its expert


@dataclass(frozen=True)
class PublishedScore:
    """One printed number with all that stands around it; the attributes are those of `Table`, `Column` and `Row`."""

    source: str
    table_id: str
    table: str
    method: str
    env: str | None
    data: str | None
    measure: str
    larger_is_better: bool
    score: float
    spread: float | None
    spread_kind: str | None
    seeds: int | None
    protocol: Mapping[str, str]
    settings: Mapping[str, Setting]
    caveats: tuple[str, ...]

    @property
    def text(self) -> str:
        """``67.6 ± 1.0`` or ``17,000``: both parts with as many digits as the longer has."""
        numbers = [number for number in (self.score, self.spread) if number is not None]
        digits = max(len(f"{number:.12g}".partition(".")[2]) for number in numbers)
        return " ± ".join(f"{number:,.{digits}f}" for number in numbers)


@cache
def published() -> Published:
    """What ships with the package."""
    return load(PATH)


def published_scores(
    env: str | None = None, data: str | None = None, method: str | None = None, book: Published | None = None
) -> tuple[PublishedScore, ...]:
    """The printed cells of one environment, data set or method, or of all, in the order of the files.

    Raises:
        UnknownName: nothing is published of that environment.
    """
    found = [score for table in (book or published()).tables for score in _scores(table)]
    envs = {score.env for score in found if score.env is not None}
    if env is not None and env not in envs:
        raise UnknownName("env with published numbers", env, envs, where="dsbench list published")
    asked = {"env": env, "data": data, "method": method}
    return tuple(one for one in found if all(want in (None, getattr(one, name)) for name, want in asked.items()))


def mean_ranks(table: Table) -> dict[str, float]:
    """Mean over the columns of a method's rank in them, 1 the best; empty cells are skipped, equals share the better rank.

    Sharing the better rank (not the average) is what Decision S4 did: so do its printed ranks come out.
    """
    import numpy as np
    from scipy.stats import rankdata  # slow to import

    sign = -1.0 if table.larger_is_better else 1.0
    scores = np.array([[np.nan if cell is None else sign * cell for cell in row.scores] for row in table.rows])
    ranks = rankdata(scores, method="min", axis=0, nan_policy="omit")
    return {row.method: float(np.nanmean(own)) for row, own in zip(table.rows, ranks, strict=True)}


def _scores(table: Table) -> list[PublishedScore]:
    return [
        PublishedScore(
            source=table.source,
            table_id=table.id,
            table=table.table,
            method=row.method,
            env=column.env,
            data=column.data,
            measure=column.measure or table.measure,
            larger_is_better=table.larger_is_better,
            score=score,
            spread=row.spread_at(place),
            spread_kind=table.spread if row.spread_at(place) is not None else None,
            seeds=table.seeds,
            protocol=table.protocol,
            settings=table.settings | column.settings,
            caveats=(*row.cell_caveats.get(column.name, ()), *row.caveats, *column.caveats, *table.caveats),
        )
        for row in table.rows
        for place, (column, score) in enumerate(zip(table.columns, row.scores, strict=True))
        if score is not None
    ]
