"""The format of ``published/*.yaml``: tables as printed, with sources and caveats, and what is wrong with such a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dsbench.errors import UnknownName, UsageError

Setting: TypeAlias = str | int | float


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
    """What a column is about; `env` is None where it is not stated, `data` where no offline data set is told apart.

    `settings` are those of `Table` that differ between its columns.
    """

    env: str | None
    data: str | None = None
    measure: str | None = None  # None: that of the table
    settings: dict[str, Setting] = {}
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

    def spread_at(self, place: int) -> float | None:
        """What stands after ± in the column of that place."""
        return self.spreads[place] if self.spreads else None


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
        settings: columns of the table of runs with what they hold for a run of this protocol, its preset among them; none
            where no preset follows the protocol.
    """

    id: str
    source: str
    table: str
    measure: str
    larger_is_better: bool = True
    seeds: int | None = Field(ge=1)
    spread: str | None = None
    protocol: dict[str, str]
    settings: dict[str, Setting] = {}
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
    """One file, or all files of a folder as if they were one."""

    format: Literal[1]
    sources: dict[str, Source] = {}
    caveats: dict[str, str] = {}
    tables: list[Table] = []

    def check_names(self) -> None:
        """`ValueError` if two tables have one id, or a table names a source or a caveat that there is not."""
        _once([table.id for table in self.tables], "tables")
        for table in self.tables:
            if table.source not in self.sources:
                known = ", ".join(sorted(self.sources))
                raise ValueError(f"table {table.id!r} is of {table.source!r}; expected one of the sources: {known}")
            for key in sorted(_caveat_keys(table) - self.caveats.keys()):
                raise ValueError(
                    f"table {table.id!r} has the caveat {key!r}; expected one of: {', '.join(sorted(self.caveats))}"
                )

    def table(self, table_id: str) -> Table:
        """The table with that id; `UnknownName` with the closest match otherwise."""
        for table in self.tables:
            if table.id == table_id:
                return table
        raise UnknownName("published table", table_id, [table.id for table in self.tables])


def load(path: Path) -> Published:
    """A file of published numbers, or all ``*.yaml`` files of a folder, in the order of their names.

    Names are looked up in all of them: a caveat of several sources stands in one file.

    Raises:
        UsageError: one cannot be read, is no YAML, or breaks the format; the first fault, in one sentence.
    """
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    if not files:
        raise UsageError(f"no published numbers in {str(path)!r}: it holds no *.yaml file; expected one a source")
    try:
        book = _joined({file.name: _read(file) for file in files})
        book.check_names()
    except ValueError as error:
        raise UsageError(f"{path.name}: {error}") from error
    return book


def _read(path: Path) -> Published:
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"cannot read {str(path)!r}: {' '.join(str(error).split())}") from error
    try:
        return Published.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{path.name}: {_fault(error)}") from error


def _joined(files: Mapping[str, Published]) -> Published:
    """All of them as one; `ValueError` if two define a source or a caveat of one name."""
    for what in ("sources", "caveats"):
        places: dict[str, str] = {}
        for name, key in ((name, key) for name, file in files.items() for key in getattr(file, what)):
            if key in places:
                raise ValueError(
                    f"{key!r} stands under {what!r} of {places[key]} and of {name}; expected it in one of them"
                )
            places[key] = name
    return Published(
        format=1,
        sources={key: one for file in files.values() for key, one in file.sources.items()},
        caveats={key: one for file in files.values() for key, one in file.caveats.items()},
        tables=[table for file in files.values() for table in file.tables],
    )


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
