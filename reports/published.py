"""Numbers that others published, each with its source, protocol and caveats; never mixed with measured ones.

They stand in ``published.yaml`` beside this module as printed. `mean_ranks` re-ranks a table by its printed scores, which
tells whether it was transcribed well where the paper prints the ranks too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dsbench.errors import UnknownName, UsageError

PATH = Path(__file__).with_name("published.yaml")


class _Part(BaseModel):
    """A part of the file: immutable, unknown keys refused, no conversions, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Source(_Part):
    """A paper or repository, with what a citation needs."""

    title: str
    authors: str
    year: int
    venue: str


class Column(_Part):
    """What a column of scores is about; `data` is None where no offline data set is told apart."""

    env: str
    data: str | None = None
    measure: str | None = None  # None: that of the table
    caveats: list[str] = []

    @property
    def name(self) -> str:
        """``hopper/medium``, with the measure behind it where the column has its own."""
        return "/".join(part for part in (self.env, self.data, self.measure) if part)


class Row(_Part):
    """The scores of one method, one a column, None where print has none; `cell_caveats` are by the column's name."""

    method: str
    scores: list[float | None]
    spreads: list[float | None] | None = None
    mean_rank: float | None = None
    caveats: list[str] = []
    cell_caveats: dict[str, list[str]] = {}


class Table(_Part):
    """One block of a printed table.

    Attributes:
        id: ``source/table/block``.
        source: key of `Published.sources`.
        table: what the source calls it.
        measure: what is printed; larger is better unless `larger_is_better` is false.
        seeds: None where the source does not say.
        spread: what stands after ±; None where nothing does.
        protocol: how the numbers came about, by aspect (data, physics, selection, episodes).
    """

    id: str
    source: str
    table: str
    measure: str
    larger_is_better: bool = True
    seeds: int | None = Field(ge=1)
    spread: str | None = None
    protocol: dict[str, str]
    caveats: list[str] = []
    columns: list[Column]
    rows: list[Row]

    @model_validator(mode="after")
    def _fits(self) -> Table:
        names = [column.name for column in self.columns]
        _once(names, f"columns of table {self.id!r}")
        _once([row.method for row in self.rows], f"rows of table {self.id!r}")
        for row in self.rows:
            self._fits_row(row, names)
        return self

    def _fits_row(self, row: Row, names: list[str]) -> None:
        place = f"row {row.method!r} of table {self.id!r}"
        for what, cells in (("scores", row.scores), ("spreads", row.spreads)):
            if cells is not None and len(cells) != len(names):
                raise ValueError(f"{place} has {len(cells)} {what}; expected {len(names)}, one a column")
        if row.spreads is not None and self.spread is None:
            raise ValueError(f"{place} has spreads; expected the table to say under 'spread' what they are")
        for name in row.cell_caveats:
            if name not in names or row.scores[names.index(name)] is None:
                raise ValueError(
                    f"{place} has a caveat on {name!r}; expected a column with a score: {', '.join(names)}"
                )


class Published(_Part):
    """The whole file."""

    format: Literal[1]
    sources: dict[str, Source]
    caveats: dict[str, str]
    tables: list[Table]

    @model_validator(mode="after")
    def _names_are_known(self) -> Published:
        _once([table.id for table in self.tables], "tables")
        for table in self.tables:
            if table.source not in self.sources:
                known = ", ".join(sorted(self.sources))
                raise ValueError(f"table {table.id!r} is of {table.source!r}; expected one of the sources: {known}")
            for key in sorted(_caveat_keys(table) - self.caveats.keys()):
                raise ValueError(
                    f"table {table.id!r} has the caveat {key!r}; expected one of: {', '.join(sorted(self.caveats))}"
                )
        return self

    def table(self, table_id: str) -> Table:
        """The table with that id; `UnknownName` with the closest match otherwise."""
        for table in self.tables:
            if table.id == table_id:
                return table
        raise UnknownName("published table", table_id, [table.id for table in self.tables])

    def scores(
        self, env: str | None = None, data: str | None = None, method: str | None = None
    ) -> tuple[PublishedScore, ...]:
        """The printed cells, in the order of the file, of one environment, data set or method, or of all.

        Raises:
            UnknownName: nothing is published of that environment.
        """
        found = [score for table in self.tables for score in _scores(table)]
        envs = {score.env for score in found}
        if env is not None and env not in envs:
            raise UnknownName("env with published numbers", env, envs, where="dsbench list published")
        wanted = {"env": env, "data": data, "method": method}
        asked = {name: value for name, value in wanted.items() if value is not None}
        return tuple(one for one in found if all(getattr(one, name) == value for name, value in asked.items()))


@dataclass(frozen=True)
class PublishedScore:
    """One printed number with all that stands around it; the attributes are those of `Table`, `Column` and `Row`."""

    source: str
    table_id: str
    table: str
    method: str
    env: str
    data: str | None
    measure: str
    score: float
    spread: float | None
    spread_kind: str | None
    seeds: int | None
    protocol: Mapping[str, str]
    caveats: tuple[str, ...]


@cache
def published() -> Published:
    """What ships with the package."""
    return load(PATH)


def load(path: Path) -> Published:
    """A file of published numbers.

    Raises:
        UsageError: it cannot be read, is no YAML, or breaks the format; the first fault, in one sentence.
    """
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"cannot read {str(path)!r}: {' '.join(str(error).split())}") from error
    try:
        return Published.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{path.name}: {_fault(error)}") from error


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
            score=score,
            spread=row.spreads[place] if row.spreads else None,
            spread_kind=table.spread if row.spreads else None,
            seeds=table.seeds,
            protocol=table.protocol,
            caveats=(*row.cell_caveats.get(column.name, ()), *row.caveats, *column.caveats, *table.caveats),
        )
        for row in table.rows
        for place, (column, score) in enumerate(zip(table.columns, row.scores, strict=True))
        if score is not None
    ]


def _once(names: Sequence[str], what: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two {what} are called {name!r}; expected each name once")


def _caveat_keys(table: Table) -> set[str]:
    lists = [table.caveats, *(part.caveats for part in (*table.columns, *table.rows))]
    lists += [keys for row in table.rows for keys in row.cell_caveats.values()]
    return {key for keys in lists for key in keys}


def _fault(error: ValidationError) -> str:
    """The first fault: where, what stands there, what was expected."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    place = ".".join(map(str, first["loc"])) or "the file"
    message = first["msg"][0].lower() + first["msg"][1:]
    given = repr(first["input"])
    return f"{place} is {given if len(given) <= 60 else given[:57] + '...'}; expected another value: {message}"
