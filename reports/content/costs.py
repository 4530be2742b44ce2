"""What a decision costs at each context, out of the benches below a results folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.measuring.bench_records import benches_of, read_benches
from dsbench.measuring.crossover import crossover
from dsbench.reports.document import MISSING, Cell, Figure, Heading, Section, Table
from dsbench.reports.figures import Axis, Mark, Series, plot

if TYPE_CHECKING:
    import pandas as pd

TITLE = "Latency and memory against context"
_FLAT, _GROWING = ("recurrent",), ("kv_cache", "window")
_MODES = (*_FLAT, "compiled", *_GROWING)  # compiled is compared with nothing that is not
_MARKED = 2  # crossovers that a figure shows
Curves = Mapping[tuple[str, str], Mapping[int, Mapping[str, Any]]]  # (backbone, mode) -> context -> cell


def costs(results: Path) -> Section:
    """The section of the newest bench, or one line that there is none."""
    if not benches_of(results):
        return Section("costs", TITLE, (f"No bench is here; measure with: dsbench bench --results {results.name}",))
    cells = read_benches(results)
    newest = str(cells["bench_id"].dropna().astype(str).max()) if len(cells) else ""
    own = cells[cells["bench_id"].eq(newest)] if newest else cells
    curves = _curves(own)
    if not curves:
        return Section("costs", TITLE, ("The bench has no finished cell yet.",))
    several = cells["bench_id"].nunique() > 1
    told = [f"Bench {newest}{', the newest of several' if several else ''}: one decision of the model alone, batch 1."]
    crossings = _crossings(curves)
    figures = [_figure(curves, "p50_us", crossings), _figure(curves, "state_bytes", [])]
    tables = [_table(curves), *_crossing_table(crossings), *_lost(own)]
    return Section("costs", TITLE, tuple(told), tuple(tables), tuple(one for one in figures if one is not None))


def _curves(cells: pd.DataFrame) -> Curves:
    rows = [{str(key): _plain(value) for key, value in row.items()} for row in cells.to_dict(orient="records")]
    curves: dict[tuple[str, str], dict[int, Mapping[str, Any]]] = {}
    for row in rows:
        wanted = row["mode"] in _MODES and row["loop"] != "env" and row["batch"] in (1, None)
        if wanted and row["context"] is not None and row["p50_us"] is not None:
            curves.setdefault((str(row["backbone"]), str(row["mode"])), {})[int(row["context"])] = row
    return {name: dict(sorted(curves[name].items())) for name in sorted(curves)}


def _plain(value: Any) -> Any:
    import pandas as pd

    return None if pd.isna(value) else value


def _crossings(curves: Curves) -> list[tuple[str, str, str, float | None]]:
    """(flat one, growing one, words, context) of each pair."""
    found = []
    for flat, own in curves.items():
        for growing, theirs in curves.items():
            if flat[1] in _FLAT and growing[1] in _GROWING:
                one = crossover(
                    {t: row["p50_us"] for t, row in theirs.items()}, {t: row["p50_us"] for t, row in own.items()}
                )
                if one is not None:
                    found.append((_name(flat), _name(growing), one.text, one.context))
    return found


def _name(key: tuple[str, str]) -> str:
    return f"{key[0]} {key[1].replace('_', ' ')}"


def _figure(curves: Curves, key: str, crossings: Sequence[tuple[str, str, str, float | None]]) -> Figure | None:
    lines = []
    for name, cells in curves.items():
        told = {context: row for context, row in cells.items() if row[key] is not None}
        if told:
            bounds = (
                [[row[f"p50_{end}_us"] for row in told.values()] for end in ("low", "high")] if key == "p50_us" else []
            )
            low, high = bounds if bounds and None not in [*bounds[0], *bounds[1]] else (None, None)
            lines.append(Series(_name(name), list(told), [row[key] for row in told.values()], low, high))
    if not lines:
        return None
    x = Axis("context: decisions before this one", log=True)
    if key == "state_bytes":
        caption = "Bytes of state or cache that are carried from one decision to the next, for one episode."
        return plot(
            "memory-context", "Memory against context", caption, lines, x, Axis("state or cache, bytes", log=True)
        )
    marks = _marks(crossings)
    caption = "Median time of one decision, batch 1, with 95 % intervals." + (
        f" Marked: {'; '.join(f'{mark.text}' for mark in marks)}." if marks else ""
    )
    return plot("latency-context", "Latency against context", caption, lines, x, Axis("µs a decision", log=True), marks)


def _marks(crossings: Sequence[tuple[str, str, str, float | None]]) -> list[Mark]:
    """The earliest crossover against each of what grows."""
    earliest: dict[str, tuple[float, str]] = {}
    for flat, growing, _, context in crossings:
        if context is not None and context > 0 and (growing not in earliest or context < earliest[growing][0]):
            earliest[growing] = (context, f"{flat} beats {growing} from t = {context:,.0f}")
    return [Mark(context, text) for context, text in sorted(earliest.values())[:_MARKED]]


def _table(curves: Curves) -> Table:
    contexts = sorted({context for cells in curves.values() for context in cells})
    rows = []
    for (backbone, mode), cells in curves.items():
        first = next(iter(cells.values()))
        size = sum(first[f"parameters_{part}"] or 0 for part in ("embedding", "backbone", "head"))
        times = [_time(cells.get(context)) for context in contexts]
        rows.append((Cell(backbone, backbone), Cell(mode.replace("_", " "), mode), *times,
                     Cell(f"{size:,.0f}", float(size)) if size else Cell(MISSING)))  # fmt: skip
    headings = (
        Heading("backbone", numeric=False),
        Heading("mode", "how a decision is made", numeric=False),
        *(Heading(f"t = {context:,} ↓", "median µs a decision with this many before it") for context in contexts),
        Heading("parameters ↓"),
    )
    note = "Median µs a decision, and half of its interval. – was not measured, or not finished in time: see below."
    return Table("latency-context", "Latency against context", headings, tuple(rows), (note,))


def _time(row: Mapping[str, Any] | None) -> Cell:
    if row is None:
        return Cell(MISSING)
    low, high, value = row["p50_low_us"], row["p50_high_us"], row["p50_us"]
    if low is None or high is None:
        return Cell(f"{value:,.0f}", float(value))
    return Cell(f"{value:,.0f} ± {(high - low) / 2:,.0f}", float(value), low=float(low), high=float(high))


def _crossing_table(crossings: Sequence[tuple[str, str, str, float | None]]) -> list[Table]:
    if not crossings:
        return []
    rows = tuple(
        (Cell(flat, flat), Cell(growing, growing), Cell(text, context)) for flat, growing, text, context in crossings
    )
    headings = (
        Heading("this", numeric=False),
        Heading("beats", numeric=False),
        Heading("from context", "between measured contexts by straight lines"),
    )
    return [Table("crossover", "From which context on a decision takes less time", headings, rows)]


def _lost(cells: pd.DataFrame) -> list[Table]:
    """Cells without a number, each with its reason."""
    lost = cells[~cells["status"].fillna("").eq("ok")]
    if lost.empty:
        return []
    names = ("backbone", "mode", "context", "batch", "length", "status", "reason")
    rows = [
        tuple(Cell(MISSING) if (value := _plain(row[name])) is None else Cell(str(value), str(value)) for name in names)
        for row in lost.to_dict(orient="records")
    ]
    headings = tuple(Heading(name, numeric=False) for name in names)
    return [Table("bench-missing", "Cells of the bench without a number", headings, tuple(sorted(rows, key=_texts)))]


def _texts(row: Sequence[Cell]) -> tuple[str, ...]:
    return tuple(cell.text for cell in row)
