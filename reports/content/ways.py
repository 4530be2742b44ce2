"""Ways to decide that a bench measured, each a curve over contexts, and where one takes less time than another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from dsbench.errors import CorruptFile, UsageError
from dsbench.measuring.bench_records import bench_of, made_where, table
from dsbench.measuring.crossover import Crossover, crossover
from dsbench.records.store import Stored
from dsbench.reports.contention import LATENCY, LEGEND, MOST, WHY_UNKNOWN, Core, core_of_share, worst
from dsbench.reports.document import MISSING, Cell
from dsbench.reports.machines import made

FLAT, GROWING = "recurrent", ("kv_cache", "window")
MODES = (FLAT, "compiled", *GROWING)  # compiled is compared with nothing that is not
Row = Mapping[str, Any]


class Way(NamedTuple):
    """A way to decide: `loop` is ``model`` for the model alone, ``env`` with the environment's step in it."""

    backbone: str
    mode: str
    loop: str = "model"
    batch: int = 1

    @property
    def name(self) -> str:
        """For people, the backbone first."""
        return f"{self.backbone} {self.mode.replace('_', ' ').replace('kv', 'KV')}"


Curves = Mapping[Way, Mapping[int, Row]]  # context -> cell


@dataclass(frozen=True)
class Newest:
    """The newest bench of results that can be read.

    Attributes:
        name: its id.
        several: whether there are older ones.
        made: its machine, versions and commit in words.
        rows: its cells; what is missing is None.
        unreadable: of newer ones that cannot be read, why not.
    """

    name: str
    several: bool
    made: str
    rows: Sequence[Row]
    unreadable: Sequence[str] = ()

    @property
    def curves(self) -> Curves:
        return curves_of(self.rows)


def curves_of(rows: Sequence[Row]) -> Curves:
    """Every way to decide that was measured, by its name."""
    found: dict[Way, dict[int, Row]] = {}
    for row in rows:
        if row["mode"] in MODES and row["context"] is not None and row["p50_us"] is not None:
            way = Way(str(row["backbone"]), str(row["mode"]), str(row["loop"] or "model"), int(row["batch"] or 1))
            found.setdefault(way, {})[int(row["context"])] = row
    return {way: dict(sorted(found[way].items())) for way in sorted(found)}


def newest(stored: Stored) -> Newest:
    """The newest bench; without rows where there is none."""
    unreadable: list[str] = []
    for name, files in reversed(stored.benches):
        try:
            cells, origin = list(bench_of(name, files).cells.values()), made(made_where(files))
        except (CorruptFile, UsageError) as error:
            unreadable.append(str(error))
            continue
        rows = [{str(key): plain(value) for key, value in row.items()} for row in table(cells).to_dict("records")]
        return Newest(name, len(stored.benches) > 1, origin, rows, unreadable)
    return Newest("", False, "", (), unreadable)


def plain(value: Any) -> Any:
    """None for what is missing."""
    import pandas as pd

    return None if pd.isna(value) else value


def alone(curves: Curves, batch: int = 1) -> Curves:
    """Of the model alone, at one batch size."""
    return {way: cells for way, cells in curves.items() if (way.loop, way.batch) == ("model", batch)}


@dataclass(frozen=True)
class Crossing:
    """Where a step of the same cost at every context takes less time than one whose cost grows.

    `sure` is where that holds for the ends of both intervals that are nearest to each other; `core` the worst of both curves.
    """

    flat: Way
    growing: Way
    found: Crossover
    sure: Crossover
    core: Core


def crossings(curves: Curves) -> list[Crossing]:
    """Of every recurrent step against everything that grows."""
    flat, growing = ([way for way in curves if way.mode in modes] for modes in ((FLAT,), GROWING))
    pairs = [(one, other) for one in flat for other in growing if (one.loop, one.batch) == (other.loop, other.batch)]
    out = []
    for ours, theirs in pairs:
        found = crossover(_times(curves[theirs], "p50_us"), _times(curves[ours], "p50_us"))
        sure = crossover(_times(curves[theirs], "p50_low_us"), _times(curves[ours], "p50_high_us"))
        if found is not None and sure is not None:
            core = worst(core_of(row) for way in (ours, theirs) for row in curves[way].values())
            out.append(Crossing(ours, theirs, found, sure, core))
    return out


def _times(cells: Mapping[int, Row], key: str) -> dict[int, float]:
    """The median where the interval's end is not known."""
    return {context: row["p50_us"] if row[key] is None else row[key] for context, row in cells.items()}


def core_of(row: Row) -> Core:
    """Who had the core while a cell was timed; CPU time tells it of one thread on a CPU alone."""
    told = row["threads"] in (None, 1) and row["device"] in (None, "cpu") and row["contended_rounds"] is not None
    return core_of_share(row["contended_rounds"] / row["rounds"] if told and row["rounds"] else None, MOST[LATENCY])


def hollow_note(rows: Iterable[Row]) -> str:
    """What a caption says of hollow marks, after a blank; nothing where there are none."""
    found = {core_of(row) for row in rows}
    told = {
        Core.SHARED: f"others had the core in more than {100 * MOST[LATENCY]:g} % of the rounds, which can only make it slower",
        Core.UNKNOWN: f"it is not known whether others had the core ({WHY_UNKNOWN})",
    }
    words = [text for core, text in told.items() if core in found]
    return f" Hollow: {'; or '.join(words)}." if words else ""


def legend(rows: Iterable[Row]) -> str:
    """What the marks behind times mean; nothing where none is marked."""
    return LEGEND if any(core_of(row) is not Core.ALONE for row in rows) else ""


def overlap(one: Row, other: Row) -> bool:
    """Whether two medians are not told apart: by their intervals, which are not both known, or by whose core it was."""
    if any(core_of(row) is not Core.ALONE for row in (one, other)):
        return True
    ends = [row[f"p50_{end}_us"] for row in (one, other) for end in ("low", "high")]
    return None in ends or (ends[0] <= ends[3] and ends[2] <= ends[1])


def time_cell(row: Row | None, scale: float = 1.0, form: str = ",.0f") -> Cell:
    """``412 ± 3``: the median and half of its interval, in microseconds over `scale`; marked as `LEGEND` tells."""
    if row is None or row["p50_us"] is None:
        return Cell(MISSING)
    value, low, high = (
        None if row[key] is None else row[key] / scale for key in ("p50_us", "p50_low_us", "p50_high_us")
    )
    star = core_of(row).value
    if low is None or high is None:
        return Cell(f"{value:{form}}{star}", value)
    return Cell(f"{value:{form}} ± {(high - low) / 2:{form}}{star}", value, low=low, high=high)


def bytes_cell(value: float | None) -> Cell:
    """``1.5 MiB``, sorted by bytes."""
    if value is None:
        return Cell(MISSING)
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if value >= unit:
            return Cell(f"{value / unit:,.1f} {name}", float(value))
    return Cell(f"{value:,.0f} B", float(value))
