"""The format of ``published.yaml``: tables as printed, with sources and caveats, and what is wrong with such a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dsbench.errors import UnknownName, UsageError


class _Part(BaseModel):
    """A part of the file: immutable, unknown keys refused, no conversions, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Source(_Part):
    """A paper or repository, with what a citation needs."""

    short: str
    title: str
    authors: str
    year: int
    venue: str

    @property
    def text(self) -> str:
        """A reference in one line."""
        return f"{self.authors}: {self.title}. {self.venue}, {self.year}"


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


def _once(names: Sequence[str], what: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two {what} are called {name!r}; expected each name once")


def _caveat_keys(table: Table) -> set[str]:
    lists = [table.caveats, *(column.caveats for column in table.columns), *(row.caveats for row in table.rows)]
    lists += [keys for row in table.rows for keys in row.cell_caveats.values()]
    return {key for keys in lists for key in keys}


def _fault(error: ValidationError) -> str:
    """The first fault: where, what stands there, what was expected."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    place = ".".join(map(str, first["loc"])) or "the file"
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"{place} is {repr(first['input'])[:60]}; expected another value: {message}"
