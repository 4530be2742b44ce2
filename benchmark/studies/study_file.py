"""The format of a study and what is wrong with a file of it; the shipped ones stand beside this module. Imports no torch.

A study in short::

    format: 1
    title: Does a longer chain make umbrella harder?
    question: ...
    backbones: [gpt, s4d]
    envs: [umbrella]
    axes:
      length:                                  # a name for the tables
        "5": {env.chain_length: 5}             # a label -> settings, as --set takes them
        "20": {env.chain_length: 20}
    table: {rows: [backbone], columns: length, measures: [score]}
    figure: {x: length, y: score, series: backbone, label: length of the chain}
    sizes:
      smoke: {preset: smoke}
      quick: {seeds: 2}
      full: {preset: paper, seeds: 5}
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

from pydantic import Field, ValidationError, model_validator

from dsbench.config.errors import problems, usage_error
from dsbench.config.presets import DEFAULT
from dsbench.config.settings import Section
from dsbench.config.sources import read_config_file
from dsbench.errors import UnknownName, suggestion
from dsbench.studies.measures import MEASURES

FOLDER = Path(__file__).parent
BACKBONE, ENV = "backbone", "env"  # axes that every grid has
MOST_ROUNDS = 1_000_000  # of a timing
SIZES = ("smoke", "quick", "full")

M = TypeVar("M", bound=Section)
Settings: TypeAlias = dict[str, Any]  # setting -> value, as --set takes them
Axes: TypeAlias = dict[str, dict[str, Settings]]  # name -> label -> settings


class Size(Section):
    """How large the grid is; what is left open is the study's."""

    preset: str = DEFAULT
    seeds: int = Field(default=1, ge=1, le=1000)
    backbones: list[str] | None = Field(default=None, min_length=1)
    envs: list[str] | None = Field(default=None, min_length=1)
    set: Settings = Field(default={})
    axes: Axes = Field(default={})  # each in the place of the study's axis of that name
    contexts: list[int] = Field(default=[])  # of kind bench: decisions before the one that is timed
    rounds: int = Field(default=10, ge=1, le=MOST_ROUNDS)  # of kind bench: rounds of the timing


class Sizes(Section):
    """All studies have the three."""

    smoke: Size
    quick: Size
    full: Size


class TableOf(Section):
    """A row for each combination of `rows`; `columns` spreads the first measure over one more axis."""

    rows: list[str] = Field(min_length=1)
    columns: str | None = None
    measures: list[str] = Field(min_length=1)


class FigureOf(Section):
    """A curve for each label of `series`, over the labels of `x`, which are numbers."""

    x: str
    y: str
    series: str = BACKBONE
    label: str
    log: bool = False


class Study(Section):
    """A study as it stands in its file."""

    format: Literal[1]
    title: str = Field(min_length=1)
    question: str = Field(min_length=1)
    kind: Literal["runs", "bench"] = "runs"
    backbones: list[str] = Field(min_length=1)
    envs: list[str] = Field(min_length=1)
    set: Settings = Field(default={})
    axes: Axes = Field(default={})
    table: TableOf | None = None
    figure: FigureOf | None = None
    published: list[str] = Field(default=[])  # ids of published tables
    beside: str = ""  # what to keep in mind when reading them beside ours
    sizes: Sizes

    @model_validator(mode="after")
    def _fits(self) -> Study:
        if self.kind == "runs" and self.table is None:
            raise ValueError("table is missing; expected one such as {rows: [backbone], measures: [score]}")
        if self.kind == "bench":
            self._check_bench()
        self._check_seeds()
        names = [BACKBONE, ENV, *self.axes]
        for size in SIZES:
            for name in self.size(size).axes:
                _known("axis", name, list(self.axes), f"sizes.{size}.axes")
        if self.table is not None:
            for name in (*self.table.rows, *([self.table.columns] if self.table.columns else ())):
                _known("axis", name, names, "table")
            for name in self.table.measures:
                _known("measure", name, list(MEASURES), "table")
        if self.figure is not None:
            self._check_figure(self.figure, names)
        return self

    def _check_seeds(self) -> None:
        places = {"set": self.set} | {f"sizes.{size}.set": self.size(size).set for size in SIZES}
        for size in SIZES:
            axes = self.axes_of(size).items()
            places |= {f"axes.{name}.{label}": own for name, labels in axes for label, own in labels.items()}
        for place, settings in places.items():
            if "seed" in settings:
                raise ValueError(f"{place} has seed; expected seeds, a number of them, under a size")

    def _check_bench(self) -> None:
        """A measuring has a table and a figure of its own, and situations in the place of axes."""
        for name in ("table", "figure", "axes"):
            if getattr(self, name):
                raise ValueError(
                    f"kind is 'bench' and {name} is given; leave it out, the page of a measuring has its own"
                )
        for size in SIZES:
            if not all(context >= 0 for context in self.size(size).contexts) or not self.size(size).contexts:
                raise ValueError(f"sizes.{size}.contexts is missing or has less than 0; expected such as [1, 20, 100]")
            if len(self.size(size).envs or self.envs) != 1:
                raise ValueError(f"kind is 'bench' and size {size} has several envs; expected one")

    def _check_figure(self, figure: FigureOf, names: Sequence[str]) -> None:
        _known("axis", figure.series, names, "figure.series")
        _known("axis", figure.x, list(self.axes), "figure.x")
        _known("measure", figure.y, list(MEASURES), "figure.y")
        for size in SIZES:
            for label in self.axes_of(size)[figure.x]:
                if not re.fullmatch(r"\d{1,15}(\.\d{1,15})?", label, re.ASCII):
                    raise ValueError(
                        f"figure.x is {figure.x!r}, which has the label {label!r}; expected numbers alone, to be drawn at"
                    )

    def size(self, name: str) -> Size:
        """The size called `name`; `UnknownName` with the closest match otherwise."""
        if name not in SIZES:
            raise UnknownName("size of a study", name, SIZES)
        found: Size = getattr(self.sizes, name)
        return found

    def axes_of(self, size: str) -> Axes:
        """The axes at that size, in the order of the study."""
        return self.axes | self.size(size).axes


def shipped() -> dict[str, Path]:
    """Name -> file of the studies that come with dsbench."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}


def load_study(name: str | Path) -> tuple[str, Study]:
    """A shipped study by its name, or one of your own by its path; returns its name too.

    Raises:
        UnknownName: no such study ships.
        UsageError: the file cannot be read, or naming all that is wrong in it.
    """
    stem, study = load_file("study", name, shipped(), Study)
    _check_published(study)
    return stem, study


def load_file(kind: str, name: str | Path, files: Mapping[str, Path], model: type[M]) -> tuple[str, M]:
    """A shipped file of a kind by its name, or one of the user's own by its path, held against the model; its name too.

    Raises:
        UnknownName: no such file ships.
        UsageError: the file cannot be read, or naming all that is wrong in it.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        if str(name) not in files:
            where = f"dsbench list {'studies' if kind == 'study' else f'{kind}s'}; or give the path of a .yaml file"
            raise UnknownName(kind, str(name), files, where=where)
        path = files[str(name)]
    content, lines = read_config_file(path)
    try:
        return path.stem, model.model_validate(content)
    except ValidationError as error:
        raise usage_error([_of_a_file(text, kind, path) for text in problems(error, model, lines)]) from None


def _check_published(study: Study) -> None:
    from dsbench.reports.published import published

    for table_id in study.published:
        published().table(table_id)


def _of_a_file(text: str, kind: str, path: Path) -> str:
    """Settings of a run are given by --set; those of a file stand in it, which is named where no line is."""
    text = re.sub(r" is missing; give .*", f" is missing; every {kind} has it", text)
    return text if text.startswith(str(path)) else f"{path}: {text}"


def _known(kind: str, name: str, names: Sequence[str], place: str) -> None:
    if name not in names:
        hint = suggestion(name, names) or f"Known: {', '.join(names)}."
        raise ValueError(f"unknown {kind} {name!r} in {place}. {hint}")
